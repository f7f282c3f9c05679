// A lifecycle manager of the network: its workers' status, its pools and workers.

import { peer } from "./api.js";
import { confirm, form } from "./dialog.js";
import { bar, button, h, say, space, toast } from "./dom.js";
import { number, pha, plainPha, planck } from "./format.js";
import { Grid } from "./grid.js";
import { head } from "./heading.js";
import { counted, shortened, state } from "./kinds.js";

const TABS = [["status", "Status"], ["pools", "Pools"], ["workers", "Workers"]];
const TONES = { __proto__: null, S_ACTIVE: "good", S_SYNCHED: "good", S_ERROR: "bad", S_KICKED: "note", S_IDLE: "note" };

const ORDERS = [
    ["RestartWorker", "Restart", "It is asked anew, as after a start of the manager.", false],
    ["RefreshRaAndRestartWorker", "Restart and re-register", "A new attestation report is made and sent to the chain, for a fee.", false],
    ["KickWorker", "Kick", "Its program is told to stop, and the manager leaves it alone until it is restarted.", true],
];

/** What is told of a worker's session, as JSON; empty where that is none. */
export function session(row) {
    try {
        return JSON.parse(row.sessionInfoJson || "{}") ?? {};
    } catch {
        return {};
    }
}

/** A worker's state with its session beside it. */
export function flat(row) {
    const of = session(row);
    const runtime = of.runtimeInfo ?? {};
    const memory = runtime.memoryUsage ?? {};
    return { ...row, ...(row.worker ?? {}), session: of, runtime, memory, benchmark: of.benchmark ?? {} };
}

/** A state of v2 in words: `S_PRE_ACTIVE` is pre active. */
const words = (value) => (value ? value.replace(/^S_/, "").replaceAll("_", " ").toLowerCase() : null);

/** A number that may come as text. */
const numeric = (value) => (value === "" || Number.isNaN(Number(value ?? NaN)) ? null : Number(value));

const digits = (title, of, more = {}) => counted(title, (row) => numeric(of(row)), more);

const NAME = { title: "Name", value: (row) => row.name, width: 16 };
const PID = digits("PID", (row) => row.pid, { width: 6 });
const ID = { title: "ID", value: (row) => row.uuid, width: 36, rare: true };
const ENABLED = state("State", (row) => (row.enabled ? "enabled" : "disabled"), (row) => (row.enabled ? "good" : "note"), { width: 10 });
const SYNC_ONLY = { title: "Sync only", value: (row) => (row.syncOnly ? "yes" : "no"), width: 10 };
const LESS = { less: true };
const RARE = { rare: true };

const COLUMNS = {
    status: [
        NAME,
        PID,
        state("Status", (row) => words(row.status), (row) => TONES[row.status] ?? "warn", { width: 14 }),
        { title: "On-chain state", width: 16, value: (row) => row.session.state },
        { title: "Last message", width: 40, less: true, value: (row) => row.lastMessage },
        digits("Block height", (row) => row.paraBlockDispatchedTo, { width: 12 }),
        digits("Header height", (row) => row.paraHeaderSynchedTo, { width: 13 }),
        digits("Parent header height", (row) => row.parentHeaderSynchedTo, { width: 20 }),
        { title: "V", number: true, less: true, value: (row) => numeric(row.session.v) },
        { title: "Ve", number: true, less: true, value: (row) => numeric(row.session.ve) },
        digits("P instant", (row) => row.benchmark.pInstant, LESS),
        digits("P init", (row) => row.benchmark.pInit, LESS),
        { title: "Minted", value: (row) => row.session.stats?.totalReward, width: 16, less: true },
        { title: "Runtime version", value: (row) => row.runtime.version, less: true },
        shortened("Runtime revision", (row) => row.runtime.gitRevision, RARE),
        digits("Memory used", (row) => row.memory.rustUsed, RARE),
        digits("Memory peak", (row) => row.memory.rustPeakUsed, RARE),
        digits("Process peak", (row) => row.memory.totalPeakUsed, RARE),
        shortened("Public key", (row) => row.publicKey, RARE),
        shortened("Session account", (row) => row.workerAccountId, RARE),
        ID,
    ],
    pools: [
        PID,
        NAME,
        { title: "Operator", value: (row) => row.owner?.ss58Phala, width: 40, less: true },
        { title: "On behalf of", value: (row) => row.realPhalaSs58, width: 40, less: true },
        ENABLED,
        SYNC_ONLY,
        ID,
    ],
    workers: [
        NAME,
        PID,
        { title: "Endpoint", value: (row) => row.endpoint, width: 32 },
        { title: "Stake", number: true, value: (row) => numeric(row.stake), cell: (row) => pha(row.stake), width: 16 },
        ENABLED,
        SYNC_ONLY,
        ID,
    ],
};

/** Of each table: what it is asked by, and the method and the fields of its changes. */
const KINDS = {
    status: { method: "GetWorkerStatus", key: "workerStates" },
    pools: { method: "ListPool", key: "pools", one: "pool", create: "CreatePool", update: "UpdatePool" },
    workers: { method: "ListWorker", key: "workers", one: "worker", create: "CreateWorker", update: "UpdateWorker" },
};

