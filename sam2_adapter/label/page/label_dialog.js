// Another name for a label, or away with it: one small dialog. What it does can be undone.

import { get, newId } from "./api.js";
import { byId, element, enable, plural } from "./elements.js";

export class LabelDialog {
  constructor(store, commands, say) {
    Object.assign(this, { store, commands, say });
    this.dialog = byId("label-dialog");
    byId("label-name").addEventListener("input", () => this.showMeaning());
    byId("label-name").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.rename();
    });
    byId("label-rename").addEventListener("click", () => this.rename());
    byId("label-remove").addEventListener("click", () => this.remove());
    byId("label-move").addEventListener("click", () => this.renameTo(byId("label-target").value));
  }

  get state() { return this.store.state; }

  async open(label) {
    if (!label || this.dialog.open) return;
    this.label = label;
    this.uses = null;
    byId("label-name").value = label;
    this.askForTarget(false);
    byId("label-uses").textContent = "";
    this.showMeaning();
    this.dialog.showModal();
    byId("label-name").select();
    try {
      const { uses } = await get("/api/labels");
      if (this.label === label) this.showUses(uses.find((one) => one.label === label) ?? { objects: 0, pictures: 0 });
    } catch (error) {
      byId("label-uses").textContent = error.message;
    }
  }

  showUses(uses) {
    this.uses = uses;
    byId("label-uses").textContent = uses.objects ? `${plural(uses.objects, "object")} in ${plural(uses.pictures, "picture")}.` : "No object has it.";
  }

  /** What renaming would do with the name as it stands there. */
  showMeaning() {
    const name = byId("label-name").value.trim();
    const isMerge = name !== this.label && this.state.labels.includes(name);
    enable("label-rename", name && name !== this.label, "In all pictures", "Type another name first");
    byId("label-rename").textContent = isMerge ? "Merge" : "Rename";
    byId("label-meaning").textContent = isMerge ? `There is “${name}” already: all objects of “${this.label}” become “${name}”, and “${this.label}” goes.` : "";
  }

  rename() {
    const name = byId("label-name").value.trim();
    if (name && name !== this.label) this.renameTo(name);
  }

  renameTo(to) {
    const { label } = this;
    this.close();
    if (!this.state.labels.includes(label)) return this.commands.newLabel(to); // nothing has it, and nobody but this page knows it
    this.store.dispatch({ type: "relabel", relabel: { kind: "rename", id: newId(), label, to } });
    this.say(`“${label}” is now “${to}”, in all pictures. Ctrl+Z takes that back.`, true);
  }

  remove() {
    const { label, uses } = this;
    const isUsed = uses?.objects || Object.values(this.state.objects).some((object) => object.label === label);
    if (isUsed) return this.askWhereTo();
    this.close();
    if (!this.state.labels.includes(label)) return;
    this.store.dispatch({ type: "relabel", relabel: { kind: "remove", label } });
    this.say(`“${label}” is removed. Ctrl+Z brings it back.`, true);
  }

  /** Objects need another label before theirs goes. */
  askWhereTo() {
    const others = this.state.labels.filter((label) => label !== this.label);
    if (!others.length) {
      byId("label-uses").textContent = "Its objects need a label. Give this one another name instead, or add a label for them first.";
      return;
    }
    byId("label-name").value = this.label;
    this.showMeaning();
    byId("label-target").replaceChildren(...others.map((label) => element("option", { value: label }, label)));
    this.askForTarget(true);
    byId("label-target").focus();
  }

  /** Whether it is asked which label the objects get; then there is one button for it. */
  askForTarget(isAsked) {
    byId("label-given").hidden = !isAsked;
    byId("label-remove").hidden = isAsked;
  }

  close() {
    this.dialog.close();
    byId("canvas").focus();
  }
}
