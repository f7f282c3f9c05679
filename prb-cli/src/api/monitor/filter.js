// Which rows are wanted. Pure.

/** The stage of a worker as it is filtered. */
export function stage(worker) {
    return worker.stage ?? "NotRunning";
}

/** Whether somebody should look after a worker. */
export function isTroubled(worker) {
    return worker.enabled && Boolean(worker.trouble);
}

const SEARCHED = ["name", "id", "endpoint", "public_key", "version", "trouble"];

/** Whether a worker is wanted: `text` is a part of what names it or tells of it, however it is written. */
export function isWanted(worker, { text = "", state = "", pool = "", tag = "", trouble = false }) {
    if (state && stage(worker) !== state) return false;
    if (pool && String(worker.pool) !== String(pool)) return false;
    if (tag && !(worker.tags ?? []).includes(tag)) return false;
    if (trouble && !isTroubled(worker)) return false;
    const texts = SEARCHED.map((key) => worker[key]).concat(worker.tags ?? [], worker.last_message?.text);
    return hasText(texts, text);
}

/** Whether one of the texts has a part, however it is written. */
export function hasText(texts, text) {
    const part = text.trim().toLowerCase();
    return !part || texts.some((found) => found !== null && found !== undefined && String(found).toLowerCase().includes(part));
}

const BOUND = /^(<=|>=|<|>|=)\s*(-?[\d.]+)$/;
const BETWEEN = /^(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)$/;
const ORDERS = {
    "<": (a, b) => a < b,
    ">": (a, b) => a > b,
    "<=": (a, b) => a <= b,
    ">=": (a, b) => a >= b,
    "=": (a, b) => a === b,
};

/**
 * Whether a cell fits what is typed above its column: a part of its text; of numbers also `>100`, `<=5`, `10..20`; with `!`
 * before it whatever does not fit; `-` alone is what is not known.
 */
export function fits(value, shown, typed) {
    const wanted = typed.trim();
    if (!wanted) return true;
    if (wanted.length > 1 && wanted.startsWith("!")) return !fits(value, shown, wanted.slice(1));
    const known = value !== null && value !== undefined && value !== "";
    if (wanted === "-" || wanted === "–") return !known;
    const plain = wanted.replace(/[\s\u202f_]/g, "");
    const bound = BOUND.exec(plain);
    if (bound) return known && ORDERS[bound[1]](Number(value), Number(bound[2]));
    const between = BETWEEN.exec(plain);
    if (between) return known && Number(value) >= Number(between[1]) && Number(value) <= Number(between[2]);
    if (typeof value === "number" && /^\d+$/.test(plain) && String(value).includes(plain)) return true;
    return hasText([shown, value], wanted);
}
