// Pools of the inventory.

import { config, get, link } from "./api.js";
import { bar, button, h, space, toast } from "./dom.js";
import { number } from "./format.js";
import { operator, pool, remove, worker } from "./forms.js";
import { Grid } from "./grid.js";
import { exporting, importing } from "./inventory.js";
import { actions, counted, state } from "./kinds.js";

/** How a pool is, in a word. */
function standing(row) {
    if (!row.enabled) return "disabled";
    return row.sync_only ? "sync only" : "enabled";
}

export function pools(main, _where, again) {
    const saved = (message) => {
        toast(message);
        again();
    };
    const away = (row) => {
        const has = row.workers ? [`It has ${number(row.workers)} workers: a pool with workers is not removed.`] : [];
        const lines = [...has, "It is forgotten here. On chain it is left as it is."];
        return remove(`pool ${row.pid}`, lines, () => config("RemovePool", { pid: row.pid }), saved);
    };
    const pid = { title: "Pid", number: true, width: 7, value: (row) => row.pid };
    const grid = new Grid({
        name: "pools",
        label: "Pools",
        none: "There are no pools. Add the first one.",
        key: (row) => row.id,
        order: { column: pid, down: false },
        columns: [
            pid,
            { title: "Name", value: (row) => row.name, width: 18 },
            {
                title: "Operator",
                value: (row) => row.operator,
                cell: (row) => ({ text: row.operator ?? "none: nothing is signed", tone: row.operator ? "" : "state warn" }),
                width: 22,
            },
            counted("Workers", (row) => row.workers, {
                cell: (row) => ({ text: number(row.workers), href: link("workers", "", { pool: row.pid }) }),
            }),
            state("State", standing, (row) => (row.enabled ? "good" : "note"), { width: 12 }),
            { title: "UUID", rare: true, value: (row) => row.id, width: 36 },
            actions(
                38,
                ["Edit", (row) => pool(row, saved)],
                ["Operator", (row) => operator(row.pid, saved)],
                ["Add worker", (row) => worker(null, saved, row.pid)],
                ["Remove", away],
            ),
        ],
    });
    main.append(
        bar(
            h("h1", {}, "Pools"),
            space(),
            ...grid.tools,
            button("Import", () => importing(again), { "data-tool": "import" }),
            exporting(),
            button("Add a pool", () => pool(null, saved), { class: "main", "data-add": "pool" }),
        ),
        grid.element,
    );
    return { load: () => get("v1/pools"), show: (answer) => grid.show(answer.pools), heard: { inventory: null }, end: () => grid.end() };
}
