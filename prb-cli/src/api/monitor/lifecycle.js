// A lifecycle manager of the network: its workers' status, its pools and workers.

import { link, peer } from "./api.js";
import { confirm, form } from "./dialog.js";
import { bar, button, h, say, space, toast } from "./dom.js";
import { number, pha, plainPha, planck, short } from "./format.js";
import { Grid } from "./grid.js";
import { head } from "./heading.js";

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

const words = (value) => (value === undefined || value === null ? null : String(value).replace(/^S_/, "").replaceAll("_", " ").toLowerCase());
const digits = (key, of = (row) => row) => ({ number: true, value: (row) => numeric(of(row)?.[key]), cell: (row) => number(of(row)?.[key]) });
const numeric = (value) => (value === undefined || value === null || value === "" || Number.isNaN(Number(value)) ? (value ?? null) : Number(value));
const onOff = (key, yes, no) => ({ value: (row) => (row[key] ? yes : no), cell: (row) => ({ text: row[key] ? yes : no, tone: row[key] ? "state good" : "state note" }) });

const NAME = { title: "Name", value: (row) => row.name, width: 16 };
const PID = { title: "PID", ...digits("pid"), width: 6 };
const ID = { title: "ID", value: (row) => row.uuid, width: 36, rare: true };

const COLUMNS = {
    status: [
        NAME,
        PID,
        { title: "Status", width: 14, value: (row) => words(row.status), cell: (row) => ({ text: words(row.status), tone: `state ${TONES[row.status] ?? "warn"}` }) },
        { title: "On-chain state", width: 16, value: (row) => row.session.state },
        { title: "Last message", width: 40, less: true, value: (row) => row.lastMessage },
        { title: "Block height", ...digits("paraBlockDispatchedTo"), width: 11 },
        { title: "Header height", ...digits("paraHeaderSynchedTo"), width: 12 },
        { title: "Parent header height", ...digits("parentHeaderSynchedTo"), width: 18 },
        { title: "V", ...digits("v", (row) => row.session), less: true },
        { title: "Ve", ...digits("ve", (row) => row.session), less: true },
        { title: "P instant", ...digits("pInstant", (row) => row.benchmark), less: true },
        { title: "P init", ...digits("pInit", (row) => row.benchmark), less: true },
        { title: "Minted", value: (row) => row.session.stats?.totalReward, width: 16, less: true },
        { title: "Runtime version", value: (row) => row.runtime.version, less: true },
        { title: "Runtime revision", value: (row) => row.runtime.gitRevision, cell: (row) => short(row.runtime.gitRevision), rare: true },
        { title: "Memory used", ...digits("rustUsed", (row) => row.memory), rare: true },
        { title: "Memory peak", ...digits("rustPeakUsed", (row) => row.memory), rare: true },
        { title: "Process peak", ...digits("totalPeakUsed", (row) => row.memory), rare: true },
        { title: "Public key", value: (row) => row.publicKey, cell: (row) => ({ text: short(row.publicKey), title: row.publicKey ?? "" }), rare: true },
        { title: "Session account", value: (row) => row.workerAccountId, cell: (row) => ({ text: short(row.workerAccountId), title: row.workerAccountId ?? "" }), rare: true },
        ID,
    ],
    pools: [
        PID,
        NAME,
        { title: "Operator", value: (row) => row.owner?.ss58Phala, width: 40, less: true },
        { title: "On behalf of", value: (row) => row.realPhalaSs58, width: 40, less: true },
        { title: "State", ...onOff("enabled", "enabled", "disabled"), width: 10 },
        { title: "Sync only", value: (row) => (row.syncOnly ? "yes" : "no"), width: 8 },
        ID,
    ],
    workers: [
        NAME,
        PID,
        { title: "Endpoint", value: (row) => row.endpoint, width: 32 },
        { title: "Stake", number: true, value: (row) => Number(row.stake), cell: (row) => pha(row.stake), width: 16 },
        { title: "State", ...onOff("enabled", "enabled", "disabled"), width: 10 },
        { title: "Sync only", value: (row) => (row.syncOnly ? "yes" : "no"), width: 8 },
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

const FIELDS = {
    pool: (row) => [
        { name: "pid", label: "PID", kind: "number", min: "0", required: true, value: row?.pid },
        { name: "name", label: "Name", required: true, value: row?.name },
        { name: "mnemonic", label: "Operator's mnemonic", kind: "secret", required: !row, hint: `It is sent through this program to the manager, which seals it.${row ? " Empty: unchanged." : ""}` },
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
        if (!(await confirm(`Delete ${rows.length} of ${one.hostname}?`, ["They are forgotten there. On chain nothing is touched."], { act: "Delete", danger: true, names: names() }))) return;
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
        h("p", { class: "note" }, h("a", { href: link("peers") }, "All peers")),
    );
    grid.draw();

    const load = async () => (await peer(one.peerId, kind.method))[kind.key] ?? [];
    const show = (answer) => grid.show(tab === "status" ? answer.map(flat) : answer);
    return { load, show, end: () => grid.end() };
}
