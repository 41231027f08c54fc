// Elements of the page, and counts with their nouns.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; texts are children, too. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
