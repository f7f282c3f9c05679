// Who signs for the pools.

import { get } from "./api.js";
import { button, h, toast } from "./dom.js";
import { pha } from "./format.js";
import { operator } from "./forms.js";
import { Grid } from "./grid.js";

export function operators(main, _route, again) {
    const saved = (message) => {
        toast(message);
        again();
    };
    const name = { title: "Name", value: (row) => row.name };
    const grid = new Grid({
        label: "Operators",
        none: "There are no operators. Set one for a pool.",
        key: (row) => row.name,
        order: { column: name, down: false },
        columns: [
            name,
            { title: "Account", value: (row) => row.address },
            { title: "On behalf of", value: (row) => row.proxied_address },
            { title: "Pools", value: (row) => row.pools.length, cell: (row) => row.pools.join(", ") },
            { title: "Fees paid", number: true, value: (row) => Number(row.fees_paid), cell: (row) => pha(row.fees_paid) },
        ],
    });
    main.append(
        h("h1", {}, "Operators"),
        h(
            "div",
            { class: "bar" },
            h("span", { class: "note" }, "Pools with one key share an operator. One that no pool uses is removed with: prb operator remove NAME"),
            h("span", { class: "space" }),
            button("Set a pool's operator", () => operator(undefined, saved)),
        ),
        grid.element,
    );
    return { load: () => get("v1/operators"), show: (answer) => grid.show(answer.operators), end: () => grid.end() };
}
