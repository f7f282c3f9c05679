// How everything is, for one look.

import { get } from "./api.js";
import { facts, h, say } from "./dom.js";
import { number, pha, short } from "./format.js";
import { Grid } from "./grid.js";
import { compare } from "./list.js";

const STREAMS = [
    ["relay", "Relay chain headers", "relay"],
    ["para", "Parachain headers", "para"],
    ["changes", "Storage changes", "para"],
];

/** Rows of the heights: what is stored, what is finalized, and what is left between. */
export function heights({ heights, finalized }) {
    return STREAMS.map(([key, name, of]) => {
        const span = heights?.[key] ?? null;
        const head = finalized?.[of] ?? null;
        const left = span && head !== null ? Math.max(0, head - span[1]) : null;
        return { name, first: span?.[0] ?? null, last: span?.[1] ?? null, head, left };
    });
}

export function overview(main) {
    const ready = h("p");
    const reasons = h("ul", { class: "plain" });
    const about = h("dl");
    const blocks = new Grid({
        label: "Heights",
        key: (row) => row.name,
        columns: [
            { title: "Stream", cell: (row) => row.name },
            { title: "Stored to", number: true, cell: (row) => number(row.last) },
            { title: "Finalized", number: true, cell: (row) => number(row.head) },
            { title: "Left", number: true, cell: (row) => ({ text: number(row.left), tone: row.left > 100 ? "warn" : "" }) },
            { title: "From", number: true, less: true, cell: (row) => number(row.first) },
        ],
    });
    const sources = new Grid({
        label: "Sources of data",
        none: "No source is asked yet.",
        key: (row) => `${row.chain} ${row.name}`,
        columns: [
            { title: "Source", cell: (row) => row.name },
            { title: "Chain", cell: (row) => row.chain ?? "both" },
            { title: "Height", number: true, cell: (row) => number(row.height) },
            {
                title: "State",
                cell: (row) =>
                    row.trouble ? { text: row.trouble, tone: "bad" } : { text: row.in_use ? "in use" : "in reserve", tone: "good" },
            },
        ],
    });
    const stages = h("ul", { class: "plain" });
    const paid = h("dl");
    const accounts = new Grid({
        label: "Accounts",
        none: "There are no operators; set one for a pool.",
        key: (row) => row.name,
        columns: [
            { title: "Operator", value: (row) => row.name },
            { title: "Account", cell: (row) => ({ text: short(row.address), title: row.address }) },
            { title: "For", cell: (row) => ({ text: short(row.proxied_address), title: row.proxied_address ?? "itself" }) },
            { title: "Pools", cell: (row) => row.pools.join(", ") },
            { title: "Fees paid", number: true, value: (row) => Number(row.fees_paid), cell: (row) => pha(row.fees_paid) },
        ],
    });
    main.append(
        h("h1", {}, "Overview"),
        h(
            "div",
            { class: "cards" },
            h("section", { class: "card" }, h("h2", {}, "State"), ready, reasons, about),
            h("section", { class: "card" }, h("h2", {}, "Workers by stage"), stages),
            h("section", { class: "card" }, h("h2", {}, "Transactions"), paid),
            h("section", { class: "card wide" }, h("h2", {}, "Chains"), blocks.element),
            h("section", { class: "card wide" }, h("h2", {}, "Sources"), sources.element),
            h("section", { class: "card wide" }, h("h2", {}, "Accounts"), accounts.element),
        ),
    );

    function show([seen, { operators }]) {
        say(ready, seen.ready ? "Ready: everything gets on" : "Not ready", seen.ready ? "good" : "bad");
        list(reasons, seen.reasons.map((text) => [text, "", text]));
        facts(about, [
            ["Version", seen.version],
            ["Chains", seen.parachain === null ? "–" : seen.parachain ? "relay chain and parachain" : "one chain"],
        ]);
        blocks.show(heights(seen).filter((row) => row.name !== STREAMS[0][1] || seen.parachain !== false));
        sources.show(seen.sources);
        accounts.show([...operators].sort((a, b) => compare(a.name, b.name)));
        const { total, in_trouble, stages: counts } = seen.workers;
        const rows = Object.entries(counts).map(([stage, count]) => [
            `${stage}: ${number(count)}`,
            `#/workers?state=${encodeURIComponent(stage)}`,
            stage,
        ]);
        const all = [`All: ${number(total)}`, "#/workers", "all"];
        const trouble = [`In trouble: ${number(in_trouble)}`, "#/workers?trouble=1", "trouble"];
        list(stages, [all, ...(in_trouble ? [trouble] : []), ...rows]);
        const sent = seen.transactions;
        facts(
            paid,
            sent === null
                ? [["Made by", "prb trade"]]
                : [
                      ["Sending", sent.paused ? "paused" : "on", sent.paused ? "warn" : "good"],
                      ...Object.entries(sent.states).map(([state, count]) => [state, number(count)]),
                  ],
        );
    }

    return {
        load: () => Promise.all([get("v1/overview"), get("v1/operators")]),
        show,
        end: () => [blocks, sources, accounts].forEach((grid) => grid.end()),
    };
}

/** Writes `[text, address, key]` into a list, and keeps the items that are as they were. */
function list(element, rows) {
    while (element.children.length > rows.length) element.lastElementChild.remove();
    rows.forEach(([text, href], at) => {
        let item = element.children[at];
        const tag = href ? "A" : "SPAN";
        if (!item) element.append((item = h("li")));
        if (item.firstElementChild?.tagName !== tag) item.replaceChildren(h(tag.toLowerCase()));
        const child = item.firstElementChild;
        if (href) child.setAttribute("href", href);
        say(child, text);
    });
}
