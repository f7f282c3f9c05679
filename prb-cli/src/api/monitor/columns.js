// Columns of a table: which are shown, how wide, by what they are ordered and filtered. What was chosen is remembered.

import { remember, remembered } from "./api.js";
import { button, h, menu } from "./dom.js";

const NARROW = "(max-width: 45rem)";
/** Widths in pixels. */
const LEAST = 48;
const MOST = 1200;
const STEP = 16;
const HALF = 184;
const TYPED = "A part of it; >5, 1..9; !x is not x; - is not known";

/** Width of a column in pixels: what was chosen, else its own in characters, on a small screen no more than half of it. */
export function widthOf(column, chosen = {}, narrow = false) {
    const found = chosen[column.title];
    if (Number.isFinite(found)) return Math.min(MOST, Math.max(LEAST, found));
    const own = (column.width ?? (column.number ? 9 : 14)) * 8 + 24;
    return narrow && !column.buttons ? Math.min(own, HALF) : own;
}

/** Whether a column is shown: what was chosen, else whether it belongs to the first ones, or to few on a small screen. */
export function isShown(column, chosen = {}, narrow = false) {
    return chosen[column.title] ?? !(column.rare || (narrow && column.less));
}

/** What is remembered of a table, whatever is found in the storage. */
export function preferences(text) {
    let found = null;
    try {
        found = JSON.parse(text);
    } catch {
        found = null;
    }
    const part = (key, type) => {
        const given = found !== null && typeof found === "object" ? found[key] : null;
        const entries = given !== null && typeof given === "object" ? Object.entries(given) : [];
        return Object.fromEntries(entries.filter(([, value]) => typeof value === type));
    };
    const order = found?.order;
    const known = typeof order?.column === "string" && typeof order?.down === "boolean";
    return { shown: part("shown", "boolean"), widths: part("widths", "number"), order: known ? order : null };
}

/** The columns of a table. `changed` hears that others are shown, `filtered` that something is typed above one. */
export class Columns {
    constructor({ name, columns, order, changed, filtered, ordered }) {
        Object.assign(this, { name, all: columns, changed, filtered, ordered });
        this.chosen = preferences(name ? remembered("localStorage", this.key()) : "");
        const by = columns.find(({ title }) => title === this.chosen.order?.column);
        this.order = by ? { column: by, down: this.chosen.order.down } : order;
        this.filters = new Map();
        this.isFiltering = false;
        this.media = matchMedia(NARROW);
        this.media.addEventListener("change", changed);
        this.build();
    }

    end() {
        this.media.removeEventListener("change", this.changed);
    }

    key() {
        return `prb-table-${this.name}`;
    }

    keep() {
        const order = this.order ? { column: this.order.column.title, down: this.order.down } : null;
        if (this.name) remember("localStorage", this.key(), JSON.stringify({ ...this.chosen, order }));
    }

    /** Makes the heads anew for the columns that are shown. */
    build() {
        this.shown = this.all.filter((column) => isShown(column, this.chosen.shown, this.media.matches));
        if (this.shown.length === 0) this.shown = this.all.slice(0, 1);
        this.cols = this.shown.map((column) => h("col", { "data-column": column.title }));
        this.shown.forEach((column, at) => this.widen(at, this.width(column)));
        this.heads = this.shown.map((column, at) => this.head(column, at));
        this.inputs = this.shown.map((column) => this.input(column));
        this.sort();
    }

    width(column) {
        return widthOf(column, this.chosen.widths, this.media.matches);
    }

    widen(at, width) {
        this.cols[at].style.width = `${width}px`;
    }

    /** Width of the whole table, so that its columns are as wide as they are to be. */
    total() {
        return this.shown.reduce((sum, column) => sum + this.width(column), 0);
    }

    sort() {
        this.shown.forEach((column, at) => {
            if (!column.value) return;
            const direction = this.order?.column === column ? (this.order.down ? "descending" : "ascending") : "none";
            this.heads[at].setAttribute("aria-sort", direction);
        });
    }

