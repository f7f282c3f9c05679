// Which rows are shown, and in what order. Pure.

/** Orders two values: numbers by size, texts as people count (`w2` before `w10`), what is not known last. */
export function compare(a, b) {
    const known = (value) => value !== null && value !== undefined && value !== "";
    if (!known(a) || !known(b)) return Number(known(b)) - Number(known(a));
    if (typeof a === "number" && typeof b === "number") return a - b;
    return collator.compare(String(a), String(b));
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** A copy in the order of a value, `down` if the largest is first. What is not known stays last, what is equal as it was. */
export function sorted(rows, value, down) {
    const known = (found) => found !== null && found !== undefined && found !== "";
    return rows
        .map((row) => ({ row, of: value(row) }))
        .sort((a, b) => {
            const order = compare(a.of, b.of);
            return down && known(a.of) && known(b.of) ? -order : order;
        })
        .map(({ row }) => row);
}

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
export function isWanted(worker, { text = "", state = "", pool = "", trouble = false }) {
    if (state && stage(worker) !== state) return false;
    if (pool && String(worker.pool) !== String(pool)) return false;
    if (trouble && !isTroubled(worker)) return false;
    const part = text.trim().toLowerCase();
    if (!part) return true;
    const texts = SEARCHED.map((key) => worker[key]).concat(worker.last_message?.text);
    return texts.some((found) => found && String(found).toLowerCase().includes(part));
}

/** Which of `total` rows are drawn: `[first, end)`. */
export function visible(total, rowHeight, top, height, more = 12) {
    const first = Math.min(Math.max(0, Math.floor(top / rowHeight) - more), total);
    const end = Math.min(total, Math.max(0, Math.ceil((top + height) / rowHeight)) + more);
    return [Math.min(first, end), end];
}

/** Milliseconds until the next question after so many failures in a row. */
export function pause(failures, every = 3000, longest = 60000) {
    return failures === 0 ? every : Math.min(longest, every * 2 ** Math.min(failures - 1, 16));
}

/** What of a selection there still is. */
export function kept(selection, rows, key) {
    const there = new Set(rows.map(key));
    return new Set([...selection].filter((one) => there.has(one)));
}

/** Page and parameters of an address: `#/worker/ID?x=y`. */
export function route(hash) {
    const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
    const [page, ...rest] = path.split("/");
    let name = rest.join("/");
    try {
        name = decodeURIComponent(name);
    } catch {
        // Typed by hand; whoever is asked for it says that there is no such thing.
    }
    return { page: page || "overview", name, query: new URLSearchParams(query) };
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
