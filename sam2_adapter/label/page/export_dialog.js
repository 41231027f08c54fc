// The export: which formats are written, what of an earlier export they replace, what is left out since nobody has accepted it, and what was written.

import { post } from "./api.js";
import { byId, element, fileName, plural, withCode } from "./elements.js";
import { allDesks } from "./state.js";

const USUAL = "coco";
const MOST_NOTES = 5;

export class ExportDialog {
  constructor(store) {
    this.store = store;
    this.formats = [];
    byId("formats").addEventListener("change", () => this.showReplaced());
    byId("export-now").addEventListener("click", () => this.write());
  }

  /** The formats that the server offers: [{name, title, results, hasOutputTypes, isThere}]. */
  offer({ formats, output }) {
    this.formats = formats;
    byId("output").textContent = output;
    byId("formats").replaceChildren(
      ...formats.map(({ name, title, results }) =>
        element("label", {}, element("input", { type: "checkbox", value: name, checked: name === USUAL }), title, element("span", { className: "soft" }, shown(results))),
      ),
    );
    const kinds = formats.filter((one) => one.hasOutputTypes).map(({ title }) => title);
    byId("export-kinds").textContent = `${kinds.slice(0, -1).join(", ")} and ${kinds.at(-1)} get`;
  }

  open() {
    byId("exported").replaceChildren();
    this.showReplaced();
    const waiting = allDesks(this.store.state).filter(({ draft }) => draft?.steps.length).length;
    byId("export-waiting").textContent = waiting ? `${plural(waiting, "object")} under way, not accepted yet: not exported.` : "";
    byId("export-dialog").showModal();
  }

  chosen() {
    const names = [...document.querySelectorAll("#formats input:checked")].map((box) => box.value);
    return this.formats.filter(({ name }) => names.includes(name));
  }

  showReplaced() {
    const replaced = this.chosen().filter((one) => one.isThere).map(({ results }) => shown(results));
    byId("export-replaces").textContent = replaced.length ? `In place of the earlier ${replaced.join(", ")}.` : "";
  }

  async write() {
    const formats = this.chosen();
    const told = byId("exported");
    if (!formats.length) return told.replaceChildren(element("p", {}, "Choose a format."));
    told.replaceChildren(element("p", { className: "soft" }, "Writing …"));
    try {
      const { paths, images, objects, notes } = await post("/api/export", { formats: formats.map(({ name }) => name), output_type: byId("output-type").value });
      told.replaceChildren(
        element("p", {}, `${plural(objects, "object")} in ${plural(images, "picture")}:`),
        ...paths.map(({ path }) => element("p", {}, element("code", { title: path }, fileName(path)))),
        ...notes.slice(0, MOST_NOTES).map((note) => element("p", { className: "soft" }, ...withCode(note))),
        ...(notes.length > MOST_NOTES ? [element("p", { className: "soft" }, `${plural(notes.length - MOST_NOTES, "more note")} like these.`)] : []),
      );
      for (const one of formats) one.isThere = true; // from now on
    } catch (error) {
      told.replaceChildren(element("p", { className: "bad" }, ...withCode(error.message)));
    }
    told.scrollIntoView({ block: "nearest" });
  }
}

/** A file, or a folder with a stroke at its end. */
const shown = (results) => (results.includes(".") ? results : `${results}/`);
