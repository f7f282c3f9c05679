// Elements and messages. Whatever comes from elsewhere becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes; `on` are listeners, children are elements or texts. */
export function h(tag, attributes = {}, ...children) {
    return filled(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, { on = {}, ...attributes }, children) {
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

/** A bar of things; `space` pushes what is behind it to the end. */
export const bar = (...children) => h("div", { class: "bar" }, ...children);
export const space = () => h("span", { class: "space" });

/** A part of a page with a heading. */
export function card(title, ...children) {
    return h("section", { class: "card" }, h("h2", {}, title), ...children);
}

/** A button that opens what is in it; it closes with Escape, and where something else is touched. */
export function menu(label, children, attributes = {}) {
    const summary = h("summary", { class: "button" }, label);
    const box = h("details", { class: "menu", ...attributes }, summary, h("div", { class: "sheet" }, ...children));
    const close = () => (box.open = false);
    box.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !box.open) return;
        close();
        summary.focus();
    });
    box.addEventListener("focusout", ({ relatedTarget }) => {
        // What is around it gets the focus where something without one, a label, is pressed in it.
        if (relatedTarget && !box.contains(relatedTarget) && !relatedTarget.contains(box)) close();
    });
    const outside = ({ target }) => {
        if (!box.contains(target)) close();
    };
    box.addEventListener("toggle", () => {
        if (box.open) document.addEventListener("pointerdown", outside);
        else document.removeEventListener("pointerdown", outside);
    });
    return box;
}

/** Sets a text, if it is another one: what is selected and read aloud stays. */
export function say(element, text, tone = "") {
    if (element.textContent !== text) element.textContent = text;
    if (element.className !== tone) element.className = tone;
}

/** Writes names and values into a `dl`, and leaves alone what is as it was: `[name, value, tone, full]`, where `full` is copied. */
export function facts(list, rows) {
    const shown = rows.filter((row) => row !== null);
    while (list.children.length > 2 * shown.length) list.lastElementChild.remove();
    shown.forEach(([name, value, tone = "", full = ""], at) => {
        if (!list.children[2 * at]) list.append(h("dt"), h("dd"));
        say(list.children[2 * at], name);
        const place = list.children[2 * at + 1];
        if (full) copied(place, String(value), full);
        else {
            say(place, String(value ?? "–"), tone);
            place.removeAttribute("title");
        }
    });
}

/** Writes a text that stands for another one, which is told on hover and can be copied. */
function copied(place, text, full) {
    if (place.title === full && place.firstElementChild?.textContent === text) return;
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(full);
            toast("It is copied");
        } catch {
            // Only pages of this machine or with TLS may: there it is to be marked by hand.
            toast(full);
        }
    };
    place.title = full;
    place.className = "";
    place.replaceChildren(h("span", {}, text), button("Copy", copy, { class: "plain copy", "aria-label": `Copy ${full}` }));
}

/** Writes `[text, address, tone]` into a list, and keeps the items that are as they were. */
export function items(list, rows) {
    while (list.children.length > rows.length) list.lastElementChild.remove();
    rows.forEach(([text, href = "", tone = ""], at) => {
        if (!list.children[at]) list.append(h("li"));
        const item = list.children[at];
        const tag = href ? "A" : "SPAN";
        if (item.firstElementChild?.tagName !== tag) item.replaceChildren(h(tag.toLowerCase()));
        const child = item.firstElementChild;
        if (href && child.getAttribute("href") !== href) child.setAttribute("href", href);
        say(child, text, tone);
    });
}

/** Offers values, and what is chosen even if it is not there any more. */
export function options(select, none, values, chosen) {
    const collator = new Intl.Collator("en", { numeric: true });
    const wanted = ["", ...[...new Set(chosen ? [...values, chosen] : values)].sort(collator.compare)];
    const there = [...select.options].map((option) => option.value);
    if (there.length !== wanted.length || there.some((value, at) => value !== wanted[at])) {
        select.replaceChildren(...wanted.map((value) => h("option", { value }, value || none)));
    }
    select.value = chosen;
}

/** Gives a text to the browser as a file. */
export function download(name, type, text) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const MOST_TOASTS = 5;

/** Tells something for a while; an error for longer. */
export function toast(text, bad = false) {
    const place = document.getElementById("toasts");
    const shown = h("div", { class: bad ? "toast bad" : "toast", role: bad ? "alert" : null }, h("span", {}, text));
    shown.append(button("✕", () => shown.remove(), { "aria-label": "Close the message", class: "plain" }));
    place.append(shown);
    while (place.children.length > MOST_TOASTS) place.firstElementChild.remove();
    setTimeout(() => shown.remove(), bad ? 20000 : 6000);
}
