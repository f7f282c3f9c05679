// A table of many rows: only those in view are in the document, and a cell is touched only if it says something else.

import { h } from "./dom.js";
import { kept, sorted, visible } from "./list.js";

/**
 * Columns are `{ title, value, cell, number, less, buttons }`: `value(row)` is what is ordered by; `cell(row)` a text, or
 * `{ text, href, title, tone }`; `less` are left out on small screens; `buttons` are `[label, act(row)]`.
 */
export class Grid {
    constructor({ columns, key, label, none = "There are none.", select = null, order = null }) {
        Object.assign(this, { columns, key, none, select, order });
        this.rows = [];
        this.shown = [];
        this.selection = new Set();
        this.lines = new Map();
        this.height = 40;
        this.heads = columns.map((column) => this.head(column));
        this.all = h("input", { type: "checkbox", "aria-label": "Select all that are listed", on: { change: () => this.toggleAll() } });
        const heads = select ? [h("th", { scope: "col" }, this.all), ...this.heads] : this.heads;
        const width = String(heads.length);
        this.above = h("td", { class: "pad", colspan: width });
        this.below = h("td", { class: "pad", colspan: width });
        this.first = h("tr", { "aria-hidden": "true" }, this.above);
        this.last = h("tr", { "aria-hidden": "true" }, this.below);
        this.body = h("tbody", {}, this.first, this.last);
        this.table = h("table", { "aria-label": label }, h("thead", {}, h("tr", { "aria-rowindex": "1" }, ...heads)), this.body);
        this.empty = h("p", { class: "none" }, "…");
        this.element = h("div", { class: "grid", tabindex: "0", role: "region", "aria-label": label }, this.table, this.empty);
        this.element.addEventListener("scroll", () => this.later(), { passive: true });
        this.resized = new ResizeObserver(() => this.later());
        this.resized.observe(this.element);
    }

    end() {
        this.resized.disconnect();
    }

    head(column) {
        const type = [column.number ? "number" : "", column.less ? "less" : ""].join(" ").trim();
        if (!column.value) return h("th", { scope: "col", class: type }, column.title);
        const act = () => {
            const down = this.order?.column === column && !this.order.down;
            this.order = { column, down };
            this.draw();
        };
        return h("th", { scope: "col", class: type, "aria-sort": "none" }, h("button", { type: "button", on: { click: act } }, column.title));
    }

    /** Shows these rows. Of the selection stays what `there` still has, also where it is filtered out. */
    show(rows, there = rows) {
        this.rows = rows;
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
        const on = this.all.checked;
        for (const row of this.rows) this.mark(row, on);
        this.draw();
    }

    mark(row, on) {
        if (on) this.selection.add(this.key(row));
        else this.selection.delete(this.key(row));
    }

    draw() {
        const { order } = this;
        this.shown = order ? sorted(this.rows, order.column.value, order.down) : this.rows;
        this.columns.forEach((column, at) => {
            if (!column.value) return;
            const direction = order?.column === column ? (order.down ? "descending" : "ascending") : "none";
            this.heads[at].setAttribute("aria-sort", direction);
        });
        this.empty.hidden = this.shown.length > 0;
        this.empty.textContent = this.none;
        this.table.setAttribute("aria-rowcount", String(this.shown.length + 1));
        if (this.select) {
            const marked = this.rows.filter((row) => this.selection.has(this.key(row))).length;
            this.all.checked = marked > 0 && marked === this.rows.length;
            this.all.indeterminate = marked > 0 && marked < this.rows.length;
            this.select(this.selection.size);
        }
        this.place();
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
            const change = (event) => {
                this.mark(line.row, event.target.checked);
                this.draw();
            };
            line.box = h("input", { type: "checkbox", on: { change } });
            line.element.append(h("td", {}, line.box));
        }
        line.cells = this.columns.map((column) => {
            const type = [column.number ? "number" : "", column.less ? "less" : ""].join(" ").trim();
            const cell = h("td", { class: type });
            for (const [label, act] of column.buttons ?? []) {
                cell.append(h("button", { type: "button", on: { click: () => act(line.row) } }, label));
            }
            line.element.append(cell);
            return { cell, said: {} };
        });
        return line;
    }

    fill(line, row, at) {
        line.row = row;
        line.element.setAttribute("aria-rowindex", String(at + 2));
        if (this.select) {
            const on = this.selection.has(this.key(row));
            line.box.checked = on;
            line.element.classList.toggle("selected", on);
            line.box.setAttribute("aria-label", `Select ${row.name ?? this.key(row)}`);
        }
        this.columns.forEach((column, index) => {
            if (column.buttons) return;
            const found = column.cell ? column.cell(row) : column.value(row);
            const { text, href = "", title = "", tone = "" } = typeof found === "object" && found !== null ? found : { text: found };
            const shown = text === null || text === undefined || text === "" ? "–" : String(text);
            const { cell, said } = line.cells[index];
            if (said.text === shown && said.href === href && said.title === title && said.tone === tone) return;
            line.cells[index].said = { text: shown, href, title, tone };
            let child = cell.firstElementChild;
            const tag = href ? "A" : "SPAN";
            if (child?.tagName !== tag) {
                child = h(tag.toLowerCase());
                cell.replaceChildren(child);
            }
            if (href) child.setAttribute("href", href);
            child.textContent = shown;
            child.className = tone;
            cell.title = title || shown;
        });
    }
}
