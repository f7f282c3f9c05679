// Lines of values for files and the clipboard. Pure.

/** What it is likely that a text is: JSON, YAML or CSV. */
export function format(text, name = "") {
    const ending = /\.(csv|ya?ml|json)$/i.exec(name)?.[1].toLowerCase();
    if (ending) return ending === "yml" ? "yaml" : ending;
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    const first = lines.find((line) => line && !line.startsWith("#")) ?? "";
    if (/^[{[]/.test(first)) return "json";
    return /^(---|[A-Za-z_]+\s*:|- )/.test(first) && !first.includes(",") ? "yaml" : "csv";
}

/** Rows as CSV; values of a spreadsheet's formula stay text. */
export function csv(heads, rows) {
    return [heads, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value) {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
