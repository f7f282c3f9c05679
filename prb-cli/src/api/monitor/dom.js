// Elements, messages and dialogs. Whatever comes from elsewhere becomes text, never markup.

/** An element with attributes; `on` are listeners, children are elements or texts. */
export function h(tag, { on = {}, ...attributes } = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === true) element.setAttribute(name, "");
        else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    for (const [event, act] of Object.entries(on)) element.addEventListener(event, act);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

/** A button. */
export function button(label, act, attributes = {}) {
    return h("button", { type: "button", on: { click: act }, ...attributes }, label);
}

/** Sets a text, if it is another one: what is selected and read aloud stays. */
export function say(element, text, tone = "") {
    if (element.textContent !== text) element.textContent = text;
    if (element.className !== tone) element.className = tone;
}

/** Writes names and values into a `dl`, and leaves alone what is as it was. */
export function facts(list, rows) {
    const shown = rows.filter((row) => row !== null);
    while (list.children.length > 2 * shown.length) list.lastElementChild.remove();
    shown.forEach(([name, value, tone = ""], at) => {
        if (!list.children[2 * at]) list.append(h("dt"), h("dd"));
        say(list.children[2 * at], name);
        say(list.children[2 * at + 1], String(value), tone);
    });
}

const MOST_TOASTS = 5;

/** Tells something for a while; an error for longer. */
export function toast(text, bad = false) {
    const place = document.getElementById("toasts");
    const shown = h("div", { class: bad ? "toast bad" : "toast", role: bad ? "alert" : null }, h("span", {}, text));
    shown.append(button("✕", () => shown.remove(), { "aria-label": "Close the message" }));
    place.append(shown);
    while (place.children.length > MOST_TOASTS) place.firstElementChild.remove();
    setTimeout(() => shown.remove(), bad ? 20000 : 6000);
}

let names = 0;

/** Opens a dialog; the result is what `close` is called with, null if it is left. */
function open(title, fill) {
    return new Promise((resolve) => {
        names += 1;
        const heading = h("h2", { id: `dialog-${names}` }, title);
        const dialog = h("dialog", { "aria-labelledby": heading.id }, heading);
        let result = null;
        const close = (value) => {
            result = value;
            dialog.close();
        };
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(result);
        });
        fill(dialog, close);
        document.body.append(dialog);
        dialog.showModal();
    });
}

/** Asks whether something is to be done. `lines` say what it means. */
export function confirm(title, lines, { act = "OK", danger = false } = {}) {
    return open(title, (dialog, close) => {
        const list = h("div", { class: "list" }, ...lines.map((line) => h("p", {}, line)));
        dialog.append(
            list,
            h(
                "div",
                { class: "bar" },
                button("Cancel", () => close(null), { autofocus: danger }),
                button(act, () => close(true), { class: danger ? "danger" : "main", autofocus: !danger }),
            ),
        );
    });
}

/** Lets choose one of `[label, value]`. */
export function choose(title, choices) {
    return open(title, (dialog, close) => {
        const buttons = choices.map(([label, value]) => button(label, () => close(value)));
        dialog.append(
            h("div", { class: "choices" }, ...buttons),
            h("div", { class: "bar" }, button("Cancel", () => close(null))),
        );
    });
}

/**
 * A form. `fields` are `{ name, label, kind, value, required, hint, choices }`; `act` gets their values, and the dialog stays
 * open with what it throws. What was typed is gone with the dialog.
 */
export function form(title, fields, act, label = "Save") {
    return open(title, (dialog, close) => {
        const inputs = fields.map((field) => [field, input(field)]);
        const error = h("p", { class: "bad", role: "alert" });
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
        const bar = h("div", { class: "bar" }, button("Cancel", () => close(null)), save);
        dialog.append(h("form", { autocomplete: "off", on: { submit } }, ...rows, error, bar));
        // Nothing typed outlives the dialog.
        dialog.addEventListener("close", () => inputs.forEach(([, element]) => (element.value = "")));
    });
}

function input({ kind = "text", value, required, choices, ...rest }) {
    if (kind === "choice") {
        const options = choices.map(([of, label]) => h("option", { value: of, selected: of === value }, label));
        return h("select", {}, ...options);
    }
    if (kind === "flag") return h("input", { type: "checkbox", checked: Boolean(value) });
    const shared = { required: Boolean(required), readonly: Boolean(rest.fixed), spellcheck: "false" };
    if (kind === "lines") {
        const area = h("textarea", { rows: "3", ...shared });
        area.value = value ?? "";
        return area;
    }
    const secret = kind === "secret";
    const type = secret ? "password" : kind;
    const element = h("input", { type, autocomplete: secret ? "new-password" : "off", min: rest.min, ...shared });
    element.value = value ?? "";
    return element;
}
