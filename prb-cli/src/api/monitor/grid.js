// A table of many rows: only those in view are in the document, and a cell is touched only if it says something else.

import { cellOf, write } from "./cell.js";
import { Columns } from "./columns.js";
import { csv } from "./csv.js";
import { button, download, h } from "./dom.js";
import { fits } from "./filter.js";
import { between, kept, sorted, visible } from "./list.js";

/** Width of the column with the boxes, pixels. */
const BOX = 40;

/**
 * Columns are `{ title, about, value, cell, number, width, less, rare, buttons }`: `value(row)` is what is ordered by; `cell(row)` a
 * text, or `{ text, href, title, tone }`; `width` in characters; `less` are left out on small screens, `rare` until they are
 * chosen; `buttons` are `[label, act(row)]`. A table with a `name` has `tools`, and remembers what is chosen.
 */
export class Grid {
    constructor({ columns, key, label, name = "", none = "There are none.", select = null, order = null, changed = () => {} }) {
        Object.assign(this, { key, name, none, select, changed });
        this.given = [];
        this.rows = [];
        this.shown = [];
        this.selection = new Set();
        this.anchor = null;
        this.lines = new Map();
        this.height = 40;
        this.columns = new Columns({
            name,
            columns,
            order,
            changed: () => this.rebuild(),
            filtered: () => this.draw(),
            ordered: () => this.draw(),
        });
        this.all = h("input", { type: "checkbox", "aria-label": "Select all that are listed", on: { change: () => this.toggleAll() } });
        this.above = h("td", { class: "pad" });
        this.below = h("td", { class: "pad" });
        this.first = h("tr", { "aria-hidden": "true" }, this.above);
        this.last = h("tr", { "aria-hidden": "true" }, this.below);
        this.group = h("colgroup");
        this.head = h("thead");
        this.body = h("tbody", { on: { click: (event) => this.click(event), keydown: (event) => this.press(event) } }, this.first, this.last);
        this.table = h("table", { "aria-label": label, class: select ? "selects" : null }, this.group, this.head, this.body);
        this.empty = h("p", { class: "none" }, "…");
        this.element = h("div", { class: "grid", tabindex: "0", role: "region", "aria-label": label }, this.table, this.empty);
        this.element.addEventListener("scroll", () => this.later(), { passive: true });
        this.resized = new ResizeObserver(() => this.later());
        this.resized.observe(this.element);
        this.tools = name ? this.toolbar() : [];
        this.build();
    }

    end() {
        this.resized.disconnect();
        this.columns.end();
    }

    toolbar() {
        const filter = button("Filter columns", () => {
            const on = !this.columns.isFiltering;
            filter.setAttribute("aria-pressed", String(on));
            this.columns.filter(on);
        }, { "aria-pressed": "false", "data-tool": "filter" });
        const save = button("Save as CSV", () => download(`${this.name}.csv`, "text/csv", this.csv()), { "data-tool": "csv" });
        return [filter, this.columns.menu(), save];
    }

    /** What is listed, as it is listed. */
    csv() {
        const columns = this.columns.shown.filter((column) => column.value);
        return csv(columns.map(({ title }) => title), this.shown.map((row) => columns.map((column) => column.value(row))));
    }

    build() {
        const { columns } = this;
        const boxes = this.select ? [h("th", { scope: "col" }, this.all)] : [];
        this.group.replaceChildren(...(this.select ? [h("col", { class: "box" })] : []), ...columns.cols);
        const heads = h("tr", { "aria-rowindex": "1" }, ...boxes, ...columns.heads);
        const cells = columns.inputs.map((input) => h("td", {}, input));
        const filters = h("tr", { class: "filters" }, ...(this.select ? [h("td")] : []), ...cells);
        this.head.replaceChildren(heads, ...(columns.isFiltering ? [filters] : []));
        for (const cell of [this.above, this.below]) cell.colSpan = columns.shown.length + boxes.length;
    }

    rebuild() {
        this.columns.build();
        this.build();
        for (const { element } of this.lines.values()) element.remove();
        this.lines.clear();
        this.draw();
    }

    /** Shows these rows. Of the selection stays what `there` still has, also where it is filtered out. */
    show(rows, there = rows) {
        this.given = rows;
        this.selection = kept(this.selection, there, this.key);
        this.draw();
    }

    /** Those that are selected, of these rows. */
    selected(rows = this.rows) {
        return rows.filter((row) => this.selection.has(this.key(row)));
    }

    clear() {
        this.selection.clear();
        this.draw();
    }

    toggleAll() {
        for (const row of this.rows) this.mark(this.key(row), this.all.checked);
        this.draw();
    }

