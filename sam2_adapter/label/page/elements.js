// Elements of the page, counts with their nouns, and shares.

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

/** What to put into an element for a message: what stands between backticks, such as a command to type, is shown as code. */
export const withCode = (text) => text.split(/`([^`]+)`/).map((part, number) => (number % 2 ? element("code", {}, part) : part));

/** Whether a button can be pressed, and what is said when the pointer rests on it: why not, where it cannot. */
export function enable(id, can, title, why) {
  Object.assign(byId(id), { disabled: !can, title: can ? title : why });
}

/** A small square in the colour of a label. */
export function swatch(color) {
  const made = element("i", { className: "swatch" });
  made.style.background = color;
  return made;
}

/** The last part of a path. */
export const fileName = (path) => path.split(/[\\/]/).pop();

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** A share in whole percent. */
export const percent = (share) => `${Math.round(100 * share)} %`;
