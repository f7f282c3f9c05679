// Transactions: what is under way, and what came of the others.

import { get, link, post } from "./api.js";
import { confirm } from "./dialog.js";
import { bar, button, h, options, say, space, toast } from "./dom.js";
import { number } from "./format.js";
import { STATES, table } from "./outcomes.js";

const ROWS = 100;
/** Rows of those that have not ended, the API's most. */
const MOST = 1000;

/** How sending stands, and its colour. */
function standing({ paused, queue }) {
    if (queue?.trouble) return [`${queue.trouble}; ${queue.ended}`, "state warn"];
    if (queue) return [`The trader ${queue.trader} is at work; ${queue.ended}`, "state good"];
    return paused ? ["Paused: nothing is sent", "state warn"] : ["Transactions are sent", "state good"];
}

/**
 * What is asked: those that are sent, those that a trader beyond Redis has (`open`: it does not tell how far they are, and others
 * have none of these), those that wait, and a page of all that are wanted.
 */
export function questions(filter, offset) {
    const of = filter.pool ? { pool: filter.pool } : {};
    const wanted = Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
    const all = [...["sent", "open", "waiting"].map((state) => ({ state, limit: MOST, ...of })), { offset, limit: ROWS, ...wanted }];
    return all.map((query) => `v1/transactions?${new URLSearchParams(query)}`);
}

export function transactions(main, { query }, again) {
    const filter = { state: query.get("state") ?? "", pool: query.get("pool") ?? "" };
    let paused = false;
    let offset = 0;
    const running = table("transactions-sent", "Transactions under way", "Nothing is under way.");
    const queue = table("transactions-waiting", "Transactions that wait", "Nothing waits.", [["Drop", drop]]);
    const past = table("transactions", "Transactions", "There are none.");
    past.element.classList.add("whole");
    const [ofRunning, ofQueue] = [h("span", { class: "count" }), h("span", { class: "count" })];
    const stand = h("span", { role: "status" });
    const toggle = button("Pause", () => change(), { "data-tool": "pause" });
    toggle.hidden = true;
    const state = h("select", { "aria-label": "State", "data-filter": "state" });
    const pool = h("select", { "aria-label": "Pool", "data-filter": "pool" });
    const newer = button("Newer", () => turn(-ROWS));
    const older = button("Older", () => turn(ROWS));
    const place = h("span", { class: "note" });
    for (const [key, select] of Object.entries({ state, pool })) {
        select.addEventListener("change", () => {
            filter[key] = select.value;
            offset = 0;
            history.replaceState(null, "", link("transactions", "", filter));
            again();
        });
    }
    options(state, "All states", STATES, filter.state);
    options(pool, "All pools", [], filter.pool);
    main.append(
        bar(h("h1", {}, "Transactions"), stand, space(), toggle),
        h("h2", {}, "Under way ", ofRunning),
        running.element,
        h("h2", {}, "Queue ", ofQueue),
        queue.element,
        h("h2", {}, "All, the newest first"),
        bar(state, pool, newer, older, place, space(), ...past.tools),
        past.element,
    );

    function turn(by) {
        offset = Math.max(0, offset + by);
        again();
    }

    async function drop(row) {
        const means = "It is not sent, and ends as rejected. The worker asks for it again where it still needs it.";
        const wanted = await confirm("Drop this transaction?", [row.description ?? row.id, means], { act: "Drop", danger: true });
        if (!wanted) return;
        try {
            await post(`v1/transactions/${encodeURIComponent(row.id)}/drop`);
            toast("The transaction is dropped");
        } catch (error) {
            toast(error.message, true);
        }
        again();
    }

    async function change() {
        const verb = paused ? "resume" : "pause";
        const means = paused ? "What waits is sent." : "Nothing is sent until it is resumed, also after a restart. Workers stop getting on.";
        const title = paused ? "Send transactions again?" : "Pause transactions?";
        if (!(await confirm(title, [means], { act: paused ? "Resume" : "Pause" }))) return;
        try {
            await post(`v1/transactions/${verb}`);
            toast(paused ? "Transactions are sent again" : "Transactions are paused");
        } catch (error) {
            toast(error.message, true);
        }
        again();
    }

    const load = async () => {
        try {
            return await Promise.all(questions(filter, offset).map(get));
        } catch (error) {
            // Made by another process: its words say where they are.
            if (error.status === 409) return error.message;
            throw error;
        }
    };

    function show(answer) {
        if (typeof answer === "string") {
            say(stand, answer, "note");
            toggle.hidden = true;
            [running, queue, past].forEach((grid) => grid.show([]));
            return;
        }
        const [sent, open, waiting, page] = answer;
        paused = page.paused;
        toggle.hidden = paused === null;
        say(stand, ...standing(page));
        say(toggle, paused ? "Resume" : "Pause", "");
        // Who only looks at a queue drops nothing.
        queue.element.classList.toggle("seen", Boolean(page.queue));
        running.show([...sent.transactions, ...open.transactions]);
        queue.show(waiting.transactions);
        past.show(page.transactions);
        say(ofRunning, number(sent.total + open.total), "count");
        say(ofQueue, number(waiting.total), "count");
        const there = [...pool.options].map((option) => option.value).filter(Boolean);
        const pools = answer.flatMap((some) => some.transactions).map((row) => row.pool);
        options(pool, "All pools", [...there, ...pools.filter((pid) => pid !== null).map(String)], filter.pool);
        newer.disabled = offset === 0;
        older.disabled = offset + ROWS >= page.total;
        const last = Math.min(offset + ROWS, page.total);
        say(place, page.total ? `${number(offset + 1)} to ${number(last)} of ${number(page.total)}` : "", "note");
    }

    const end = () => [running, queue, past].forEach((grid) => grid.end());
    return { load, show, heard: { transactions: null }, end };
}