    head(column, at) {
        const attributes = { scope: "col", class: column.number ? "number" : null, "data-column": column.title };
        if (!column.value) return h("th", attributes, h("span", {}, column.title), this.handle(column, at));
        const act = () => {
            this.order = { column, down: this.order?.column === column && !this.order.down };
            this.keep();
            this.sort();
            this.ordered();
        };
        const title = [column.about, "Shift and arrows: its width"].filter(Boolean).join(". ");
        const keydown = (event) => event.shiftKey && this.press(event, column, at);
        const button = h("button", { type: "button", title, on: { click: act, keydown } }, column.title);
        return h("th", attributes, button, this.handle(column, at));
    }

    /** An arrow makes a column wider or narrower. */
    press(event, column, at) {
        const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
        if (!by) return;
        event.preventDefault();
        this.resize(column, at, this.width(column) + by);
        this.keep();
    }

    resize(column, at, width) {
        this.chosen.widths[column.title] = Math.round(Math.min(MOST, Math.max(LEAST, width)));
        this.widen(at, this.width(column));
        this.ordered();
    }

    /** What a column is dragged wider and narrower with; pressed twice it is as it was. */
    handle(column, at) {
        const down = (event) => {
            event.preventDefault();
            const [from, width] = [event.clientX, this.heads[at].getBoundingClientRect().width];
            const move = ({ clientX }) => this.resize(column, at, width + clientX - from);
            const up = () => {
                handle.removeEventListener("pointermove", move);
                this.keep();
            };
            handle.setPointerCapture(event.pointerId);
            handle.addEventListener("pointermove", move);
            handle.addEventListener("lostpointercapture", up, { once: true });
        };
        const reset = () => {
            delete this.chosen.widths[column.title];
            this.keep();
            this.widen(at, this.width(column));
            this.ordered();
        };
        // Not on the way of the Tab key: the titles have keys for it.
        const handle = h("span", {
            class: "handle",
            role: "separator",
            tabindex: "-1",
            "aria-orientation": "vertical",
            "aria-label": `Width of ${column.title}`,
            on: { pointerdown: down, dblclick: reset, keydown: (event) => this.press(event, column, at) },
        });
        return handle;
    }

    input(column) {
        if (!column.value) return null;
        const label = `Filter ${column.title}`;
        const placeholder = column.number ? ">0, 1..9" : "";
        const input = h("input", { type: "search", "aria-label": label, placeholder, title: TYPED });
        input.value = this.filters.get(column.title) ?? "";
        input.addEventListener("input", () => {
            if (input.value.trim()) this.filters.set(column.title, input.value);
            else this.filters.delete(column.title);
            this.filtered();
        });
        return input;
    }

    /** Shows or hides where filters are typed; hidden ones filter nothing. */
    filter(on) {
        this.isFiltering = on;
        if (!on) this.filters.clear();
        this.changed();
        if (on) this.inputs.find(Boolean)?.focus();
    }

    /** What the columns are chosen with. */
    menu() {
        const list = h("div");
        const box = menu("Columns", [list, button("As they were", () => this.choose({}, {}))], { "data-menu": "columns" });
        const fill = () => {
            if (!box.open) return;
            list.replaceChildren(...this.all.map((column) => this.choice(column)));
        };
        box.addEventListener("toggle", fill);
        return box;
    }

    choice(column) {
        const change = (event) => this.choose({ ...this.chosen.shown, [column.title]: event.target.checked }, this.chosen.widths);
        const box = h("input", { type: "checkbox", on: { change } });
        box.checked = this.shown.includes(column);
        return h("label", { class: "flag" }, box, column.title);
    }

    choose(shown, widths) {
        Object.assign(this.chosen, { shown, widths });
        this.keep();
        this.changed();
    }
}
