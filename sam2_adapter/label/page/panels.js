// What stands around the canvas: labels, objects, the strip below the picture, and what is saved. Texts of people are only ever set
// as text, never as HTML.

import { cutoutPath, versionOf } from "./api.js";
import { NOT_ACCEPTED } from "./commands.js";
import { byId, element, enable, swatch, withCode } from "./elements.js";
import { isPainted, PAINTED, scoreOf } from "./score.js";
import { isAccepting, isReady, labelInUse, labelOfDraft, ownAnswer, shownAnswer, singleStep } from "./state.js";

/** The keys that point. */
const POINTING = [["←↑↓→", "move"], ["X", "inside"], ["C", "outside"], ["B", "corner of a box"], ["K", "end"]];

export class Panels {
  constructor(store, stage, commands, options) {
    Object.assign(this, { store, stage, commands, options });
    this.objectNodes = new Map();
    this.onEditLabel = () => {}; // a label is to be renamed or removed
    store.listen((state, before) => this.update(state, before));
  }

  update(state, before) {
    const did = (...names) => names.some((name) => state[name] !== before[name]);
    if (did("title")) {
      byId("title").textContent = state.title;
      document.title = `${state.title} · label`;
    }
    if (did("labels", "objects") || labelInUse(state) !== labelInUse(before)) this.showLabels(state);
    if (did("objects", "desk", "labels", "image")) this.showObjects(state);
    if (did("objects", "desk", "labels", "image", "outbox")) this.showCutouts(state);
    if (did("desk", "answers", "candidates", "label", "objects", "image", "model", "pictures")) this.showStrip(state);
    if (did("title", "outbox", "trouble", "connected")) this.showSaved(state);
    const { past, future, waiting, takenBack } = state.desk;
    enable("undo", past.length || waiting.length, "Undo (Ctrl+Z)", "Nothing to undo in this picture");
    enable("redo", future.length || takenBack.length, "Redo (Ctrl+Shift+Z)", "Nothing to redo in this picture");
  }

  swatch(label) {
    return swatch(this.options.colorOf(label));
  }

  showLabels(state) {
    const text = byId("find").value.trim().toLowerCase();
    const counts = {};
    for (const { label } of Object.values(state.objects)) counts[label] = (counts[label] ?? 0) + 1;
    const all = state.labels.includes(state.label) || !state.label ? state.labels : [...state.labels, state.label];
    const inUse = labelInUse(state);
    const rows = all
      .map((label, index) => [label, index])
      .filter(([label]) => label.toLowerCase().includes(text))
      .map(([label, index]) => {
        const row = element(
          "button",
          { className: "row", onclick: () => this.commands.label(label), "aria-pressed": String(label === inUse), title: label },
          this.swatch(label),
          element("span", { className: "text" }, label),
          counts[label] ? element("span", { className: "number", title: "In this picture" }, String(counts[label])) : null,
          index < 9 ? element("kbd", { "aria-label": `key ${index + 1}` }, String(index + 1)) : null,
        );
        const more = element("button", { className: "icon more", title: "Rename or remove (F2)", "aria-label": `Rename or remove ${label}`, onclick: () => this.onEditLabel(label) }, "✎");
        return element("div", { className: "entry" }, row, more);
      });
    const isNew = text && !all.some((label) => label.toLowerCase() === text);
    if (isNew) {
      const meant = this.commands.meant(text);
      const keys = meant ? `Enter takes “${meant}”, Shift + Enter adds “` : "Enter adds “";
      rows.push(element("div", { className: "empty" }, keys, byId("find").value.trim(), "”"));
    }
    byId("labels").replaceChildren(...rows);
    if (inUse !== this.seenLabel) byId("labels").querySelector("[aria-pressed=true]")?.scrollIntoView({ block: "nearest" });
    this.seenLabel = inUse;
  }

