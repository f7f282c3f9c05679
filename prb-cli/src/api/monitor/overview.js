// How everything is, for one look.

import { get, link } from "./api.js";
import { bar, card, facts, h, items, say } from "./dom.js";
import { number } from "./format.js";
import { Grid } from "./grid.js";
import { counted, state } from "./kinds.js";
import { compare } from "./list.js";
import { COLUMNS as OPERATORS } from "./operators.js";

const STREAMS = [
    ["relay", "Relay chain headers", "relay"],
    ["para", "Parachain headers", "para"],
    ["changes", "Storage changes", "para"],
];
const BEHIND = 100;

/** Rows of the heights: what is stored, what is finalized, and what is left between. */
export function heights({ heights, finalized }) {
    return STREAMS.map(([key, name, of]) => {
        const span = heights?.[key] ?? null;
        // Nodes are asked now and then; what is stored was finalized, too.
        const told = finalized?.[of] ?? null;
        const head = span && told !== null ? Math.max(told, span[1]) : told;
        const left = span && head !== null ? head - span[1] : null;
        return { name, first: span?.[0] ?? null, last: span?.[1] ?? null, head, left };
    });
}

function toGo({ left }) {
    if (left === null) return { text: null };
    return { text: left === 0 ? "at the tip" : number(left), tone: left > BEHIND ? "warn" : "good" };
}

const CHAINS = [
    { title: "Stream", value: (row) => row.name, width: 18 },
    counted("Stored to", (row) => row.last, { width: 10 }),
    counted("Finalized", (row) => row.head, { width: 10 }),
    counted("Left", (row) => row.left, { cell: toGo, width: 8 }),
    counted("From", (row) => row.first, { less: true, width: 10 }),
];

function ofSource({ trouble, in_use: isUsed }) {
    if (trouble) return "bad";
    return isUsed ? "good" : "note";
}

const SOURCES = [
    { title: "Source", value: (row) => row.name, width: 22 },
    { title: "Chain", value: (row) => row.chain ?? "both", width: 11 },
    counted("Height", (row) => row.height, { width: 10 }),
    state("State", (row) => row.trouble ?? (row.in_use ? "in use" : "in reserve"), ofSource, { width: 18 }),
];

export function overview(main) {
    const ready = h("p");
    const reasons = h("ul", { class: "plain" });
    const [about, paid] = [h("dl"), h("dl")];
    const stages = h("ul", { class: "plain tally" });
    const blocks = new Grid({ label: "Heights", key: (row) => row.name, columns: CHAINS });
    const sources = new Grid({
        label: "Sources of data",
        none: "No source is asked yet.",
        key: (row) => `${row.chain} ${row.name}`,
        columns: SOURCES,
    });
    const accounts = new Grid({
        label: "Accounts",
        none: "There are no operators; set one for a pool.",
        key: (row) => row.name,
        columns: OPERATORS,
    });
    main.append(
        bar(h("h1", {}, "Overview")),
        h(
            "div",
            { class: "cards" },
            card("State", ready, reasons, about),
            card("Workers by stage", stages),
            card("Transactions", paid, h("p", {}, h("a", { href: link("transactions") }, "All transactions"))),
        ),
        h(
            "div",
            { class: "cards wide" },
            card("Chains", blocks.element),
            card("Sources", sources.element),
        ),
        card("Accounts", accounts.element),
    );

    function see(seen) {
        say(ready, seen.ready ? "Ready: everything gets on" : "Not ready", seen.ready ? "state good" : "state bad");
        items(reasons, seen.reasons.map((text) => [text]));
        facts(about, [
            ["Version", seen.version],
            ["Chains", seen.parachain === null ? null : seen.parachain ? "relay chain and parachain" : "one chain"],
        ]);
        blocks.show(heights(seen).filter((row) => row.name !== STREAMS[0][1] || seen.parachain !== false));
        sources.show(seen.sources);
        const { total, in_trouble, stages: counts } = seen.workers;
        const rows = Object.entries(counts).map(([stage, count]) => [`${number(count)} ${stage}`, link("workers", "", { state: stage })]);
        const trouble = [`${number(in_trouble)} in trouble`, link("workers", "", { trouble: true }), "bad"];
        items(stages, [[`${number(total)} in all`, link("workers")], ...(in_trouble ? [trouble] : []), ...rows]);
        const sent = seen.transactions;
        facts(paid, sent === null ? [["Made by", "prb trade"]] : ofTransactions(sent));
    }

    function show([seen, operators]) {
        see(seen);
        accounts.show([...operators.operators].sort((a, b) => compare(a.name, b.name)));
    }

    return {
        load: () => Promise.all([get("v1/overview"), get("v1/operators")]),
        show,
        heard: { overview: see, inventory: null },
        end: () => [blocks, sources, accounts].forEach((grid) => grid.end()),
    };
}

function ofTransactions({ paused, states }) {
    const counts = Object.entries(states).map(([state, count]) => [state, number(count)]);
    return [["Sending", paused ? "paused" : "on", paused ? "state warn" : "state good"], ...counts];
}
