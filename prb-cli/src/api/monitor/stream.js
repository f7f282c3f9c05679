// Events of the API as they come over the wire, and what they make of rows. Pure.

/** Longest event that is put together, characters: ten thousand workers and more. */
const LONGEST = 32 << 20;

/** Reads `text/event-stream` piece by piece. `push` gives the events `{ event, data }` that a piece completes. */
export class EventReader {
    #left = "";
    #event = "";
    #data = [];
    #size = 0;

    push(piece) {
        const lines = (this.#left + piece).split(/\r\n|\n|\r(?!$)/);
        this.#left = lines.pop();
        const events = [];
        for (const line of lines) {
            if (line === "") this.#finish(events);
            else this.#take(line);
        }
        if (this.#left.length + this.#size > LONGEST) throw new Error("an event of the API is too long");
        return events;
    }

    #take(line) {
        const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
        if (field === "event") this.#event = value;
        if (field !== "data") return;
        this.#data.push(value);
        this.#size += value.length;
    }

    #finish(events) {
        if (this.#data.length > 0) events.push({ event: this.#event || "message", data: this.#data.join("\n") });
        [this.#event, this.#data, this.#size] = ["", [], 0];
    }
}

/** Rows by id after an event of workers: all of them, or those that changed and those that are gone. */
export function merged(rows, { all = false, workers = [], removed = [] }) {
    const next = all ? new Map() : new Map(rows);
    for (const row of workers) next.set(row.id, row);
    for (const id of removed) next.delete(id);
    return next;
}

/** Milliseconds until the next question after so many failures in a row. */
export function pause(failures, every = 3000, longest = 60000) {
    return failures === 0 ? every : Math.min(longest, every * 2 ** Math.min(failures - 1, 16));
}
