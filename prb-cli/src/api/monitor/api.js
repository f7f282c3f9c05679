// Talks to the API that this page comes from, and through it to those of other managers.

import { address } from "./route.js";

/** Where this program is: beside the folder of this page, also below a path of a proxy. */
const BASE = new URL("../", import.meta.url);
const PATIENCE = 15000;
const TOKEN = "prb-token";
/** Rows of a page of workers, the API's most, and most pages. */
const ROWS = 1000;
const PAGES = 20;
const REMEDIES = { 401: "give it with the button Token" };

/** A refusal, or no answer at all (status 0). */
export class ApiError extends Error {
    constructor(status, message, remedy = "") {
        super(remedy ? `${message} (${remedy})` : message);
        this.status = status;
    }

    /** Whether the program that answered has no such path. */
    get isMissing() {
        return [404, 405, 418, 501].includes(this.status);
    }
}

/** A value of the browser's storage; nothing where that is forbidden. */
export function remembered(storage, key) {
    try {
        return globalThis[storage].getItem(key) ?? "";
    } catch {
        return "";
    }
}

/** Keeps a value, or forgets it if it is empty. Where storage is forbidden it lasts as long as the page. */
export function remember(storage, key, value) {
    try {
        if (value) globalThis[storage].setItem(key, value);
        else globalThis[storage].removeItem(key);
    } catch {
        // Kept in the page.
    }
}

/** Tokens by the bases of those that want them, empty for this program itself: what one wants is no other's to see. */
const tokens = new Map();
let manager = { name: "", base: "" };

/** The token for who is at a base; empty without one. */
function tokenAt(base) {
    if (!tokens.has(base)) tokens.set(base, remembered("sessionStorage", tokenKey(base)));
    return tokens.get(base);
}

const tokenKey = (base) => (base ? `${TOKEN} ${base}` : TOKEN);

/** Whether there is a token for the manager that is asked, or with `own` for this program. */
export function hasToken(own = false) {
    return tokenAt(own ? "" : manager.base) !== "";
}

/** Shows this token to it from now on; none if it is empty. It is kept until the tab is closed. */
export function setToken(token, own = false) {
    const base = own ? "" : manager.base;
    tokens.set(base, token);
    remember("sessionStorage", tokenKey(base), token);
}

/** The manager that is asked: its name in addresses (empty for this program itself) and its base below this program's. */
export function setManager({ name, base }) {
    manager = { name, base: base.replace(/^\/+/, "").replace(/(?<=[^/])$/, "/") };
}

/** Name of the manager that is asked; empty for this program itself. */
export function managerName() {
    return manager.name;
}

/** The address of a page of the manager that is shown. */
export function link(page, name = "", query = {}) {
    return address({ manager: manager.name, page, name, query });
}

function where(path, own) {
    const url = new URL(own ? path : manager.base + path, BASE);
    // The policy forbids it, too: what is told here is meant for this program.
    if (url.origin !== BASE.origin) throw new ApiError(0, "this manager is elsewhere");
    return url;
}

/**
 * Asks, and gives the response. `own` is this program whatever manager is shown; a `body` that is no text is sent as JSON;
 * `signal` ends it, else its time is limited.
 */
export async function request(method, path, { body, type = "application/json", own = false, signal } = {}) {
    const headers = {};
    // On the way to a manager this program may want its own; it shows that to nobody.
    const token = (own ? "" : tokenAt(manager.base)) || tokenAt("");
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers["Content-Type"] = type;
    try {
        return await fetch(where(path, own), {
            method,
            headers,
            body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
            cache: "no-store",
            credentials: "same-origin",
            signal: signal ?? AbortSignal.timeout(PATIENCE),
        });
    } catch (error) {
        throw unreachable(error);
    }
}

function unreachable(error) {
    if (error instanceof ApiError) return error;
    return new ApiError(0, error.name === "TimeoutError" ? "no answer in time" : "the API is not reachable");
}

/** Asks, and gives the text of the answer. */
export async function text(method, path, options) {
    const response = await request(method, path, options);
    let said;
    try {
        said = await response.text();
    } catch (error) {
        throw unreachable(error);
    }
    if (response.ok) return said;
    const why = parsed(said);
    throw new ApiError(response.status, why?.message ?? `the API answered ${response.status}`, why?.remedy ?? REMEDIES[response.status]);
}

function parsed(said) {
    try {
        return said ? JSON.parse(said) : null;
    } catch {
        return null;
    }
}

/** Asks, and gives the JSON of the answer. */
export async function ask(method, path, options) {
    const said = await text(method, path, options);
    const value = parsed(said);
    if (value === null && said !== "null" && said.trim() !== "") throw new ApiError(0, "the answer is not understood");
    return value;
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, { body });

/** Names and bases of the managers that are shown here; this program alone where it is of a release that has no list of them. */
export async function managers() {
    try {
        const said = await ask("GET", "v1/managers", { own: true });
        if (!Array.isArray(said?.managers)) throw new ApiError(0, "the answer is not understood");
        return said.managers;
    } catch (error) {
        if (error.isMissing) return [{ name: "this", base: "/" }];
        throw error;
    }
}

/** A configuration command. */
export const config = (command, fields) => ask("POST", "wm/config", { body: { [command]: fields } });

/** The path of a worker. */
export const ofWorker = (id, rest = "") => `v1/workers/${encodeURIComponent(id)}${rest}`;

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

/** The answer of a peer of the network, asked through this program. */
export async function peer(id, method, body) {
    const path = `ptp/proxy/${encodeURIComponent(id)}/${method}`;
    const said = await ask(body === undefined ? "GET" : "POST", path, { own: true, body });
    if (said?.hasError) throw new ApiError(502, said.error?.message ?? "the peer does not answer");
    return said?.data ?? {};
}
