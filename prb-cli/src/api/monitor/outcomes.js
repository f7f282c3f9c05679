// Transactions as they are listed, and what to do about what became of them.

import { tell } from "./dialog.js";
import { facts, h } from "./dom.js";
import { ago, brief } from "./format.js";
import { Grid } from "./grid.js";
import { shortened, state } from "./kinds.js";

/** States of a list, in the order of a transaction's life. */
export const STATES = ["waiting", "open", "sent", "done", "failed", "rejected", "expired", "unknown"];

// Without a prototype: states come from elsewhere.
const TONES = { __proto__: null, done: "good", failed: "bad", rejected: "bad", expired: "warn", unknown: "warn", sent: "", open: "", waiting: "note" };

const HINTS = {
    __proto__: null,
    waiting:
        "It is sent when its turn comes: calls of a pool are sent together. If nothing moves, see whether sending is paused, " +
        "and whether the pool's operator can pay the fee.",
    sent: "It is on the chain's way, and is decided by a finalized block. Nothing is to be done.",
    open: "The trader has it, and works on it. What becomes of it is told where the trader runs.",
    done: "It is finalized, and every call of it took effect. Nothing is to be done.",
    failed:
        "The chain took it, for its fee, and refused what it asks: the outcome says why. Mend that; the worker tries again by " +
        "itself after a pause.",
    rejected:
        "No node takes it, and it will not get on chain; no fee was paid. See that the operator's account has the balance for its " +
        "fees, and that nobody else sends by the same account. It is asked again by itself.",
    expired:
        "It was not taken into a block in time, and cannot be any more; no fee was paid. See that the node is at the tip and " +
        "connected. It is asked again by itself.",
    unknown:
        "Nobody can tell whether it took effect. It is compared with the chain before anything like it is sent again. If that " +
        "happens often, see that the nodes keep their last blocks.",
};

/** What to do about a transaction in this state. */
export function hint(state) {
    return HINTS[state] ?? "This page does not know that state; see the message.";
}

/** When a transaction came to where it stands. */
export function at(row) {
    return row.ended ?? row.sent ?? row.accepted;
}

/** A table of transactions; its tools are remembered by `name`, `more` are buttons of each row beside that of its details. */
export function table(name, label, none, more = []) {
    const columns = [
        {
            title: "What",
            value: (row) => row.description,
            cell: ({ description }) => ({ text: brief(description), title: description ?? "" }),
            width: 36,
        },
        state("State", (row) => row.state, (row) => TONES[row.state] ?? "", { width: 10 }),
        { title: "When", value: at, cell: (row) => ({ text: ago(at(row), Date.now()), title: at(row) ?? "" }), width: 12 },
        { title: "Pool", number: true, value: (row) => row.pool, width: 6 },
        { title: "Outcome", value: (row) => row.message, width: 36 },
        { title: "Details", buttons: [["Show", details], ...more], width: 9 + 7 * more.length },
        shortened("Extrinsic", (row) => row.extrinsic, { less: true, width: 16 }),
        { title: "Id", rare: true, value: (row) => row.id, width: 24 },
    ];
    return new Grid({ name, label, none, key: (row) => row.id, columns });
}

function details(row) {
    const list = h("dl");
    facts(list, [
        ["What", row.description],
        ["State", row.state, `state ${TONES[row.state] ?? ""}`],
        row.message ? ["Outcome", row.message] : null,
        ["What to do", hint(row.state)],
        ["Pool", row.pool],
        ["Accepted", row.accepted],
        ["Sent", row.sent],
        ["Ended", row.ended],
        ["Extrinsic", row.extrinsic],
        ["Id", row.id],
    ]);
    return tell("Transaction", list);
}
