// Many pools and workers at once: read from a file, and written to one.

import { ask, text } from "./api.js";
import { format } from "./csv.js";
import { open } from "./dialog.js";
import { bar, button, download, h, menu, toast } from "./dom.js";
import { number } from "./format.js";

const TYPES = { csv: "text/csv", yaml: "application/yaml", json: "application/json" };
/** Largest text that the API takes, bytes. */
const MOST = 2 << 20;
const LISTED = 200;
const MEANS = "What is in the inventory already is changed, what is not is added, nothing is removed. Secrets are no part of it.";

const EXAMPLE = "name,endpoint,pool,stake\nrack1-01,http://10.0.0.17:8000,7,1500";

/** Offers the inventory as a file. */
export function exporting() {
    const save = async (kind) => {
        try {
            download(`inventory.${kind}`, TYPES[kind], await text("GET", `v1/inventory/export?format=${kind}`));
        } catch (error) {
            toast(error.isMissing ? "This release of prb does not export here; use: prb inventory export" : error.message, true);
        }
    };
    const kinds = [["csv", "CSV: workers"], ["yaml", "YAML: pools and workers"], ["json", "JSON: pools and workers"]];
    return menu("Export", kinds.map(([kind, label]) => button(label, () => save(kind))), { "data-menu": "export" });
}

/** Takes a text or a file, shows what it would change, and changes it once that is confirmed. */
export function importing(done) {
    return open("Import pools and workers", (dialog, close) => {
        const area = h("textarea", { rows: "10", spellcheck: "false", placeholder: EXAMPLE, "aria-label": "Text", name: "text" });
        const file = h("input", { type: "file", accept: ".csv,.yaml,.yml,.json", name: "file" });
        const kind = h("select", { name: "format" }, ...Object.keys(TYPES).map((of) => h("option", { value: of }, of.toUpperCase())));
        const said = h("div", { class: "found", role: "status" });
        const check = button("Check", () => run(true));
        const go = button("Import", () => run(false), { class: "main", disabled: true, "data-confirm": true });
        const touched = () => {
            go.disabled = true;
            said.replaceChildren();
        };
        area.addEventListener("input", () => {
            kind.value = format(area.value, file.files[0]?.name);
            touched();
        });
        kind.addEventListener("change", touched);
        file.addEventListener("change", async () => {
            const [chosen] = file.files;
            if (!chosen) return;
            if (chosen.size > MOST) return report("It has more than 2 MiB: split it, or use `prb inventory import` beside the inventory.");
            area.value = await chosen.text();
            kind.value = format(area.value, chosen.name);
            touched();
        });
        const report = (why) => said.replaceChildren(h("p", { class: "bad" }, why));
        const run = async (dry) => {
            if (!area.value.trim()) return report("There is nothing to import: paste something, or choose a file.");
            check.disabled = go.disabled = true;
            try {
                const path = `v1/inventory/import${dry ? "?dry_run=true" : ""}`;
                const answer = await ask("POST", path, { body: area.value, type: TYPES[kind.value] });
                if (!dry) {
                    toast(`The import is done: ${number(answer.changed)} changed`);
                    done();
                    return close(true);
                }
                said.replaceChildren(h("p", { class: "good" }, "Nothing is changed yet. This would be done:"), ...lines(answer));
                go.disabled = answer.changed === 0;
            } catch (error) {
                report(error.isMissing ? "This release of prb does not import here; use: prb inventory import" : error.message);
            } finally {
                check.disabled = false;
            }
        };
        dialog.append(
            h("p", { class: "note" }, MEANS),
            h("label", {}, "File", file),
            h("label", {}, "or text", area),
            h("label", {}, "Format", kind),
            said,
            bar(button("Cancel", () => close(null)), check, go),
        );
    }, { class: "wide" });
}

/** What would be done: how many entries change something, and each of them. */
function lines({ changed, entries }) {
    const shown = entries.slice(0, LISTED).map((entry) => h("li", { class: entry.changed ? null : "note" }, entry.text));
    if (entries.length > LISTED) shown.push(h("li", { class: "note" }, `and ${number(entries.length - LISTED)} more`));
    return [h("p", {}, `${number(changed)} of ${number(entries.length)} entries change something.`), h("ul", { class: "names" }, ...shown)];
}
