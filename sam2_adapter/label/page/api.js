// Requests to the server. Every answer is JSON; an error has a text for people.

/** An id that nothing else has; `randomUUID` is there only on addresses that browsers call secure. */
export const newId = () =>
  crypto.randomUUID ? crypto.randomUUID() : [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");

export const tab = newId();

const AGAIN_MS = 1000;

/** A request that the server refused, or did not answer at all (status 0). */
export class RequestError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export const get = (path) => request(path);
export const post = (path, body) =>
  request(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** The model's answer to a question about the open picture; null where the picture was left meanwhile. */
export async function ask({ id, visit }, question) {
  const { answer } = await post(imagePath(id, "ask"), { tab, visit, ...question });
  return answer;
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new RequestError(0, "The server does not answer.");
  }
  const text = await response.text();
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { error: text };
  }
  if (!response.ok) throw new RequestError(response.status, body.error || `The server answered with status ${response.status}.`);
  return body;
}

/** Listen to the news of the server, also of one that is started again later; `onState` hears whether there is a connection. */
export function listen(onNews, onState) {
  const source = new EventSource(`/api/events?tab=${encodeURIComponent(tab)}`);
  source.onopen = () => onState(true);
  source.onmessage = (event) => onNews(JSON.parse(event.data));
  source.onerror = () => {
    onState(false);
    // The browser tries again by itself, but not after an answer that says no.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(onNews, onState), AGAIN_MS);
  };
}

/** An address of a picture. */
export const imagePath = (id, what = "") => `/api/images/${id}${what && `/${what}`}`;

/** The address of an object cut out of its picture; it is kept by the browser, so it changes with what is seen: the mask and its colour. */
export const cutoutPath = (image, id, version, color) => `${imagePath(image, `objects/${encodeURIComponent(id)}/cutout`)}?v=${version}-${color.slice(1)}`;

/** What the server calls the version of an object: the CRC-32 of its label and its mask. */
export function versionOf({ label, counts }) {
  let crc = -1;
  for (const byte of new TextEncoder().encode(`${label} ${counts}`)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ((crc ^ -1) >>> 0).toString(16).padStart(8, "0");
}
