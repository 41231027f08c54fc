// Brings what was accepted to the disk, in order. What could not be saved stays in the list and is tried again.

import { imagePath, post, tab } from "./api.js";
import { allDesks } from "./state.js";

const AGAIN_MS = 2000;

/** `onSaved` hears of each entry of the outbox when it is on disk, `onRefused` of one that can never be. */
export function saveChanges(store, { onSaved, onRefused }) {
  let isBusy = false;
  store.listen(send);
  addEventListener("beforeunload", (event) => {
    if (store.state.outbox.length || allDesks(store.state).some(isMuchUnderWay)) event.preventDefault();
  });

  async function send() {
    const [first] = store.state.outbox;
    if (!first || isBusy) return;
    isBusy = true;
    let wait = 0;
    let action;
    try {
      action = { type: "saved", answer: await sent(first) };
    } catch (error) {
      const isFinal = error.status >= 400 && error.status < 500 && error.status !== 403;
      action = { type: isFinal ? "refusedChange" : "trouble", text: error.message };
      wait = isFinal ? 0 : AGAIN_MS;
    }
    if (wait) {
      store.dispatch(action);
      await new Promise((resolve) => setTimeout(resolve, wait));
      isBusy = false;
    } else {
      isBusy = false;
      store.dispatch(action);
      (action.type === "saved" ? onSaved : onRefused)(first);
    }
    send();
  }
}

function sent({ image, changes, mark, relabel }) {
  if (relabel) return post("/api/labels/change", { tab, ...relabel });
  return mark ? post(imagePath(image, "mark"), { tab, mark }) : post(imagePath(image, "changes"), { tab, changes });
}

/** Whether more than one click in a picture would be lost with the page: the browser asks before it closes. */
function isMuchUnderWay({ draft, waiting }) {
  return draft !== null && draft.steps.length - (draft.given?.length ?? 0) + (draft.strokes ?? 0) + waiting.length > 1;
}
