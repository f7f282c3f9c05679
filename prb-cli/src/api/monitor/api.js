// Talks to the API that this page comes from.

import { pause } from "./list.js";

/** Where the API is: beside the folder of this page, also below a path of a proxy. */
const BASE = new URL("../", import.meta.url);
const PATIENCE = 15000;
const TOKEN = "prb-token";
/** Rows of a page of workers, the API's most, and most pages. */
const ROWS = 1000;
const PAGES = 20;

/** A refusal, or no answer at all (status 0). */
export class ApiError extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

// Where storage is forbidden the token lasts as long as the page.
let held = "";
try {
    held = sessionStorage.getItem(TOKEN) ?? "";
} catch {
    held = "";
}

/** Whether a token is shown. */
export function hasToken() {
    return held !== "";
}

/** Shows this token from now on; none if it is empty. It is kept until the tab is closed. */
export function setToken(token) {
    held = token;
    try {
        if (token) sessionStorage.setItem(TOKEN, token);
        else sessionStorage.removeItem(TOKEN);
    } catch {
        // Kept in the page.
    }
}

async function ask(method, path, body) {
    const headers = {};
    if (held) headers.Authorization = `Bearer ${held}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    let text;
    try {
        response = await fetch(new URL(path, BASE), {
            method,
            headers,
            body: body === undefined ? undefined : JSON.stringify(body),
            cache: "no-store",
            credentials: "same-origin",
            signal: AbortSignal.timeout(PATIENCE),
        });
        text = await response.text();
    } catch (error) {
        const late = error.name === "TimeoutError";
        throw new ApiError(0, late ? "no answer in time" : "the API is not reachable");
    }
    let said = null;
    try {
        said = text ? JSON.parse(text) : null;
    } catch {
        said = null;
    }
    if (!response.ok) throw new ApiError(response.status, said?.message ?? `the API answered ${response.status}`);
    if (said === null) throw new ApiError(response.status, "the answer is not understood");
    return said;
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body);

/** A configuration command. */
export const config = (command, fields) => ask("POST", "wm/config", { [command]: fields });

/** Gives a command to a worker. */
export const command = (id, verb, body) => ask("POST", `v1/workers/${encodeURIComponent(id)}/${verb}`, body);

/** All workers. */
export async function workers() {
    const all = [];
    for (let page = 0; page < PAGES; page += 1) {
        const said = await get(`v1/workers?limit=${ROWS}&offset=${page * ROWS}`);
        all.push(...said.workers);
        if (all.length >= said.total || said.workers.length === 0) break;
    }
    return all;
}

/**
 * Asks again and again, with longer pauses while it fails, and not while nobody looks.
 *
 * `told` hears each answer, `stand` how it stands after each question: since when it fails, why, and when it asks again.
 */
export class Poller {
    constructor(question, told, stand) {
        Object.assign(this, { question, told, stand });
        this.failures = 0;
        this.since = null;
        this.timer = null;
        this.ended = false;
        this.asking = null;
        this.again = false;
        this.onLook = () => {
            if (!document.hidden) this.now();
        };
        document.addEventListener("visibilitychange", this.onLook);
    }

    /** Asks at once; where a question is open, right after it, so that what was changed meanwhile is seen. */
    now() {
        if (this.asking) {
            this.again = true;
            return this.asking;
        }
        clearTimeout(this.timer);
        this.asking = this.round().finally(() => {
            this.asking = null;
            if (this.ended) return;
            if (this.again) {
                this.again = false;
                this.now();
            }
        });
        return this.asking;
    }

    end() {
        this.ended = true;
        clearTimeout(this.timer);
        document.removeEventListener("visibilitychange", this.onLook);
    }

    async round() {
        let error = null;
        try {
            const answer = await this.question();
            if (this.ended) return;
            this.told(answer);
            this.failures = 0;
            this.since = null;
        } catch (cause) {
            if (this.ended) return;
            error = cause;
            this.failures += 1;
            this.since ??= Date.now();
        }
        const wait = pause(this.failures);
        this.stand({ error, since: this.since, next: Date.now() + wait });
        if (!document.hidden) this.timer = setTimeout(() => this.now(), wait);
    }
}
