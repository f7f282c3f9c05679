// All workers.

import { link, workers as all } from "./api.js";
import { bar, button, h, options, say, space, toast } from "./dom.js";
import { isTroubled, isWanted, stage } from "./filter.js";
import { ago, duration, number, short } from "./format.js";
import { worker as edit } from "./forms.js";
import { Grid } from "./grid.js";
import { exporting, importing } from "./inventory.js";
import { act, orderButtons } from "./orders.js";
import { merged } from "./stream.js";

const CALM = ["Working", "Gatekeeper", "SyncOnly"];
const BAD = ["Unresponsive", "InAnotherPool"];

/** Colour of a worker's stage. */
export function tone(worker) {
    if (isTroubled(worker) || BAD.includes(stage(worker))) return "bad";
    if (!worker.enabled || stage(worker) === "Disabled") return "note";
    return CALM.includes(stage(worker)) ? "good" : "warn";
}

/** A worker's stage, with why it does not get on or what it waits for. */
export function standing(worker) {
    const why = isTroubled(worker) ? worker.trouble : worker.waits;
    return why ? `${stage(worker)}: ${why}` : stage(worker);
}

/** How far a worker is, in a word. */
export function toGo(row) {
    return row.at_tip ? "at the tip" : duration(row.eta_seconds);
}

const score = (row) => row.session?.p_init ?? row.initial_score;
const height = (key) => ({ number: true, value: (row) => row.heights?.[key], cell: (row) => number(row.heights?.[key]) });
const memory = (key) => ({ number: true, rare: true, value: (row) => row.memory?.[key], cell: (row) => megabytes(row.memory?.[key]) });
const megabytes = (bytes) => (bytes === null || bytes === undefined ? "–" : `${number(Math.round(bytes / 2 ** 20))} MiB`);
const units = (bits) => (/^\d+$/.test(bits ?? "") ? Number(BigInt(bits) >> 44n) / 2 ** 20 : null);
const fixed = (key) => ({ number: true, rare: true, value: (row) => units(row.session?.[key]), cell: (row) => units(row.session?.[key])?.toFixed(2) });

const COLUMNS = [
    { title: "Name", width: 16, value: (row) => row.name, cell: (row) => ({ text: row.name, href: link("worker", row.id) }) },
    { title: "Pool", number: true, width: 5, value: (row) => row.pool },
    { title: "Status", width: 30, value: standing, cell: (row) => ({ text: standing(row), tone: `state ${tone(row)}` }) },
    { title: "Session", width: 16, value: (row) => row.session?.state },
    { title: "Blocks", about: "Parachain blocks that it has taken", width: 10, ...height("blocks") },
    { title: "Left", about: "Blocks to the tip", number: true, width: 8, value: (row) => row.blocks_left, cell: (row) => number(row.blocks_left) },
    { title: "ETA", number: true, width: 9, value: (row) => (row.at_tip ? 0 : row.eta_seconds), cell: toGo },
    { title: "Para", about: "Parachain headers that it has taken", less: true, width: 10, ...height("para") },
    { title: "Relay", about: "Relay chain headers that it has taken", less: true, width: 10, ...height("relay") },
    {
        title: "Last message",
        width: 36,
        less: true,
        value: (row) => row.last_message?.text,
        cell: ({ last_message: last }) => ({ text: last?.text, title: last ? `${last.text}\n${ago(last.at, Date.now())}, ${last.at}` : "" }),
    },
    { title: "Tags", width: 14, less: true, value: (row) => (row.tags ?? []).join(", ") },
    { title: "P instant", about: "Instant score", number: true, less: true, value: (row) => row.session?.p_instant, cell: (row) => number(row.session?.p_instant) },
    { title: "P initial", about: "Initial score", number: true, less: true, value: score, cell: (row) => number(score(row)) },
    { title: "V", ...fixed("v") },
    { title: "Ve", ...fixed("ve") },
    { title: "Reward", ...fixed("total_reward") },
    { title: "Version", less: true, width: 9, value: (row) => row.version },
    { title: "Revision", rare: true, width: 12, value: (row) => row.git_revision, cell: (row) => ({ text: short(row.git_revision), title: row.git_revision ?? "" }) },
    { title: "Memory", about: "Memory used", ...memory("used"), rare: false, less: true },
    { title: "Memory peak", ...memory("peak") },
    { title: "Process peak", ...memory("process_peak") },
    { title: "Key", less: true, width: 18, value: (row) => row.public_key, cell: (row) => ({ text: short(row.public_key), title: row.public_key ?? "" }) },
    { title: "Endpoint", rare: true, width: 28, value: (row) => row.endpoint },
    { title: "UUID", rare: true, width: 18, value: (row) => row.id, cell: (row) => ({ text: short(row.id), title: row.id }) },
];

