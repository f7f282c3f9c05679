// Who signs for the pools.

import { ask, get } from "./api.js";
import { bar, button, h, space, toast } from "./dom.js";
import { pha } from "./format.js";
import { operator, remove } from "./forms.js";
import { Grid } from "./grid.js";
import { actions } from "./kinds.js";

/** Columns of operators, for each page that lists them. */
export const COLUMNS = [
    { title: "Name", value: (row) => row.name, width: 16 },
    { title: "Account", value: (row) => row.address, width: 56, less: true },
    { title: "On behalf of", value: (row) => row.proxied_address, width: 17, less: true },
    { title: "Pools", value: (row) => row.pools.length, cell: (row) => row.pools.join(", "), width: 7 },
    { title: "Fees paid", number: true, value: (row) => Number(row.fees_paid), cell: (row) => pha(row.fees_paid), width: 20 },
];

export function operators(main, _where, again) {
    const saved = (message) => {
        toast(message);
        again();
    };
    const away = (row) => {
        const lines = row.pools.length
            ? [`It signs for ${row.pools.length === 1 ? "pool" : "pools"} ${row.pools.join(", ")}: give them another operator first.`]
            : [];
        const act = () => ask("DELETE", `v1/operators/${encodeURIComponent(row.name)}`);
        return remove(`operator ${row.name}`, [...lines, "Its sealed secret is deleted here. Keep your own copy of it."], act, saved);
    };
    const grid = new Grid({
        name: "operators",
        label: "Operators",
        none: "There are no operators. Set one for a pool.",
        key: (row) => row.name,
        order: { column: COLUMNS[0], down: false },
        columns: [...COLUMNS, actions(10, ["Remove", away])],
    });
    main.append(
        bar(
            h("h1", {}, "Operators"),
            h("span", { class: "note" }, "Pools with one key share an operator."),
            space(),
            ...grid.tools,
            button("Set a pool's operator", () => operator(undefined, saved), { class: "main", "data-add": "operator" }),
        ),
        grid.element,
    );
    const show = (answer) => grid.show(answer.operators);
    return { load: () => get("v1/operators"), show, heard: { inventory: null }, end: () => grid.end() };
}
