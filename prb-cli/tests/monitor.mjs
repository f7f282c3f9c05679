// What the monitor's pages compute: `node --test prb-cli/tests/monitor.mjs`.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../src/api/monitor/format.js";
import * as list from "../src/api/monitor/list.js";

const same = (cases, of) => {
    for (const [expected, ...given] of cases) assert.deepEqual(of(...given), expected, JSON.stringify(given));
};

test("numbers, durations and amounts are as people read them", () => {
    same([["–", null], ["0", 0], ["999", 999], ["1\u202f000", 1000], ["12\u202f345\u202f678", 12345678]], format.number);
    const durations = [["–", null], ["0 s", 0], ["1 s", 0.2], ["119 s", 119], ["2 min", 120], ["119 min", 7140]];
    same([...durations, ["2 h 0 min", 7200], ["47 h 59 min", 172740], ["2 d 0 h", 172800]], format.duration);
    const amounts = [["–", null], ["–", "x"], ["0 PHA", "0"], ["0.000000000001 PHA", "1"], ["1.5 PHA", "1500000000000"]];
    same([...amounts, ["1\u202f500 PHA", "1500000000000000"]], format.pha);
    same([["–", undefined], ["0 B", 0], ["1.0 KiB", 1024], ["512 MiB", 512 * 2 ** 20], ["1.5 GiB", 1.5 * 2 ** 30]], format.bytes);
    same([["–", null], ["0.00", "0"], ["1.50", String((3n << 64n) / 2n)], ["1\u202f000.00", String(1000n << 64n)]], format.fixed);
    same([["–", null], ["0x12", "0x12"], ["0x123456…abcdef", `0x123456${"0".repeat(50)}abcdef`]], format.short);
    const now = Date.parse("2026-11-27T10:05:33Z");
    same([["–", null, now], ["–", "x", now], ["33 s ago", "2026-11-27T10:05:00Z", now], ["0 s ago", "2026-11-27T10:06:00Z", now]], format.ago);
});

test("an amount that is typed is the planck that is sent, and shown again as it was typed", () => {
    same(
        [
            ["1500000000000000", "1500"],
            ["1500250000000000", " 1500.25 PHA "],
            ["1", "0.000000000001"],
            ["0", "0"],
            [null, ""],
            [null, "-1"],
            [null, "1e3"],
            [null, "1,5"],
            [null, "0.0000000000001"],
            [null, "1500000000000000"],
        ],
        format.planck,
    );
    for (const typed of ["1500", "1500.25", "0.000000000001", "0", "1000000"]) {
        assert.equal(format.plainPha(format.planck(typed)), typed);
    }
});

test("rows are ordered as people count, and what is not known is last either way", () => {
    const names = (rows, down) => list.sorted(rows.map((name) => ({ name })), (row) => row.name, down).map((row) => row.name);
    assert.deepEqual(names(["w10", "w2", null, "W1"], false), ["W1", "w2", "w10", null]);
    assert.deepEqual(names(["w10", null, "w2", "W1"], true), ["w10", "w2", "W1", null]);
    assert.deepEqual(names([10, 9, undefined, 100], false), [9, 10, 100, undefined]);
    assert.deepEqual(names([10, 9, undefined, 100], true), [100, 10, 9, undefined]);
    const equal = [{ a: 1, b: 2 }, { a: 1, b: 1 }];
    assert.deepEqual(list.sorted(equal, (row) => row.a, true), equal);
});

test("workers are found by text, stage, pool and trouble", () => {
    const worker = { name: "Rack1-07", id: "u", stage: "Syncing", pool: 7, enabled: true, trouble: "no <b>node</b>", last_message: { text: "told" } };
    const cases = [
        [true, {}],
        [true, { text: " rack1 " }],
        [true, { text: "<B>" }],
        [true, { text: "TOLD" }],
        [false, { text: "rack2" }],
        [true, { state: "Syncing", pool: "7", trouble: true }],
        [false, { state: "Working" }],
        [false, { pool: "70" }],
    ];
    same(cases, (filter) => list.isWanted(worker, filter));
    assert.equal(list.isWanted({ ...worker, enabled: false }, { trouble: true }), false);
    assert.equal(list.isWanted({ ...worker, stage: null }, { state: "NotRunning" }), true);
});

test("only the rows in view are drawn", () => {
    same(
        [
            [[0, 0], 0, 40, 0, 800, 0],
            [[0, 20], 1000, 40, 0, 800, 0],
            [[10, 31], 1000, 40, 401, 800, 0],
            [[0, 42], 1000, 40, 400, 800, 12],
            [[980, 1000], 1000, 40, 39200, 800, 0],
            [[3, 3], 3, 40, 39200, 800, 0],
            [[0, 3], 3, 40, 0, 800, 12],
        ],
        list.visible,
    );
});

test("it asks every three seconds, and less often while it fails", () => {
    same([[3000, 0], [3000, 1], [6000, 2], [12000, 3], [60000, 6], [60000, 1000]], list.pause);
});

test("an address names a page, whatever was typed", () => {
    const read = (hash) => {
        const { page, name, query } = list.route(hash);
        return [page, name, String(query)];
    };
    same(
        [
            [["overview", "", ""], ""],
            [["overview", "", ""], "#/"],
            [["workers", "", "state=Working&pool=7"], "#/workers?state=Working&pool=7"],
            [["worker", "a/b c", ""], "#/worker/a%2Fb%20c"],
            [["worker", "%FF", ""], "#/worker/%FF"],
            [["constructor", "", ""], "#/constructor"],
        ],
        read,
    );
});

test("a selection forgets what is gone", () => {
    assert.deepEqual([...list.kept(new Set(["a", "b"]), [{ id: "b" }, { id: "c" }], (row) => row.id)], ["b"]);
});

test("a command for many goes out a few at a time, and tells who refused", async () => {
    let [open, most] = [0, 0];
    const failed = await list.forAll([0, 1, 2, 3, 4, 5, 6], async (item) => {
        open += 1;
        most = Math.max(most, open);
        await new Promise((resolve) => setTimeout(resolve, 1));
        open -= 1;
        if (item % 3 === 2) throw new Error(`no ${item}`);
    }, 3);
    assert.equal(most, 3);
    assert.deepEqual(failed.map(({ item, error }) => [item, error.message]), [[2, "no 2"], [5, "no 5"]]);
});