    mark(key, on) {
        if (on) this.selection.add(key);
        else this.selection.delete(key);
    }

    /** A line is selected by a click on it, those up to it with shift. Links, buttons and marked text stay what they are. */
    click(event) {
        if (!this.select || event.target.closest("a, button, select")) return;
        const isBox = event.target.matches("input");
        if (!isBox && !getSelection().isCollapsed && !event.shiftKey) return;
        const element = event.target.closest("tr");
        const line = [...this.lines.values()].find((one) => one.element === element);
        if (!line) return;
        const key = this.key(line.row);
        const on = !this.selection.has(key);
        const keys = event.shiftKey && this.anchor !== null ? between(this.shown.map(this.key), this.anchor, key) : [key];
        for (const one of keys) this.mark(one, on);
        if (event.shiftKey) getSelection().removeAllRanges();
        this.anchor = key;
        this.draw();
    }

    /** Arrows go from line to line. */
    press(event) {
        const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
        const element = event.target.closest("tr");
        if (!way || !element || event.target.matches("select, input:not([type=checkbox])")) return;
        const of = [...element.querySelectorAll("a, button, input")].indexOf(event.target);
        const there = element[way]?.querySelectorAll("a, button, input")[of];
        if (!there) return;
        event.preventDefault();
        there.focus();
    }

    draw() {
        const { columns } = this;
        const filters = columns.all.filter(({ title }) => columns.filters.has(title));
        const isFit = (row) =>
            filters.every((column) => fits(column.value(row), cellOf(column, row).text, columns.filters.get(column.title)));
        this.rows = filters.length ? this.given.filter(isFit) : this.given;
        const { order } = columns;
        this.shown = order ? sorted(this.rows, order.column.value, order.down) : this.rows;
        this.empty.hidden = this.shown.length > 0;
        this.empty.textContent = filters.length && this.given.length ? "Nothing fits the filters." : this.none;
        this.table.setAttribute("aria-rowcount", String(this.shown.length + 1));
        this.table.style.minWidth = `${columns.total() + (this.select ? BOX : 0)}px`;
        if (this.select) {
            const marked = this.rows.filter((row) => this.selection.has(this.key(row))).length;
            this.all.checked = marked > 0 && marked === this.rows.length;
            this.all.indeterminate = marked > 0 && marked < this.rows.length;
            this.select(this.selection.size);
        }
        this.place();
        this.changed();
    }

    later() {
        if (this.waiting) return;
        this.waiting = requestAnimationFrame(() => {
            this.waiting = null;
            this.place();
        });
    }

    /** Puts the rows that are in view into the document. */
    place() {
        const any = this.lines.values().next().value;
        if (any?.element.isConnected) this.height = any.element.getBoundingClientRect().height || this.height;
        const { shown, height, element } = this;
        const [from, end] = visible(shown.length, height, element.scrollTop, element.clientHeight || 800);
        const before = this.lines;
        this.lines = new Map();
        // First away with what is left: a line that is moved loses the focus.
        const wanted = new Set(shown.slice(from, end).map(this.key));
        for (const [key, line] of before) if (!wanted.has(key)) line.element.remove();
        let next = this.first.nextSibling;
        for (let at = from; at < end; at += 1) {
            const row = shown[at];
            const key = this.key(row);
            const line = before.get(key) ?? this.line();
            this.lines.set(key, line);
            this.fill(line, row, at);
            if (line.element === next) next = next.nextSibling;
            else this.body.insertBefore(line.element, next);
        }
        this.above.style.height = `${from * height}px`;
        this.below.style.height = `${(shown.length - end) * height}px`;
    }

    line() {
        const line = { element: h("tr"), row: null, box: null, cells: [] };
        if (this.select) {
            line.box = h("input", { type: "checkbox" });
            line.element.append(h("td", {}, line.box));
        }
        line.cells = this.columns.shown.map((column) => {
            const cell = h("td", { class: column.number ? "number" : null, "data-column": column.title });
            for (const [label, act] of column.buttons ?? []) cell.append(button(label, () => act(line.row), { "data-act": label }));
            line.element.append(cell);
            return { cell, said: {} };
        });
        return line;
    }

    fill(line, row, at) {
        line.row = row;
        line.element.setAttribute("aria-rowindex", String(at + 2));
        line.element.dataset.key = this.key(row);
        if (this.select) {
            const on = this.selection.has(this.key(row));
            line.box.checked = on;
            line.element.classList.toggle("selected", on);
            line.box.setAttribute("aria-label", `Select ${row.name ?? this.key(row)}`);
        }
        this.columns.shown.forEach((column, index) => {
            if (!column.buttons) write(line.cells[index], cellOf(column, row));
        });
    }
}