export function workers(main, { query }, again) {
    const filter = { text: "", state: "", pool: "", tag: "" };
    for (const key of Object.keys(filter)) filter[key] = query.get(key) ?? "";
    filter.trouble = query.has("trouble");
    let rows = new Map();
    let listed = [];
    const count = h("span", { class: "note", role: "status" });
    const text = h("input", { type: "search", placeholder: "Search: name, key, message…", "aria-label": "Search" });
    const select = (key, label) => h("select", { "aria-label": label, "data-filter": key, on: { change: ({ target }) => changed({ [key]: target.value }) } });
    const [state, pool, tag] = [select("state", "Stage"), select("pool", "Pool"), select("tag", "Tag")];
    const trouble = h("input", { type: "checkbox", on: { change: () => changed({ trouble: trouble.checked }) } });
    trouble.checked = filter.trouble;
    text.value = filter.text;
    text.addEventListener("input", () => changed({ text: text.value }));
    const [orders, placed] = orderButtons(() => grid.selected(listed), again);
    const chosen = h(
        "div",
        { class: "bar chosen none", role: "group", "aria-label": "For those that are selected" },
        h("strong", {}, "Selected:"),
        ...placed,
        button("Select none", () => grid.clear()),
    );
    const grid = new Grid({
        name: "workers",
        label: "Workers",
        none: "No worker is like that.",
        key: (row) => row.id,
        columns: [COLUMNS[0], ...COLUMNS.slice(1, 3), { title: "Actions", width: 11, buttons: [["Actions…", (row) => act(row, again)]] }, ...COLUMNS.slice(3)],
        order: { column: COLUMNS[0], down: false },
        select: (selected) => {
            for (const one of orders) one.disabled = selected === 0;
            chosen.classList.toggle("none", selected === 0);
        },
        changed: () => tally(),
    });
    const saved = (message) => {
        toast(message);
        again();
    };
    main.append(
        bar(
            h("h1", {}, "Workers"),
            count,
            space(),
            button("Import", () => importing(again), { "data-tool": "import" }),
            exporting(),
            button("Add a worker", () => edit(null, saved), { class: "main", "data-add": "worker" }),
        ),
        bar(text, state, pool, tag, h("label", { class: "flag" }, trouble, "in trouble"), space(), ...grid.tools),
        chosen,
        grid.element,
    );

    function tally() {
        const selected = grid.selection.size;
        const hidden = selected - grid.selected().length;
        const marked = selected ? `, ${number(selected)} selected` : "";
        const unseen = hidden ? `, ${number(hidden)} of them not listed` : "";
        say(count, `${number(grid.rows.length)} of ${number(rows.size)}${marked}${unseen}`, "note");
    }

    function changed(part) {
        Object.assign(filter, part);
        // The address tells what is shown, for a bookmark and the way back.
        history.replaceState(null, "", link("workers", "", filter));
        draw();
    }

    function draw() {
        grid.show(listed.filter((row) => isWanted(row, filter)), listed);
    }

    function set(next) {
        rows = next;
        listed = [...rows.values()];
        offer();
        draw();
    }

    /** What there is to choose among. */
    function offer() {
        options(state, "All stages", listed.map(stage), filter.state);
        options(pool, "All pools", listed.map((row) => String(row.pool)), filter.pool);
        options(tag, "All tags", listed.flatMap((row) => row.tags ?? []), filter.tag);
        tag.hidden = tag.options.length < 2;
    }

    offer();
    grid.select(0);

    return {
        load: all,
        show: (answer) => set(merged(rows, { all: true, workers: answer })),
        heard: { workers: (news) => set(merged(rows, news)), inventory: null },
        end: () => grid.end(),
    };
}
