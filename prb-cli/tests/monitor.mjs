// What the monitor's pages compute: `node --test prb-cli/tests/monitor.mjs`.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as api from "../src/api/monitor/api.js";
import { cellOf } from "../src/api/monitor/cell.js";
import * as columns from "../src/api/monitor/columns.js";
import * as csv from "../src/api/monitor/csv.js";
import * as filter from "../src/api/monitor/filter.js";
import * as format from "../src/api/monitor/format.js";
import { flat, record } from "../src/api/monitor/lifecycle.js";
import * as list from "../src/api/monitor/list.js";
import * as outcomes from "../src/api/monitor/outcomes.js";
import { heights } from "../src/api/monitor/overview.js";
import * as plot from "../src/api/monitor/plot.js";
import { rows as providerRows } from "../src/api/monitor/provider.js";
import { Rate, left } from "../src/api/monitor/rate.js";
import { address, route } from "../src/api/monitor/route.js";
import { EventReader, merged, pause } from "../src/api/monitor/stream.js";
import { nextTheme } from "../src/api/monitor/theme.js";
import { questions } from "../src/api/monitor/transactions.js";
import { isOf, pointOf } from "../src/api/monitor/worker.js";
import { standing, toGo, tone } from "../src/api/monitor/workers.js";

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
    const key = `0x123456${"0".repeat(52)}abcdef`;
    same([["–", null], ["a 0x12 b", "a 0x12 b"], ["add 0x123456…abcdef, 0x123456…abcdef", `add ${key}, ${key}`]], format.brief);
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
    const worker = { name: "Rack1-07", id: "u", stage: "Syncing", pool: 7, enabled: true, trouble: "no <b>node</b>", tags: ["berlin"], last_message: { text: "told" } };
    const cases = [
        [true, {}],
        [true, { text: " rack1 " }],
        [true, { text: "<B>" }],
        [true, { text: "TOLD" }],
        [false, { text: "rack2" }],
        [true, { state: "Syncing", pool: "7", trouble: true }],
        [false, { state: "Working" }],
        [false, { pool: "70" }],
        [true, { tag: "berlin" }],
        [true, { text: "BERL" }],
        [false, { tag: "ber" }],
    ];
    same(cases, (wanted) => filter.isWanted(worker, wanted));
    assert.equal(filter.isWanted({ ...worker, enabled: false }, { trouble: true }), false);
    assert.equal(filter.isWanted({ ...worker, stage: null }, { state: "NotRunning" }), true);
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
    same([[3000, 0], [3000, 1], [6000, 2], [12000, 3], [60000, 6], [60000, 1000]], pause);
    same([[10000, 0, 10000], [60000, 0, 60000]], pause);
});

test("an address names a page, whatever was typed", () => {
    const read = (hash) => {
        const { manager, page, name, query } = route(hash);
        return [manager, page, name, String(query)];
    };
    same(
        [
            [["", "overview", "", ""], ""],
            [["", "overview", "", ""], "#/"],
            [["", "workers", "", "state=Working&pool=7"], "#/workers?state=Working&pool=7"],
            [["", "worker", "a/b c", ""], "#/worker/a%2Fb%20c"],
            [["", "worker", "%FF", ""], "#/worker/%FF"],
            [["", "constructor", "", ""], "#/constructor"],
            [["", "m", "", ""], "#/m"],
            [["rack2", "overview", "", ""], "#/m/rack2"],
            [["rack 2", "workers", "", "pool=7"], "#/m/rack%202/workers?pool=7"],
        ],
        read,
    );
});

