// Brings what was accepted to the disk, in order. What could not be saved stays in the list and is tried again.

import { imagePath, post, tab } from "./api.js";

const AGAIN_MS = 2000;

export function saveChanges(store) {
  let isBusy = false;
  store.listen(send);
  addEventListener("beforeunload", (event) => {
    if (store.state.outbox.length || isMuchUnderWay(store.state.desk)) event.preventDefault();
  });

  async function send() {
    const [first] = store.state.outbox;
    if (!first || isBusy) return;
    isBusy = true;
    let wait = 0;
    let action;
    try {
      const { number, count, labels } = await post(imagePath(first.image, "changes"), { tab, changes: first.changes });
      action = { type: "saved", number, count, labels };
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
    }
    send();
  }
}

/** Whether more than one click would be lost with the page: the browser asks before it closes. */
function isMuchUnderWay({ draft }) {
  return draft !== null && draft.steps.length - (draft.given?.length ?? 0) > 1;
}
