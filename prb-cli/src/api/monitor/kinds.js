// Kinds of columns that tables share. Each is a title, what is ordered and filtered by, and `more` of a column (see `Grid`).

import { number, short } from "./format.js";

/** Whole numbers. */
export function counted(title, value, more = {}) {
    return { title, number: true, value, cell: (row) => number(value(row)), ...more };
}

/** Long texts, their middle left out. */
export function shortened(title, value, more = {}) {
    return { title, value, width: 18, cell: (row) => ({ text: short(value(row)), title: value(row) ?? "" }), ...more };
}

/** States: a word, and the colour that `tone(row)` gives. */
export function state(title, value, tone, more = {}) {
    return { title, value, cell: (row) => ({ text: value(row), tone: `state ${tone(row)}` }), ...more };
}

/** Buttons for a row, `[label, act(row)]`. */
export function actions(width, ...buttons) {
    return { title: "Actions", width, buttons };
}