test("v3_f60 an address of a manager's page leads back to it", () => {
    same(
        [
            ["#/workers", { page: "workers" }],
            ["#/worker/a%2Fb%20c", { page: "worker", name: "a/b c" }],
            ["#/m/rack%202/workers?text=a%26b&trouble=1", { manager: "rack 2", page: "workers", query: { text: "a&b", state: "", trouble: true, tag: null } }],
        ],
        address,
    );
    const there = { manager: "Räck/2", page: "worker", name: "w?#1" };
    const { manager, page, name } = route(address(there));
    assert.deepEqual({ manager, page, name }, there);
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

test("v2_f138 what is typed above a column is a part, a bound, a range or what is not", () => {
    same(
        [
            [true, "Syncing", "Syncing: x", ""],
            [true, "Syncing", "Syncing", " sync "],
            [false, "Working", "Working", "sync"],
            [true, "Working", "Working", "!sync"],
            [true, 1500, "1\u202f500", ">1000"],
            [false, 1500, "1\u202f500", "> 1500"],
            [true, 1500, "1\u202f500", ">=1500"],
            [true, 1500, "1\u202f500", "<= 1 500"],
            [false, null, "–", "<5"],
            [true, 1500, "1\u202f500", "=1500"],
            [true, 7, "7", "5..9"],
            [false, 10, "10", "5..9"],
            [true, 1500, "1\u202f500", "1500"],
            [true, 1500, "1\u202f500", "15"],
            [true, null, "–", "-"],
            [false, 0, "0", "-"],
            [false, null, "–", "!-"],
            [true, "a.b", "a.b", "."],
            [false, "ab", "ab", "a*"],
        ],
        filter.fits,
    );
});

test("events are put together from whatever pieces they come in", () => {
    const text = ": hello\n\nevent: overview\ndata: {\"a\":1}\n\nevent: workers\r\ndata: [1,\r\ndata: 2]\r\n\r\nretry: 2000\n\ndata:x\n\n";
    const expected = [
        { event: "overview", data: '{"a":1}' },
        { event: "workers", data: "[1,\n2]" },
        { event: "message", data: "x" },
    ];
    for (const size of [1, 2, 3, 7, 1000]) {
        const reader = new EventReader();
        const found = [];
        for (let at = 0; at < text.length; at += size) found.push(...reader.push(text.slice(at, at + size)));
        assert.deepEqual(found, expected, `pieces of ${size}`);
    }
    assert.throws(() => new EventReader().push("x".repeat((32 << 20) + 1)), /too long/);
});

test("rows follow what events tell of them, and the others stay the same", () => {
    const [a, b, c] = ["a", "b", "c"].map((id) => ({ id }));
    const first = merged(new Map([["old", {}]]), { all: true, workers: [a, b] });
    assert.deepEqual([...first.keys()], ["a", "b"]);
    const changed = { id: "b", stage: "Working" };
    const next = merged(first, { all: false, workers: [changed, c], removed: ["a", "never"] });
    assert.deepEqual([...next.values()], [changed, c]);
    assert.equal(first.get("b"), b, "what is shown does not change under the hands");
    assert.deepEqual([...merged(next, {}).keys()], ["b", "c"]);
});

test("a thousand workers that change each second take a small part of it", () => {
    const rows = Array.from({ length: 1000 }, (_, at) => ({ id: `w${at}`, name: `rack${at % 40}-${at}`, stage: at % 3 ? "Working" : "Syncing", pool: at % 5, enabled: true, heights: { blocks: at } }));
    let all = merged(new Map(), { all: true, workers: rows });
    const begun = performance.now();
    for (let round = 0; round < 20; round += 1) {
        all = merged(all, { workers: rows.map((row) => ({ ...row, heights: { blocks: row.heights.blocks + round } })) });
        const wanted = [...all.values()].filter((row) => filter.isWanted(row, { text: "rack", state: "Working" }));
        const shown = list.sorted(wanted, (row) => row.name, true);
        assert.equal(shown.length, 666);
        const [from, end] = list.visible(shown.length, 40, 400, 800);
        assert.ok(end - from < 60, "few of them are drawn");
    }
    const each = (performance.now() - begun) / 20;
    // Typically 10 ms.
    assert.ok(each < 250, `${each} ms`);
});

test("a range of rows is selected as it is listed", () => {
    const keys = ["a", "b", "c", "d"];
    same([[["b", "c", "d"], keys, "b", "d"], [["b", "c"], keys, "c", "b"], [["a"], keys, "a", "a"], [["d"], keys, "gone", "d"]], list.between);
    same([[[[1, 2], [3]], [1, 2, 3], 2], [[], [], 2]], list.pieces);
});

test("columns that are chosen, and their widths, come from whatever is stored", () => {
    const none = { shown: {}, widths: {}, order: null };
    same([[none, ""], [none, "{"], [none, "7"], [none, "null"], [none, '{"shown":7,"order":{"column":1}}']], columns.preferences);
    const kept = { shown: { V: true, X: "yes" }, widths: { Name: 120, Y: "1" }, order: { column: "Name", down: true } };
    assert.deepEqual(columns.preferences(JSON.stringify(kept)), { shown: { V: true }, widths: { Name: 120 }, order: kept.order });
    const shown = [[true, {}], [false, { rare: true }], [true, { title: "V", rare: true }, { V: true }], [false, { title: "V" }, { V: false }], [false, { less: true }, {}, true], [true, { less: true }, {}, false]];
    same(shown, columns.isShown);
    const widths = [[136, { title: "N", width: 14 }], [96, { title: "N", number: true }], [300, { title: "N" }, { N: 300 }], [48, { title: "N" }, { N: 1 }], [1200, { title: "N" }, { N: 9e9 }], [184, { title: "N", width: 40 }, {}, true]];
    same(widths, columns.widthOf);
});

test("a cell says what its column makes of a row, and a dash where nothing is known", () => {
    const cell = (column, row) => Object.values(cellOf(column, row));
    same(
        [
            [["–", "", "", ""], { value: (row) => row.x }, {}],
            [["0", "", "", ""], { value: (row) => row.x }, { x: 0 }],
            [["w", "#/w", "", "good"], { cell: () => ({ text: "w", href: "#/w", tone: "good" }) }, {}],
            [["–", "", "", ""], { cell: () => ({ text: null }) }, {}],
        ],
        cell,
    );
});

test("a table is saved so that a spreadsheet reads values, and computes nothing of them", () => {
    const text = csv.csv(["Name", "Left"], [["w, 1", 5], ['say "x"', null], ["=1+1", -5], ["+x", "-5.5"], ["two\nlines", "@x"]]);
    assert.equal(text, 'Name,Left\r\n"w, 1",5\r\n"say ""x""",\r\n\'=1+1,-5\r\n\'+x,-5.5\r\n"two\nlines",\'@x\r\n');
});

test("what is pasted tells its format", () => {
    same(
        [
            ["csv", "name,endpoint,pool\nw,http://x,7"],
            ["csv", "# workers: all\nname,endpoint"],
            ["json", ' {"workers": []}'],
            ["yaml", "workers:\n  - name: w"],
            ["yaml", "---\npools: []"],
            ["csv", ""],
            ["yaml", "{}", "all.yml"],
            ["json", "a,b", "all.JSON"],
        ],
        csv.format,
    );
});

test("v2_f140 how fast something rises, what is left and for how long", () => {
    const rate = new Rate();
    assert.equal(rate.perSecond(), null);
    rate.look(0, 100);
    assert.equal(rate.perSecond(), null);
    rate.look(10, 150);
    assert.equal(rate.perSecond(), 5);
    rate.look(400, 2100);
    assert.equal(rate.perSecond(), null, "what is long ago is forgotten");
    rate.look(410, 2110);
    assert.equal(rate.perSecond(), 1);
    rate.look(411, 7);
    assert.equal(rate.perSecond(), null, "what falls is another one");
    rate.look(412, null);
    rate.look(421, 27);
    assert.equal(rate.perSecond(), 2);
    same([[{ left: 100, eta: 20 }, 0, 100, 5], [{ left: 0, eta: 0 }, 9, 7, 5], [{ left: 3, eta: null }, 4, 7, 0], [{ left: null, eta: null }, -1, 7, 5], [{ left: null, eta: null }, null, 7, 5]], left);
    same([["–", null], ["0 /s", 0], ["2.5 /s", 2.5], ["30.0 /min", 0.5]], format.pace);
});

test("v2_f072 the heights of a data provider are rows with what is left to the target", () => {
    const rates = new Map([["para processed", new Rate()]]);
    rates.get("para processed").look(0, 60);
    rates.get("para processed").look(10, 80);
    const info = { parentTarget: 500, parentFetchedHeight: 500, parentProcessedHeight: 400, parentCommittedHeight: -1, paraTarget: 100, paraProcessedHeight: 80 };
    const found = providerRows(info, rates).map(({ key, height, left, eta }) => [key, height, left, eta]);
    assert.deepEqual(found, [
        ["parent fetched", 500, 0, 0],
        ["parent processed", 400, 100, null],
        ["parent committed", null, null, null],
        ["para fetched", null, null, null],
        ["para processed", 80, 20, 10],
        ["para committed", null, null, null],
    ]);
});

test("v2_f073 workers and pools of a v2 manager are read, and sent as it wants them", () => {
    const worker = { uuid: "u", name: "w", pid: "2", enabled: true };
    const session = { state: "WorkerIdle", v: "1.5", benchmark: { pInit: 9 }, runtimeInfo: { version: "2.3", memoryUsage: { rustUsed: 5 } } };
    const row = flat({ status: "S_ACTIVE", worker, sessionInfoJson: JSON.stringify(session) });
    assert.deepEqual([row.name, row.session.state, row.benchmark.pInit, row.runtime.version, row.memory.rustUsed], ["w", "WorkerIdle", 9, "2.3", 5]);
    for (const broken of ["", "{", "null", undefined]) assert.deepEqual(flat({ sessionInfoJson: broken }).session, {});
    const flags = { enabled: false, syncOnly: true };
    assert.deepEqual(record("worker", { name: "w", pid: 2, endpoint: "http://x", stake: "4000", ...flags }), { name: "w", pid: "2", endpoint: "http://x", stake: "4000000000000000", ...flags });
    assert.throws(() => record("worker", { name: "w", pid: 2, stake: "much" }), /amount in PHA/);
    assert.deepEqual(record("pool", { name: "p", pid: "2", mnemonic: "", ...flags }), { name: "p", pid: "2", ...flags }, "an empty secret changes none");
    assert.deepEqual(record("pool", { name: "p", pid: "2", mnemonic: "a b c" }).owner, { mnemonic: "a b c" });
});

test("an axis has round values, and times of the clock", () => {
    same(
        [
            [[0, 20, 40, 60, 80, 100], 0, 100, 5],
            [[4800000, 4850000], 4790000, 4860000, 2],
            [[10, 11, 12], 10, 12, 9],
            [[7], 7, 7, 5],
        ],
        plot.ticks,
    );
    same([[[3600, 5400, 7200], 3000, 8000, 3, 0], [[60, 120, 180], 30, 200, 3, 0], [[39600, 82800], 0, 86400, 2, 3600]], plot.timeTicks);
    same([[[0, 86400 * 10], 0, 86400 * 10, 1, 0]], plot.timeTicks);
    const x = plot.scale([10, 20], [100, 200]);
    assert.deepEqual([x(10), x(15), x(20)], [100, 150, 200]);
    assert.equal(plot.scale([5, 5], [0, 10])(5), 5);
});

test("a line is interrupted where nothing is known, and its values are found again", () => {
    const points = [{ at: 0, a: 1 }, { at: 1, a: 2 }, { at: 2, a: null }, { at: 3, a: 4 }, { at: 9, a: 4 }];
    const as = (value) => value;
    assert.equal(plot.path(points, "a", as, as), "M0.0 1.0L1.0 2.0M3.0 4.0L9.0 4.0");
    assert.deepEqual(plot.extent(points, ["a", "b"]), [0, 5]);
    assert.equal(plot.extent(points, ["b"]), null);
    same([[0, points, -5], [1, points, 1.2], [3, points, 5.9], [4, points, 6.1], [4, points, 99], [-1, [], 5]], plot.nearest);
});

test("a history grows by what is new, and not without end", () => {
    let points = [];
    for (let at = 0; at < 100; at += 1) points = plot.appended(points, { at }, 5, 10);
    assert.deepEqual(points.map(({ at }) => at), [50, 55, 60, 65, 70, 75, 80, 85, 90, 95]);
    const row = { heights: { relay: 9, para: 8, blocks: 7 }, blocks_left: 3 };
    assert.deepEqual(pointOf(row, 60), { at: 60, relay: 9, para: 8, blocks: 7, tip: 10 });
    assert.deepEqual(pointOf({ heights: null, blocks_left: null }, 60), { at: 60, relay: null, para: null, blocks: null, tip: null });
});

test("a worker's stage has a colour and words, and its way to the tip a time", () => {
    const worker = { enabled: true, stage: "Working", trouble: null, waits: null };
    same(
        [
            [["Working", "good"], worker],
            [["Syncing: the tip", "warn"], { ...worker, stage: "Syncing", waits: "the tip" }],
            [["Working: no node", "bad"], { ...worker, trouble: "no node" }],
            [["Unresponsive", "bad"], { ...worker, stage: "Unresponsive" }],
            [["Disabled", "note"], { ...worker, stage: "Disabled", enabled: false, trouble: "no node" }],
            [["NotRunning", "warn"], { ...worker, stage: null }],
        ],
        (row) => [standing(row), tone(row)],
    );
    same([["at the tip", { at_tip: true, eta_seconds: null }], ["60 s", { at_tip: false, eta_seconds: 60 }], ["–", { eta_seconds: null }]], toGo);
    const named = { name: "rack1-01", public_key: "0xab" };
    same([[true, { description: "start rack1-01, pool 7" }, named], [false, { description: "start rack1-011" }, named], [true, { description: "for 0xab" }, named], [false, { description: null }, named]], isOf);
});

test("each state of a transaction says what to do", () => {
    for (const state of outcomes.STATES) assert.ok(outcomes.hint(state).length > 20 && !outcomes.hint(state).includes("does not know"), state);
    assert.match(outcomes.hint("constructor"), /does not know/);
    same([["c", { accepted: "a", sent: "b", ended: "c" }], ["b", { accepted: "a", sent: "b", ended: null }], ["a", { accepted: "a" }]], outcomes.at);
});

test("v2_f057 what a trader beyond Redis has is asked for by itself, whatever page and state are looked at", () => {
    assert.ok(outcomes.STATES.includes("open"));
    const of = (states, more) => [...states.map((state) => `v1/transactions?state=${state}&limit=1000${more}`)];
    const open = ["sent", "open", "waiting"];
    same(
        [
            [[...of(open, ""), "v1/transactions?offset=0&limit=100"], { state: "", pool: "" }, 0],
            [[...of(open, "&pool=7"), "v1/transactions?offset=200&limit=100&state=done&pool=7"], { state: "done", pool: "7" }, 200],
        ],
        questions,
    );
});

/** Runs something whose questions `answer(path)` answers with a status and a text; gives what was asked with which token. */
async function asking(answer, run) {
    const heard = [];
    const before = globalThis.fetch;
    globalThis.fetch = async (url, { headers }) => {
        const path = url.pathname.split("/src/api/")[1];
        heard.push([path, headers.Authorization ?? ""]);
        const [status, body] = answer(path);
        return new Response(body, { status });
    };
    try {
        await run();
    } finally {
        globalThis.fetch = before;
    }
    return heard;
}

test("a manager is shown its own token and no other manager's", async () => {
    const one = { name: "rack1", base: "/managers/rack1/" };
    const other = { name: "rack 2", base: "/managers/rack-2/" };
    const heard = await asking(() => [200, "{}"], async () => {
        for (const [manager, token] of [[one, "first"], [other, ""]]) {
            api.setManager(manager);
            if (token) api.setToken(token);
            await api.get("v1/overview");
            await api.ask("GET", "v1/managers", { own: true });
        }
        assert.ok(!api.hasToken());
        // This program may want its own on the way, but the manager's goes first.
        api.setToken("here", true);
        for (const manager of [other, one, { name: "this", base: "/" }]) {
            api.setManager(manager);
            await api.get("v1/overview");
        }
        await api.ask("GET", "v1/managers", { own: true });
        api.setToken("");
        api.setManager(one);
        assert.ok(api.hasToken() && !api.hasToken(true));
        api.setToken("");
        await api.get("v1/overview");
    });
    assert.deepEqual(heard, [
        ["managers/rack1/v1/overview", "Bearer first"],
        ["v1/managers", ""],
        ["managers/rack-2/v1/overview", ""],
        ["v1/managers", ""],
        ["managers/rack-2/v1/overview", "Bearer here"],
        ["managers/rack1/v1/overview", "Bearer first"],
        ["v1/overview", "Bearer here"],
        ["v1/managers", "Bearer here"],
        ["managers/rack1/v1/overview", ""],
    ]);
});

test("a program without a list of managers is taken for the only one, one that fails is asked again", async () => {
    const told = async (...answer) => {
        let found;
        await asking(() => answer, async () => {
            found = await api.managers().catch((error) => error.status);
        });
        return found;
    };
    const itself = [{ name: "this", base: "/" }];
    for (const status of [404, 405, 418]) assert.deepEqual(await told(status, ""), itself, String(status));
    for (const status of [401, 403, 429, 500, 502, 503]) assert.equal(await told(status, ""), status);
    const rack = [{ name: "rack1", base: "/managers/rack1/" }];
    assert.deepEqual(await told(200, JSON.stringify({ managers: rack })), rack);
    for (const body of ["<h1>Log in</h1>", "{}", "null", ""]) assert.equal(await told(200, body), 0, body);
});

test("what is stored of a chain is compared with what is finalized", () => {
    const [relay, para, changes] = heights({ heights: { relay: [1, 90], para: null, changes: [5, 60] }, finalized: { relay: 100, para: 50 } });
    assert.deepEqual([relay.left, para.left, changes.left, changes.first, changes.head], [10, null, 0, 5, 60]);
    assert.deepEqual(heights({ heights: null, finalized: null }).map(({ left }) => left), [null, null, null]);
});

test("colours go from the system's to light, to dark and back", () => {
    same([["light", "auto"], ["dark", "light"], ["auto", "dark"], ["auto", "whatever"]], nextTheme);
});

test("a time of another day says the day", () => {
    const now = new Date(2026, 10, 27, 12, 0, 0).getTime();
    same([["–", "x", false, now], ["09:05:07", new Date(2026, 10, 27, 9, 5, 7), false, now], ["09:05", new Date(2026, 10, 27, 9, 5, 7), true, now], ["2026-11-26 09:05", new Date(2026, 10, 26, 9, 5, 7), true, now]], format.clock);
});
