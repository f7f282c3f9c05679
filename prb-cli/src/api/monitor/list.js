// Rows: their order, which are drawn, which are selected. Pure.

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

const isKnown = (value) => value !== null && value !== undefined && value !== "";

/** Orders two values: numbers by size, texts as people count (`w2` before `w10`), what is not known last. */
export function compare(a, b) {
    if (!isKnown(a) || !isKnown(b)) return Number(isKnown(b)) - Number(isKnown(a));
    if (typeof a === "number" && typeof b === "number") return a - b;
    return collator.compare(String(a), String(b));
}

/** A copy in the order of a value, `down` if the largest is first. What is not known stays last, what is equal as it was. */
export function sorted(rows, value, down) {
    return rows
        .map((row) => ({ row, of: value(row) }))
        .sort((a, b) => {
            const order = compare(a.of, b.of);
            return down && isKnown(a.of) && isKnown(b.of) ? -order : order;
        })
        .map(({ row }) => row);
}

/** Which of `total` rows are drawn: `[first, end)`. */
export function visible(total, rowHeight, top, height, more = 12) {
    const first = Math.min(Math.max(0, Math.floor(top / rowHeight) - more), total);
    const end = Math.min(total, Math.max(0, Math.ceil((top + height) / rowHeight)) + more);
    return [Math.min(first, end), end];
}

/** What of a selection there still is. */
export function kept(selection, rows, key) {
    const there = new Set(rows.map(key));
    return new Set([...selection].filter((one) => there.has(one)));
}

/** Everything from one to another, as it is listed; the other alone where the first is not listed. */
export function between(keys, from, to) {
    const [a, b] = [keys.indexOf(from), keys.indexOf(to)];
    if (a < 0 || b < 0) return [to];
    return keys.slice(Math.min(a, b), Math.max(a, b) + 1);
}

/** Carries `act` out for all, at most `side` of them at once. What failed, with its error. */
export async function forAll(items, act, side = 4) {
    const failed = [];
    const queue = [...items];
    const work = async () => {
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
            try {
                await act(item);
            } catch (error) {
                failed.push({ item, error });
            }
        }
    };
    await Promise.all(Array.from({ length: Math.min(side, queue.length) }, work));
    return failed;
}

/** Values in pieces of at most `size`. */
export function pieces(values, size) {
    return Array.from({ length: Math.ceil(values.length / size) }, (_, at) => values.slice(at * size, (at + 1) * size));
}
