// All workers.

import { workers as all } from "./api.js";
import { button, h, say, toast } from "./dom.js";
import { duration, number, short } from "./format.js";
import { VERBS, act, order, worker as edit } from "./forms.js";
import { Grid } from "./grid.js";
import { isTroubled, isWanted, stage } from "./list.js";

const CALM = ["Working", "Gatekeeper", "SyncOnly", "Disabled"];

/** Colour of a worker's stage. */
export function tone(worker) {
    if (isTroubled(worker) || ["Unresponsive", "InAnotherPool"].includes(stage(worker))) return "bad";
    if (!worker.enabled) return "note";
    return CALM.includes(stage(worker)) ? "good" : "warn";
}

/** A worker's stage, with why it does not get on. */
export function standing(worker) {
    return isTroubled(worker) ? `${stage(worker)}: ${worker.trouble}` : stage(worker);
}

const COLUMNS = [
    {
        title: "Name",
        value: (row) => row.name,
        cell: (row) => ({ text: row.name, href: `#/worker/${encodeURIComponent(row.id)}` }),
    },
    { title: "Pool", number: true, value: (row) => row.pool },
    { title: "Status", value: standing, cell: (row) => ({ text: standing(row), tone: tone(row) }) },
    { title: "Session", value: (row) => row.session?.state },
    {
        title: "Last message",
        value: (row) => row.last_message?.at,
        cell: (row) => ({ text: row.last_message?.text, title: row.last_message ? `${row.last_message.at} ${row.last_message.text}` : "" }),
    },
    { title: "Blocks", number: true, value: (row) => row.heights?.blocks, cell: (row) => number(row.heights?.blocks) },
    { title: "Para", number: true, less: true, value: (row) => row.heights?.para, cell: (row) => number(row.heights?.para) },
    { title: "Relay", number: true, less: true, value: (row) => row.heights?.relay, cell: (row) => number(row.heights?.relay) },
    { title: "ETA", number: true, value: (row) => row.eta_seconds, cell: (row) => (row.at_tip ? "at the tip" : duration(row.eta_seconds)) },
    { title: "P instant", number: true, less: true, value: (row) => row.session?.p_instant, cell: (row) => number(row.session?.p_instant) },
    {
        title: "P initial",
        number: true,
        less: true,
        value: (row) => row.session?.p_init ?? row.initial_score,
        cell: (row) => number(row.session?.p_init ?? row.initial_score),
    },
    { title: "Key", less: true, value: (row) => row.public_key, cell: (row) => ({ text: short(row.public_key), title: row.public_key ?? "" }) },
    { title: "Version", less: true, value: (row) => row.version },
    { title: "UUID", less: true, value: (row) => row.id, cell: (row) => ({ text: short(row.id), title: row.id }) },
];

export function workers(main, { query }, again) {
    const filter = { text: query.get("text") ?? "", state: query.get("state") ?? "", pool: query.get("pool") ?? "", trouble: query.has("trouble") };
    let rows = [];
    const count = h("span", { class: "note", role: "status" });
    const text = h("input", { type: "search", placeholder: "Name, key, message…", "aria-label": "Search" });
    const state = h("select", { "aria-label": "Stage" });
    const pool = h("select", { "aria-label": "Pool" });
    const trouble = h("input", { type: "checkbox" });
    trouble.checked = filter.trouble;
    text.value = filter.text;
    const orders = VERBS.map(([verb, label]) =>
        button(label, () => order(verb, grid.selected(rows), again), { disabled: true }),
    );
    const grid = new Grid({
        label: "Workers",
        none: "No worker is like that.",
        key: (row) => row.id,
        columns: [COLUMNS[0], { title: "Actions", less: true, buttons: [["Actions…", (row) => act(row, again)]] }, ...COLUMNS.slice(1)],
        order: { column: COLUMNS[0], down: false },
        select: (selected) => {
            for (const one of orders) one.disabled = selected === 0;
            tally();
        },
    });
    text.addEventListener("input", () => changed({ text: text.value }));
    state.addEventListener("change", () => changed({ state: state.value }));
    pool.addEventListener("change", () => changed({ pool: pool.value }));
    trouble.addEventListener("change", () => changed({ trouble: trouble.checked }));
    const saved = (message) => {
        toast(message);
        again();
    };
    main.append(
        h("h1", {}, "Workers"),
        h(
            "div",
            { class: "bar" },
            text,
            state,
            pool,
            h("label", {}, trouble, " in trouble"),
            count,
            h("span", { class: "space" }),
            button("Add a worker", () => edit(null, saved)),
        ),
        h("div", { class: "bar", role: "group", "aria-label": "For those that are selected" }, ...orders, button("Select none", () => grid.clear())),
        grid.element,
    );

    function tally() {
        const selected = grid.selection.size;
        const hidden = selected - grid.selected().length;
        const marked = selected ? `, ${number(selected)} selected` : "";
        const unseen = hidden ? `, ${number(hidden)} of them not listed` : "";
        say(count, `${number(grid.rows.length)} of ${number(rows.length)}${marked}${unseen}`, "note");
    }

    function changed(part) {
        Object.assign(filter, part);
        // The address tells what is shown, for a bookmark and the way back.
        const told = Object.entries(filter).filter(([, value]) => value).map(([key, value]) => [key, value === true ? "1" : value]);
        history.replaceState(null, "", `#/workers${told.length ? `?${new URLSearchParams(told)}` : ""}`);
        grid.show(rows.filter((row) => isWanted(row, filter)), rows);
    }

    function show(answer) {
        rows = answer;
        options(state, "All stages", rows.map(stage), filter.state);
        options(pool, "All pools", rows.map((row) => String(row.pool)), filter.pool);
        changed({});
    }

    return { load: all, show, end: () => grid.end() };
}

/** Offers what there is, and what is chosen even if it is not there any more. */
function options(select, none, values, chosen) {
    const collator = new Intl.Collator("en", { numeric: true });
    const wanted = ["", ...[...new Set(chosen ? [...values, chosen] : values)].sort(collator.compare)];
    const there = [...select.options].map((option) => option.value);
    if (there.join("\n") === wanted.join("\n")) return;
    select.replaceChildren(...wanted.map((value) => h("option", { value }, value || none)));
    select.value = chosen;
}