const FLAGS = (row) => [
    { name: "enabled", label: "Enabled", kind: "flag", value: row ? row.enabled : true },
    { name: "syncOnly", label: "Sync only: kept in step, and not put to work", kind: "flag", value: row?.syncOnly },
];

const SEALED = "It is sent through this program to the manager, which seals it.";

const FIELDS = {
    pool: (row) => [
        { name: "pid", label: "PID", kind: "number", min: "0", required: true, value: row?.pid },
        { name: "name", label: "Name", required: true, value: row?.name },
        {
            name: "mnemonic",
            label: "Operator's mnemonic",
            kind: "secret",
            required: !row,
            hint: row ? `${SEALED} Empty: unchanged.` : SEALED,
        },
        { name: "realPhalaSs58", label: "On behalf of (address), if it is a proxy", value: row?.realPhalaSs58 },
        ...FLAGS(row),
    ],
    worker: (row) => [
        { name: "name", label: "Name", required: true, value: row?.name },
        { name: "pid", label: "PID", kind: "number", min: "0", required: true, value: row?.pid },
        { name: "endpoint", label: "Address of its pRuntime", required: true, value: row?.endpoint, hint: "http://10.0.0.17:8000" },
        { name: "stake", label: "Stake, PHA", required: true, value: row ? plainPha(row.stake) : "" },
        ...FLAGS(row),
    ],
};

/** What is sent for what was typed: v2's record. */
export function record(one, { mnemonic, stake, ...values }) {
    if (one === "pool") return { ...values, pid: String(values.pid), ...(mnemonic ? { owner: { mnemonic } } : {}) };
    const amount = planck(stake);
    if (amount === null) throw new Error("the stake is an amount in PHA, like 1500 or 1500.25");
    return { ...values, pid: String(values.pid), stake: amount };
}

export function lifecycle(main, where, again) {
    const { peer: one } = where;
    const tab = Object.hasOwn(KINDS, where.query.get("tab") ?? "") ? where.query.get("tab") : "status";
    const kind = KINDS[tab];
    const count = h("span", { class: "note", role: "status" });
    const grid = new Grid({
        name: `peer-${tab}`,
        label: TABS.find(([key]) => key === tab)[1],
        key: (row) => row.uuid,
        columns: COLUMNS[tab],
        order: { column: COLUMNS[tab][0], down: false },
        select: (selected) => {
            for (const each of many) each.disabled = selected === 0;
            if (only) only.disabled = selected !== 1;
        },
        changed: () => say(count, `${number(grid?.rows.length ?? 0)} of ${number(grid?.given.length ?? 0)}`, "note"),
    });
    const call = async (method, body, said) => {
        try {
            await peer(one.peerId, method, body);
            toast(said);
        } catch (error) {
            toast(error.message, true);
        }
        again();
    };
    const names = () => grid.selected().map((row) => row.name || String(row.pid));
    const order = async ([method, label, means, danger]) => {
        const rows = grid.selected();
        if (!(await confirm(`${label}: ${rows.length} of ${one.hostname}`, [means], { act: label, danger, names: names() }))) return;
        await call(method, { ids: rows.map((row) => row.uuid) }, `${label}: taken for ${rows.length}`);
    };
    const edit = (row) =>
        form(row ? `Edit ${row.name}` : `Add a ${kind.one}`, FIELDS[kind.one](row), async (values) => {
            const sent = record(kind.one, values);
            const body = row ? { items: [{ id: { uuid: row.uuid }, [kind.one]: sent }] } : { [kind.key]: [sent] };
            await peer(one.peerId, row ? kind.update : kind.create, body);
            toast(`${values.name} is saved`);
            again();
        });
    const remove = async () => {
        const rows = grid.selected();
        const means = ["They are forgotten there. On chain nothing is touched."];
        if (!(await confirm(`Delete ${rows.length} of ${one.hostname}?`, means, { act: "Delete", danger: true, names: names() }))) return;
        const items = rows.map((row) => ({ id: { uuid: row.uuid }, [kind.one]: { deleted: true } }));
        await call(kind.update, { items }, `${rows.length} deleted`);
    };
    const orders = ORDERS.map((each) => button(each[1], () => order(each), { class: each[3] ? "danger" : null, "data-order": each[0] }));
    const only = kind.one ? button("Edit", () => edit(grid.selected()[0])) : null;
    const many = kind.one ? [button("Delete", remove, { class: "danger" })] : orders;
    const add = kind.one ? [button(`Add a ${kind.one}`, () => edit(null), { class: "main" })] : [];
    main.append(
        ...head(where, one.hostname || "Lifecycle manager", TABS, tab),
        bar(...(only ? [only] : []), ...many, count, space(), ...grid.tools, ...add),
        grid.element,
    );
    grid.draw();

    const load = async () => (await peer(one.peerId, kind.method))[kind.key] ?? [];
    const show = (answer) => grid.show(tab === "status" ? answer.map(flat) : answer);
    return { load, show, end: () => grid.end() };
}
