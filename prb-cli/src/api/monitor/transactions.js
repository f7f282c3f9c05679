// Transactions: what is under way, and what came of the others.

import { get, post } from "./api.js";
import { button, confirm, h, say, toast } from "./dom.js";
import { ago, number, short } from "./format.js";
import { Grid } from "./grid.js";

const ROWS = 100;
const STATES = ["done", "failed", "rejected", "expired", "unknown", "sent", "waiting"];
const TONES = { done: "good", failed: "bad", rejected: "bad", expired: "warn", unknown: "warn" };

/** When a transaction came to where it stands. */
export function at(row) {
    return row.ended ?? row.sent ?? row.accepted;
}

function table(label, none) {
    const columns = [
        { title: "When", value: at, cell: (row) => ({ text: ago(at(row), Date.now()), title: at(row) ?? "" }) },
        { title: "State", value: (row) => row.state, cell: (row) => ({ text: row.state, tone: TONES[row.state] ?? "" }) },
        { title: "Details", buttons: [["Show", details]] },
        { title: "Pool", number: true, value: (row) => row.pool },
        { title: "What", value: (row) => row.description },
        { title: "Outcome", value: (row) => row.message },
        { title: "Extrinsic", less: true, cell: (row) => ({ text: short(row.extrinsic), title: row.extrinsic ?? "" }) },
        { title: "Id", less: true, value: (row) => row.id },
    ];
    return new Grid({ label, none, key: (row) => row.id, columns });
}

function details(row) {
    const lines = ["state", "pool", "description", "message", "accepted", "sent", "ended", "extrinsic"];
    const told = lines.filter((key) => row[key] !== null).map((key) => `${key}: ${row[key]}`);
    return confirm(`Transaction ${row.id}`, told, { act: "Close" });
}

export function transactions(main, _route, again) {
    let paused = false;
    let offset = 0;
    const open = table("Transactions under way", "Nothing is under way.");
    const past = table("Transactions", "There are none.");
    const stand = h("span", { role: "status" });
    const change = async () => {
        const verb = paused ? "resume" : "pause";
        const means = paused ? "What waits is sent." : "Nothing is sent until it is resumed, also after a restart. Workers stop getting on.";
        if (!(await confirm(paused ? "Send transactions again?" : "Pause transactions?", [means], { act: paused ? "Resume" : "Pause" }))) return;
        try {
            await post(`v1/transactions/${verb}`);
            toast(paused ? "Transactions are sent again" : "Transactions are paused");
        } catch (error) {
            toast(error.message, true);
        }
        again();
    };
    const toggle = button("Pause", change);
    toggle.hidden = true;
    const state = h(
        "select",
        { "aria-label": "State" },
        h("option", { value: "" }, "All states"),
        ...STATES.map((name) => h("option", { value: name }, name)),
    );
    const turn = (by) => {
        offset = Math.max(0, offset + by);
        again();
    };
    const newer = button("Newer", () => turn(-ROWS));
    const older = button("Older", () => turn(ROWS));
    const place = h("span", { class: "note" });
    state.addEventListener("change", () => {
        offset = 0;
        again();
    });
    main.append(
        h("h1", {}, "Transactions"),
        h("div", { class: "bar" }, stand, toggle),
        h("h2", {}, "Under way"),
        open.element,
        h("h2", {}, "All, the newest first"),
        h("div", { class: "bar" }, state, newer, older, place),
        past.element,
    );

    const load = async () => {
        const query = new URLSearchParams({ offset, limit: ROWS, ...(state.value ? { state: state.value } : {}) });
        try {
            return await Promise.all([
                get("v1/transactions?state=sent&limit=1000"),
                get("v1/transactions?state=waiting&limit=1000"),
                get(`v1/transactions?${query}`),
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
            open.show([]);
            past.show([]);
            return;
        }
        const [sent, waiting, page] = answer;
        paused = page.paused;
        toggle.hidden = false;
        say(stand, paused ? "Paused: nothing is sent" : "Transactions are sent", paused ? "warn" : "good");
        say(toggle, paused ? "Resume" : "Pause", "");
        open.show([...sent.transactions, ...waiting.transactions]);
        past.show(page.transactions);
        newer.disabled = offset === 0;
        older.disabled = offset + ROWS >= page.total;
        const last = Math.min(offset + ROWS, page.total);
        say(place, page.total ? `${number(offset + 1)} to ${number(last)} of ${number(page.total)}` : "", "note");
    }

    return { load, show, end: () => [open, past].forEach((grid) => grid.end()) };
}
