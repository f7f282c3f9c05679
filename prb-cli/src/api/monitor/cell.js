// Cells of a table.

import { h } from "./dom.js";

/** What a cell says. */
export function cellOf(column, row) {
    const found = column.cell ? column.cell(row) : column.value(row);
    const { text, href = "", title = "", tone = "" } = typeof found === "object" && found !== null ? found : { text: found };
    return { text: text === null || text === undefined || text === "" ? "–" : String(text), href, title, tone };
}

/** Writes it where it says something else. */
export function write(place, now) {
    const { cell, said } = place;
    if (said.text === now.text && said.href === now.href && said.title === now.title && said.tone === now.tone) return;
    place.said = now;
    let child = cell.firstElementChild;
    const tag = now.href ? "A" : "SPAN";
    if (child?.tagName !== tag) {
        child = h(tag.toLowerCase());
        cell.replaceChildren(child);
    }
    if (now.href) child.setAttribute("href", now.href);
    child.textContent = now.text;
    child.className = now.tone;
    cell.title = now.title || now.text;
}
