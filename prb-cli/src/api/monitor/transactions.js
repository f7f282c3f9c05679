// Transactions: what is under way, and what came of the others.

import { get, link, post } from "./api.js";
import { confirm } from "./dialog.js";
import { bar, button, h, options, say, space, toast } from "./dom.js";
import { number } from "./format.js";
import { STATES, table } from "./outcomes.js";

const ROWS = 100;

/** How sending stands, and its colour. */
function standing({ paused, queue }) {
    if (queue?.trouble) return [`${queue.trouble}; ${queue.ended}`, "state warn"];
    if (queue) return [`The trader ${queue.trader} is at work; ${queue.ended}`, "state good"];
    return paused ? ["Paused: nothing is sent", "state warn"] : ["Transactions are sent", "state good"];
}

export function transactions(main, { query }, again) {
    const filter = { state: query.get("state") ?? "", pool: query.get("pool") ?? "" };
    let paused = false;
    let offset = 0;
    const running = table("transactions-sent", "Transactions under way", "Nothing is under way.");
    const queue = table("transactions-waiting", "Transactions that wait", "Nothing waits.");
    const past = table("transactions", "Transactions", "There are none.");
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
        const wanted = Object.entries(filter).filter(([, value]) => value);
        const asked = new URLSearchParams([["offset", offset], ["limit", ROWS], ...wanted]);
        const of = filter.pool ? `&pool=${encodeURIComponent(filter.pool)}` : "";
        try {
            return await Promise.all([
                get(`v1/transactions?state=sent&limit=1000${of}`),
                get(`v1/transactions?state=waiting&limit=1000${of}`),
                get(`v1/transactions?${asked}`),
            ]);
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
        const [sent, waiting, page] = answer;
        paused = page.paused;
        toggle.hidden = paused === null;
        say(stand, ...standing(page));
        say(toggle, paused ? "Resume" : "Pause", "");
        // A queue in Redis tells of those that the trader has, not how far they are.
        const open = page.transactions.filter((row) => row.state === "open");
        running.show([...sent.transactions, ...open]);
        queue.show(waiting.transactions);
        past.show(page.transactions);
        say(ofRunning, number(sent.total + open.length), "count");
        say(ofQueue, number(waiting.total), "count");
        const there = [...pool.options].map((option) => option.value).filter(Boolean);
        const pools = [...sent.transactions, ...waiting.transactions, ...page.transactions].map((row) => row.pool);
        options(pool, "All pools", [...there, ...pools.filter((pid) => pid !== null).map(String)], filter.pool);
        newer.disabled = offset === 0;
        older.disabled = offset + ROWS >= page.total;
        const last = Math.min(offset + ROWS, page.total);
        say(place, page.total ? `${number(offset + 1)} to ${number(last)} of ${number(page.total)}` : "", "note");
    }

    const end = () => [running, queue, past].forEach((grid) => grid.end());
    return { load, show, heard: { transactions: null }, end };
}
