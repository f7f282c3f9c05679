// Dialogs: what is asked, and told where it needs to be read.

import { bar, button, h, say } from "./dom.js";

let names = 0;

/** Opens a dialog; the result is what `close` is called with, null if it is left. */
export function open(title, fill, attributes = {}) {
    return new Promise((resolve) => {
        names += 1;
        const heading = h("h2", { id: `dialog-${names}` }, title);
        const dialog = h("dialog", { "aria-labelledby": heading.id, ...attributes }, heading);
        let result = null;
        const close = (value) => {
            result = value;
            dialog.close();
        };
        dialog.addEventListener("close", () => {
            // Nothing typed outlives the dialog.
            for (const input of dialog.querySelectorAll("input, textarea")) input.value = "";
            dialog.remove();
            resolve(result);
        });
        fill(dialog, close);
        document.body.append(dialog);
        dialog.showModal();
    });
}

/** Asks whether something is to be done. `lines` say what it means, `names` whom it meets. */
export function confirm(title, lines, { act = "OK", danger = false, names = [] } = {}) {
    return open(title, (dialog, close) => {
        const list = names.map((name) => h("li", {}, name));
        dialog.append(
            ...lines.map((line) => h("p", {}, line)),
            ...(list.length ? [h("ul", { class: "names" }, ...list)] : []),
            bar(
                button("Cancel", () => close(null), { autofocus: danger }),
                button(act, () => close(true), { class: danger ? "danger main" : "main", autofocus: !danger, "data-confirm": true }),
            ),
        );
    });
}

/** Tells something that stays until it was read. */
export function tell(title, ...children) {
    return open(title, (dialog, close) => {
        dialog.append(...children, bar(button("Close", () => close(null), { autofocus: true })));
    });
}

/** Lets choose one of `[label, value, meaning]`. */
export function choose(title, choices) {
    return open(title, (dialog, close) => {
        const buttons = choices.map(([label, value, meaning]) =>
            button(h("span", {}, label, meaning ? h("small", {}, meaning) : null), () => close(value), { "data-choice": value }),
        );
        dialog.append(
            h("div", { class: "choices" }, ...buttons),
            bar(button("Cancel", () => close(null))),
        );
    }, { class: "wide" });
}

/**
 * A form. `fields` are `{ name, label, kind, value, required, hint, choices, fixed, min }`; `act` gets their values, and the
 * dialog stays open with what it throws. What was typed is gone with the dialog.
 */
export function form(title, fields, act, label = "Save") {
    return open(title, (dialog, close) => {
        const inputs = fields.map((field) => [field, input(field)]);
        const error = h("p", { role: "alert" });
        const save = h("button", { type: "submit", class: "main" }, label);
        const submit = async (event) => {
            event.preventDefault();
            const values = {};
            for (const [field, element] of inputs) {
                values[field.name] = field.kind === "flag" ? element.checked : element.value;
            }
            save.disabled = true;
            try {
                await act(values);
                close(values);
            } catch (cause) {
                say(error, cause.message, "bad");
            }
            save.disabled = false;
        };
        const rows = inputs.map(([field, element]) => {
            const hint = field.hint ? h("small", { class: "note" }, field.hint) : null;
            return field.kind === "flag"
                ? h("label", { class: "flag" }, element, field.label, hint)
                : h("label", {}, field.label, element, hint);
        });
        dialog.append(
            h("form", { autocomplete: "off", on: { submit } }, ...rows, error, bar(button("Cancel", () => close(null)), save)),
        );
    });
}

/** An input; a secret is never filled in nor kept by the browser. */
function input({ name, kind = "text", value, required, choices, min, fixed }) {
    if (kind === "choice") {
        const options = choices.map(([of, label]) => h("option", { value: of, selected: of === value }, label));
        return h("select", { name }, ...options);
    }
    if (kind === "flag") return h("input", { name, type: "checkbox", checked: Boolean(value) });
    const shared = { name, required: Boolean(required), readonly: Boolean(fixed), spellcheck: "false", autocapitalize: "off" };
    if (kind === "lines") {
        const area = h("textarea", { rows: "3", ...shared });
        area.value = value ?? "";
        return area;
    }
    const secret = kind === "secret";
    const element = h("input", { type: secret ? "password" : kind, autocomplete: secret ? "new-password" : "off", min, ...shared });
    element.value = value ?? "";
    return element;
}