  showObjects(state) {
    const entries = Object.entries(state.objects);
    byId("count").textContent = entries.length ? String(entries.length) : "";
    const list = byId("objects");
    const nodes = entries.map(([id, object]) => this.objectNode(id, object, state));
    for (const id of this.objectNodes.keys()) if (!(id in state.objects)) this.objectNodes.delete(id);
    if (!nodes.length) {
      const text = state.image?.width ? "Nothing yet. Click an object in the picture." : "";
      return list.replaceChildren(element("div", { className: "empty" }, text));
    }
    const isSame = list.children.length === nodes.length && nodes.every((node, index) => list.children[index] === node);
    if (!isSame) list.replaceChildren(...nodes);
  }

  objectNode(id, object, state) {
    const isSelected = state.desk.selected === id || state.desk.draft?.editing === id;
    const color = this.options.colorOf(object.label);
    const found = this.objectNodes.get(id);
    if (found && found.object === object && found.isSelected === isSelected && found.color === color) return found.node;
    const isSeen = found?.object === object && found.color === color;
    const cutout = isSeen ? found.cutout : element("img", { className: "thumb", alt: "", loading: "lazy", decoding: "async", width: 36, height: 36 });
    const painted = isPainted(object);
    const score = scoreOf(object.score, painted);
    const author = authorOf(object);
    const row = element(
      "button",
      {
        className: "row",
        "aria-pressed": String(isSelected),
        "aria-label": `${object.label}, ${score.spoken}${painted || object.score === null ? "" : ", the model's own guess"}`,
        title: author ? `${object.label}, by ${author}` : painted ? `${object.label}, ${PAINTED}` : object.label,
        onclick: () => this.reveal(id),
        onpointerenter: () => this.hover(id),
        onpointerleave: () => this.hover(null),
      },
      cutout,
      this.swatch(object.label),
      element("span", { className: "text" }, object.label),
      element("span", { className: "number", title: score.means }, score.text),
    );
    const remove = element("button", { className: "icon remove", "aria-label": `Delete ${object.label}`, title: "Delete", onclick: () => this.commands.remove(id) }, "×");
    const node = element("div", { className: "entry" }, row, remove);
    node.dataset.id = id;
    if (found) {
      const hadFocus = found.node.contains(document.activeElement);
      found.node.replaceWith(node);
      if (hadFocus) row.focus();
    }
    this.objectNodes.set(id, { node, object, isSelected, color, cutout });
    if (isSelected) node.scrollIntoView({ block: "nearest" });
    return node;
  }

  /** The objects cut out of the picture, which the server does with what it knows. */
  showCutouts({ image, outbox }) {
    const isKnown = (id) => !outbox.some((one) => one.relabel || (one.image === image.id && one.changes && id in one.changes));
    for (const [id, { object, color, cutout }] of this.objectNodes)
      if (!cutout.src && isKnown(id)) cutout.src = cutoutPath(image.id, id, versionOf(object), color);
  }

  reveal(id) {
    const { draft } = this.commands.desk;
    if (!draft) this.commands.reveal(id);
    else if (draft.editing !== id) this.commands.say(NOT_ACCEPTED, true);
  }

  hover(id) {
    this.stage.hovered = id;
    this.stage.changed();
  }

  showStrip(state) {
    const strip = byId("strip");
    const { draft, selected } = state.desk;
    strip.hidden = !state.image?.width;
    strip.className = "";
    if (draft && !strip.hidden) return this.showDraft(strip, state);
    const object = selected && state.objects[selected];
    if (object) {
      const author = authorOf(object);
      return strip.replaceChildren(
        element("span", { className: "what" }, this.swatch(object.label), element("span", {}, object.label)),
        this.scored(object, isPainted(object)),
        ...(author ? [element("span", { className: "soft by", title: "The model that answered when this was accepted" }, `by ${author}`)] : []),
        element("button", { onclick: () => this.commands.remove(selected) }, "Delete ", element("kbd", {}, "Del")),
        element("button", { className: "primary", onclick: () => this.commands.edit(selected) }, "Edit", element("kbd", {}, "E")),
      );
    }
    strip.className = "hint";
    strip.replaceChildren(...this.hint(state));
  }

