// Keeps a page up to date: by the API's events where it tells them, else by asking every three seconds.

import { request } from "./api.js";
import { EventReader, pause } from "./stream.js";

/** Nothing was heard for so long, milliseconds: the API says something every 15 s. */
const SILENCE = 40000;
/** While events come it is still asked, so that nothing that they do not tell stays old. */
const SELDOM = 60000;

/** Events of the API. `told` hears each, `stand` whether they come. */
class Stream {
    constructor(topics, told, stand) {
        Object.assign(this, { topics, told, stand });
        this.failures = 0;
        this.ended = false;
        this.abort = null;
        this.timer = null;
    }

    open() {
        if (this.ended || this.abort) return;
        clearTimeout(this.timer);
        const abort = new AbortController();
        this.abort = abort;
        this.read(abort).then(
            (again) => this.closed(abort, again),
            () => this.closed(abort, true),
        );
    }

    /** Nobody looks: the connection is given back. */
    close() {
        clearTimeout(this.timer);
        this.abort?.abort();
        this.abort = null;
        this.stand(false);
    }

    end() {
        this.ended = true;
        this.close();
    }

    closed(abort, again) {
        if (this.abort !== abort) return;
        this.abort = null;
        this.stand(false);
        if (this.ended || !again) return;
        this.failures += 1;
        const wait = pause(this.failures, 1000, 30000) * (0.75 + Math.random() / 2);
        this.timer = setTimeout(() => this.open(), wait);
    }

    /** Reads until it ends; whether it is to be tried again. */
    async read(abort) {
        let silence = setTimeout(() => abort.abort(), SILENCE);
        const heard = () => {
            clearTimeout(silence);
            silence = setTimeout(() => abort.abort(), SILENCE);
        };
        try {
            const response = await request("GET", `v1/events?topics=${this.topics.join(",")}`, { signal: abort.signal });
            const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
            if (!response.ok || !isStream || !response.body) {
                await response.body?.cancel();
                // An API without events; what else it has against it is told by the next question.
                return ![400, 404, 405, 418, 422, 501].includes(response.status) && !response.ok;
            }
            const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
            const events = new EventReader();
            for (;;) {
                const { value, done } = await reader.read();
                if (done || this.abort !== abort) return true;
                heard();
                this.failures = 0;
                this.stand(true);
                for (const { event, data } of events.push(value)) this.told(event, JSON.parse(data));
            }
        } finally {
            clearTimeout(silence);
            abort.abort();
        }
    }
}

/**
 * Keeps a page up to date. The page has `load`, which asks the API, `show`, which gets the answer, and perhaps `heard`: for
 * events by name what is done with their data; `null` is to ask again. `stand` hears how it stands: since when it fails,
 * why, when it asks again, and whether events come.
 */
export class Live {
    constructor(page, stand) {
        Object.assign(this, { page, stand, failures: 0, since: null, error: null, next: 0, timer: null, events: false });
        this.ended = false;
        this.asking = null;
        this.again = false;
        const topics = Object.keys(page.heard ?? {});
        this.stream = topics.length ? new Stream(topics, (...said) => this.heard(...said), (up) => this.streams(up)) : null;
        this.onLook = () => {
            if (document.hidden) return this.stream?.close();
            this.stream?.open();
            return this.now();
        };
        document.addEventListener("visibilitychange", this.onLook);
        if (!document.hidden) this.stream?.open();
        this.now();
    }

    /** Asks at once; where a question is open, right after it, so that what was changed meanwhile is seen. */
    now() {
        if (this.ended) return null;
        if (this.asking) {
            this.again = true;
            return this.asking;
        }
        clearTimeout(this.timer);
        this.asking = this.round().finally(() => {
            this.asking = null;
            if (this.ended || !this.again) return;
            this.again = false;
            this.now();
        });
        return this.asking;
    }

    end() {
        this.ended = true;
        clearTimeout(this.timer);
        this.stream?.end();
        document.removeEventListener("visibilitychange", this.onLook);
    }

    /** How it stands, for whoever shows it. */
    tell() {
        const { error, since, next, events } = this;
        this.stand({ error, since, next, events });
    }

    streams(up) {
        if (this.ended || up === this.events) return;
        this.events = up;
        // What was missed meanwhile is asked for, and whether anybody is there.
        if (!document.hidden) this.now();
        this.tell();
    }

    heard(event, data) {
        if (this.ended || !Object.hasOwn(this.page.heard, event)) return;
        const act = this.page.heard[event];
        if (act === null) this.soon();
        else act(data);
    }

    /** Asks again in a moment, once for all that is told until then. */
    soon() {
        this.waiting ??= setTimeout(() => {
            this.waiting = null;
            this.now();
        }, 300);
    }

    async round() {
        try {
            const answer = await this.page.load();
            if (this.ended) return;
            this.page.show(answer);
            // It may have been what another page waited for.
            if (this.ended) return;
            Object.assign(this, { failures: 0, since: null, error: null });
        } catch (cause) {
            if (this.ended) return;
            this.error = cause;
            this.failures += 1;
            this.since ??= Date.now();
        }
        const wait = pause(this.failures, this.events && !this.error ? SELDOM : this.page.every);
        this.next = Date.now() + wait;
        this.tell();
        if (!document.hidden) this.timer = setTimeout(() => this.now(), wait);
    }
}
