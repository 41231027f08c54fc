// What is to be known of the mask under way or selected, above the bar where it is accepted: small holes, specks and overlaps with their buttons, that it
// reaches the edge of the view, and how to say what is not part of it, until somebody has done that once.

import { KINDS } from "./cleaning.js";
import { byId, element, plural } from "./elements.js";
import { isAccepting, shownAnswer } from "./state.js";

export class Notes {
  constructor(store, stage) {
    Object.assign(this, { store, stage, wasOutside: false, shown: "" });
    store.listen((state, before) => { if (state.desk !== before.desk || state.answers !== before.answers) this.show(); });
    stage.cleaning.listen(() => this.show());
  }

  show() {
    this.wasOutside ||= Boolean(this.store.state.desk.draft?.steps.some(({ inside }) => inside === false));
    const [cleaning, texts] = [this.cleaning(), this.texts()];
    const shown = JSON.stringify([cleaning, texts]);
    if (shown === this.shown) return; // what has not changed is not read out again
    this.shown = shown;
    const hadFocus = byId("notes").contains(document.activeElement);
    byId("notes").hidden = !cleaning.length && !texts.length;
    byId("notes").replaceChildren(
      ...cleaning.map(([kind, count]) => this.button(kind, count)),
      ...texts.map(([className, text]) => element("span", { className }, text)),
    );
    if (hadFocus) (byId("notes").querySelector("button") ?? byId("canvas")).focus();
  }

  /** [kind, how many] of what can be cleaned. */
  cleaning() {
    return Object.keys(KINDS).map((kind) => [kind, this.stage.cleaning[kind].length]).filter(([, count]) => count);
  }

  button(kind, count) {
    const { noun, verb, key, title } = KINDS[kind];
    const point = (pointed) => () => this.stage.cleaning.point(pointed);
    return element(
      "button",
      {
        title: `${title} (Shift + ${key})`, onclick: () => this.stage.cleaning.clean(kind),
        onpointerenter: point(kind), onpointerleave: point(null), onfocus: point(kind), onblur: point(null),
      },
      `${plural(count, noun)}: ${verb} `, element("kbd", {}, `⇧${key}`),
    );
  }

  /** [class, text] of what there is to say. */
  texts() {
    const { state } = this.store;
    const { draft, selected } = state.desk;
    const texts = [];
    if (!draft) return selected && !this.stage.isTouched ? [["", "Alt + click: another object here"]] : texts;
    if (shownAnswer(state)?.cut) texts.push(["cut", "It reaches the edge of the view. Zoom out, and click again to go on."]);
    if (!this.wasOutside && !isAccepting(state.desk)) texts.push(["", this.howToExclude()]);
    return texts;
  }

  howToExclude() {
    const how = this.stage.cursor ? "C" : this.stage.isTouched ? "Long press" : "Right click or Shift + click";
    return `${how}: not part of it`;
  }
}