  /** Whether clicks are answered, and what to do, while nothing is under way. */
  hint(state) {
    if (this.stage.cursor) return POINTING.flatMap(([key, what]) => [element("kbd", {}, key), `${what} `]);
    return [element("i", { className: `state${isReady(state) ? " ready" : ""}` }), this.readiness(state)];
  }

  readiness(state) {
    if (isReady(state)) return `Ready: click an object${this.options.inView ? " in the visible part" : ""}, or drag a box around it`;
    if (state.model.state === "failed") return "Clicks are not answered: paint with the brush (P)";
    return "Not ready yet: a click is answered once the model is";
  }

  scored({ score }, painted) {
    const { text, means } = scoreOf(score, painted);
    return element("span", { className: "score", title: means }, painted ? null : element("span", { className: "wide" }, "score "), text);
  }

  showDraft(strip, state) {
    const own = ownAnswer(state);
    const shown = shownAnswer(state);
    const isEmpty = shown && !this.stage.shape(shown.counts).area;
    const isErased = own && !own.error && !shown;
    const awaited = isReady(state) || state.model.state === "failed" ? "…" : "waits for the model";
    const text = own?.error ? own.error : isEmpty ? "Nothing found there" : isErased ? "Everything is erased" : shown ? null : awaited;
    strip.classList.toggle("waiting", !own);
    const label = labelOfDraft(state);
    const isWaiting = isAccepting(state.desk);
    strip.replaceChildren(
      ...[
        element("span", { className: "what" }, this.swatch(label), element("span", {}, label)),
        text === null ? this.scored(shown, shown.painted) : element("span", { className: own?.error ? "bad" : "score" }, ...withCode(text)),
        singleStep(state.desk) ? element("button", { onclick: () => this.commands.cycle(), title: "The next of the masks that this may mean" }, "Other", element("span", { className: "wide" }, " masks"), " ", element("kbd", {}, "Tab")) : null,
        element("button", { onclick: () => this.commands.escape(), title: state.desk.draft.editing ? "Leave the object as it was" : "Give up this object" }, state.desk.draft.editing ? "Cancel " : "Clear ", element("kbd", {}, "Esc")),
        isWaiting
          ? element("span", { className: "soft" }, "accepted once the mask is there")
          : element("button", { className: "primary", onclick: () => this.commands.enter() }, "Accept", element("kbd", {}, "Enter")),
      ].filter(Boolean),
    );
  }

  showSaved(state) {
    const saved = byId("saved");
    const isBad = Boolean(state.trouble && state.outbox.length) || !state.connected;
    saved.className = `saved${isBad ? " bad" : state.outbox.length ? " busy" : ""}`;
    saved.textContent = isBad && state.outbox.length ? "Not saved" : isBad ? "No server" : state.outbox.length ? "Saving" : "Saved";
    const notice = byId("notice");
    if (!isBad && !state.trouble && notice.className === "calm") return; // what was just said stays for its time
    notice.className = "";
    const lost = state.outbox.length
      ? `${state.outbox.length === 1 ? "One change is" : `${state.outbox.length} changes are`} kept in this page and saved as soon as that works. Do not close it.`
      : "Everything that was accepted is saved.";
    notice.hidden = !(isBad || state.trouble);
    const text = !state.connected
      ? `The server does not answer. ${lost} If it has ended, start \`sam2-adapter label\` again.`
      : state.outbox.length ? `${state.trouble} ${lost}` : state.trouble;
    notice.replaceChildren(...withCode(text));
  }
}

/** The name of the model whose mask an object has; undefined where nobody knows, or where it was painted. */
const authorOf = (object) => (isPainted(object) ? undefined : object.model?.name);
