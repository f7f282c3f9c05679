// All workers.

import { link, workers as all } from "./api.js";
import { bar, button, h, options, say, space, toast } from "./dom.js";
import { isTroubled, isWanted, stage } from "./filter.js";
import { ago, duration, fixed, number } from "./format.js";
import { worker as edit } from "./forms.js";
import { Grid } from "./grid.js";
import { exporting, importing } from "./inventory.js";
import { actions, counted, shortened, state } from "./kinds.js";
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

const height = (title, key, about, more) => counted(title, (row) => row.heights?.[key], { about, width: 10, ...more });

const score = (row) => row.session?.p_init ?? row.initial_score;

const megabytes = (title, key, more) => {
    const of = (row) => (row.memory ? Math.round(row.memory[key] / 2 ** 20) : null);
    return counted(title, of, { cell: (row) => (row.memory ? `${number(of(row))} MiB` : null), ...more });
};

const share = (title, key) => {
    const of = (row) => (/^\d+$/.test(row.session?.[key] ?? "") ? Number(BigInt(row.session[key]) >> 44n) / 2 ** 20 : null);
    return { title, number: true, rare: true, value: of, cell: (row) => fixed(row.session?.[key]) };
};

const message = ({ last_message: last }) =>
    last ? { text: last.text, title: `${last.text}\n${ago(last.at, Date.now())}, ${last.at}` } : null;

const NAME = { title: "Name", width: 16, value: (row) => row.name, cell: (row) => ({ text: row.name, href: link("worker", row.id) }) };
const FIRST = [
    NAME,
    { title: "Pool", number: true, width: 5, value: (row) => row.pool },
    state("Status", standing, tone, { width: 30 }),
];

const COLUMNS = [
    { title: "Session", width: 16, value: (row) => row.session?.state },
    height("Blocks", "blocks", "Parachain blocks that it has taken"),
    counted("Left", (row) => row.blocks_left, { about: "Blocks to the tip", width: 8 }),
    { title: "ETA", number: true, width: 9, value: (row) => (row.at_tip ? 0 : row.eta_seconds), cell: toGo },
    height("Para", "para", "Parachain headers that it has taken", { less: true }),
    height("Relay", "relay", "Relay chain headers that it has taken", { less: true }),
    { title: "Last message", width: 36, less: true, value: (row) => row.last_message?.text, cell: message },
    { title: "Tags", width: 14, less: true, value: (row) => (row.tags ?? []).join(", ") },
    counted("P instant", (row) => row.session?.p_instant, { about: "Instant score", less: true }),
    counted("P initial", score, { about: "Initial score", less: true }),
    share("V", "v"),
    share("Ve", "ve"),
    share("Reward", "total_reward"),
    { title: "Version", less: true, width: 9, value: (row) => row.version },
    shortened("Revision", (row) => row.git_revision, { rare: true, width: 12 }),
    megabytes("Memory", "used", { about: "Memory used", less: true }),
    megabytes("Memory peak", "peak", { rare: true }),
    megabytes("Process peak", "process_peak", { rare: true }),
    shortened("Key", (row) => row.public_key, { less: true }),
    { title: "Endpoint", rare: true, width: 28, value: (row) => row.endpoint },
    shortened("UUID", (row) => row.id, { rare: true }),
];

export function workers(main, { query }, again) {
    const filter = { text: "", state: "", pool: "", tag: "" };
    for (const key of Object.keys(filter)) filter[key] = query.get(key) ?? "";
    filter.trouble = query.has("trouble");
    let rows = new Map();
    let listed = [];
    const count = h("span", { class: "note", role: "status" });
    const text = h("input", { type: "search", placeholder: "Search: name, key, message…", "aria-label": "Search" });
    const select = (key, label) => {
        const change = ({ target }) => changed({ [key]: target.value });
        return h("select", { "aria-label": label, "data-filter": key, on: { change } });
    };
    const [stages, pool, tag] = [select("state", "Stage"), select("pool", "Pool"), select("tag", "Tag")];
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
        columns: [...FIRST, actions(11, ["Actions…", (row) => act(row, again)]), ...COLUMNS],
        order: { column: NAME, down: false },
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
        bar(text, stages, pool, tag, h("label", { class: "flag" }, trouble, "in trouble"), space(), ...grid.tools),
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
        options(stages, "All stages", listed.map(stage), filter.state);
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
