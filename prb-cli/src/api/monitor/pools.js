// Pools of the inventory.

import { get } from "./api.js";
import { button, h, toast } from "./dom.js";
import { number } from "./format.js";
import { operator, pool, remove } from "./forms.js";
import { Grid } from "./grid.js";

/** How a pool is, in a word. */
function standing(row) {
    if (!row.enabled) return "disabled";
    return row.sync_only ? "sync only" : "enabled";
}

export function pools(main, _route, again) {
    const saved = (message) => {
        toast(message);
        again();
    };
    const away = (row) =>
        remove("RemovePool", `pool ${row.pid}`, { pid: row.pid }, ["A pool with workers is not removed."], saved);
    const pid = { title: "Pid", number: true, value: (row) => row.pid };
    const grid = new Grid({
        label: "Pools",
        none: "There are no pools. Add the first one.",
        key: (row) => row.id,
        order: { column: pid, down: false },
        columns: [
            pid,
            { title: "Name", value: (row) => row.name },
            { title: "Operator", value: (row) => row.operator, cell: (row) => ({ text: row.operator ?? "none", tone: row.operator ? "" : "warn" }) },
            {
                title: "Workers",
                number: true,
                value: (row) => row.workers,
                cell: (row) => ({ text: number(row.workers), href: `#/workers?pool=${row.pid}` }),
            },
            { title: "State", value: standing, cell: (row) => ({ text: standing(row), tone: row.enabled ? "good" : "note" }) },
            { title: "UUID", less: true, value: (row) => row.id },
            {
                title: "Actions",
                buttons: [
                    ["Edit", (row) => pool(row, saved)],
                    ["Operator", (row) => operator(row.pid, saved)],
                    ["Remove", away],
                ],
            },
        ],
    });
    main.append(
        h("h1", {}, "Pools"),
        h("div", { class: "bar" }, h("span", { class: "space" }), button("Add a pool", () => pool(null, saved))),
        grid.element,
    );
    return { load: () => get("v1/pools"), show: (answer) => grid.show(answer.pools), end: () => grid.end() };
}
