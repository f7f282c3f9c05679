// How fast something rises. Pure.

/** Seconds that are looked back on. */
const LONG = 300;
/** Times that are kept. */
const MOST = 600;

/** Heights over time, in seconds. */
export class Rate {
    #seen = [];

    /** Something stood at `height`. What falls begins anew: it is another one. */
    look(at, height) {
        if (height === null || height === undefined || height < 0) return;
        const last = this.#seen.at(-1);
        if (last && (height < last.height || at < last.at)) this.#seen = [];
        if (last && at === last.at) this.#seen.pop();
        this.#seen.push({ at, height });
        while (this.#seen.length > MOST || this.#seen[0].at < at - LONG) this.#seen.shift();
    }

    /** How much it rises in a second; null while too little is known. */
    perSecond() {
        const [first, last] = [this.#seen[0], this.#seen.at(-1)];
        if (!first || last.at - first.at < 2) return null;
        return (last.height - first.height) / (last.at - first.at);
    }
}

/** What is left, and the seconds it takes; null where it is not known. */
export function left(here, there, perSecond) {
    const known = (height) => height !== null && height !== undefined && height >= 0;
    if (!known(here) || !known(there)) return { left: null, eta: null };
    const blocks = Math.max(0, there - here);
    if (blocks === 0) return { left: 0, eta: 0 };
    return { left: blocks, eta: perSecond > 0 ? blocks / perSecond : null };
}
