// One worker.

import { ApiError, get, link, ofWorker } from "./api.js";
import { Chart } from "./chart.js";
import { bar, button, card, facts, h, items, say, space, toast } from "./dom.js";
import { ago, bytes, clock, duration, fixed, number, pha, short } from "./format.js";
import { worker as edit } from "./forms.js";
import { orderButtons } from "./orders.js";
import { appended } from "./plot.js";
import { table as transactionTable } from "./outcomes.js";
import { standing, tone } from "./workers.js";

const LISTED = 100;
/** Between two questions for its history, milliseconds. */
const PAUSE = 5000;
const PLOTS = [
    {
        label: "Parachain",
        series: [
            { key: "tip", label: "Tip", tone: "tip" },
            { key: "para", label: "Headers", tone: "para" },
            { key: "blocks", label: "Blocks", tone: "blocks" },
        ],
    },
    { label: "Relay chain", series: [{ key: "relay", label: "Headers", tone: "relay" }] },
];

/** A point of a worker's history as it stands at a time. */
export function pointOf({ heights, blocks_left: left }, at) {
    const blocks = heights?.blocks ?? null;
    const tip = blocks !== null && Number.isFinite(left) ? blocks + left : null;
    return { at, relay: heights?.relay ?? null, para: heights?.para ?? null, blocks, tip };
}

/** Whether a transaction is for this worker: its words name it, or its key. */
export function isOf({ description = "" }, { name, public_key: key }) {
    const words = (description ?? "").split(/[^\w.-]+/);
    return words.includes(name) || Boolean(key && words.includes(key.replace(/^0x/, ""))) || Boolean(key && words.includes(key));
}

/** What there is; nothing where the API has no such path, or makes it elsewhere. */
async function perhaps(path) {
    try {
        return await get(path);
    } catch (error) {
        if (error instanceof ApiError && (error.isMissing || error.status === 409)) return null;
        throw error;
    }
}

export function worker(main, { name }, again) {
    let [row, points, history, asked] = [null, [], false, 0];
    const title = h("h1", {}, "Worker");
    const badge = h("span", { class: "state" });
    const [state, session, program, identity] = [h("dl"), h("dl"), h("dl"), h("dl")];
    const timeline = h("ol", { class: "timeline" });
    const plots = PLOTS.map((plot) => new Chart(plot));
    const calls = transactionTable("", "Its transactions", "None of the last ones names it.");
    const [orders, placed] = orderButtons(() => [row], again);
    const change = () =>
        edit(row, (message) => {
            toast(message);
            again();
        });
    const actions = bar(...placed, space(), button("Edit", change, { "data-order": "edit" }));
    const cards = [card("State", state), card("Session", session), card("pRuntime", program), card("Identity", identity)];
    const content = h(
        "div",
        {},
        actions,
        h("div", { class: "cards four" }, ...cards),
        h("div", { class: "cards wide" }, ...plots.map((plot, at) => card(`${PLOTS[at].label}, over time`, plot.element))),
        h("div", { class: "cards wide" }, card("Timeline", timeline)),
        h("div", { class: "cards wide" }, card("Transactions", calls.element)),
    );
    content.hidden = true;
    main.append(h("p", { class: "way" }, h("a", { href: link("workers") }, "Workers"), " / "), bar(title, badge), content);

    function show([answer, told, transactions]) {
        if (answer === null) {
            say(title, "There is no such worker");
            say(badge, "");
            content.hidden = true;
            row = null;
            return;
        }
        history = told !== null;
        if (told) {
            points = told.points;
            const rows = told.events.slice(-LISTED).reverse();
            items(timeline, rows.map(({ at, stage, text }) => [`${clock(at * 1000)}  ${[stage, text].filter(Boolean).join(": ")}`]));
        }
        if (transactions) calls.show(transactions.transactions.filter((one) => isOf(one, answer)).slice(0, LISTED));
        is(answer);
    }

    /** How it stands by now. */
    function is(now) {
        row = now;
        content.hidden = false;
        const { last_message: last } = row;
        say(title, row.name);
        say(badge, standing(row), `state ${tone(row)}`);
        for (const one of orders) {
            if (one.dataset.order === "enable") one.hidden = row.enabled;
            if (one.dataset.order === "disable") one.hidden = !row.enabled;
        }
        if (row.heights) points = appended(points, pointOf(row, Math.floor(Date.now() / 1000)));
        for (const plot of plots) plot.show(points);
        if (!history) items(timeline, last ? [[`${clock(Date.parse(last.at))}  ${last.text}`]] : []);
        facts(state, ofState(row));
        facts(session, ofSession(row));
        facts(program, ofProgram(row));
        facts(identity, [
            ["Name", row.name],
            ["UUID", row.id, "", row.id],
            ["Key", short(row.public_key, 7), "", row.public_key],
            ["Address", row.endpoint],
            row.endpoints ? ["Published", row.endpoints.join(", ")] : null,
            ["Pool", row.pool],
            ["Stake", pha(row.stake)],
            ["Tags", (row.tags ?? []).join(", ") || null],
            ["Enabled", row.enabled ? "yes" : "no"],
            ["Sync only", row.sync_only ? "yes" : "no"],
            ["Gatekeeper", row.gatekeeper ? "yes" : "no"],
        ]);
    }

    const load = async () => {
        asked = Date.now();
        let found;
        try {
            found = await get(ofWorker(name));
        } catch (error) {
            // That there is none is an answer.
            if (error.status === 404) return [null, null, null];
            throw error;
        }
        const pool = `v1/transactions?pool=${found.pool}&limit=200`;
        return [found, ...(await Promise.all([perhaps(ofWorker(found.id, "/history")), perhaps(pool)]))];
    };
    const heard = ({ workers = [], removed = [] }) => {
        const found = row && workers.find(({ id }) => id === row.id);
        if (found) {
            const isNews = found.stage !== row.stage || found.last_message?.at !== row.last_message?.at;
            is(found);
            // The timeline has more to tell.
            if (isNews && Date.now() - asked > PAUSE) again();
        } else if (row && removed.includes(row.id)) again();
    };
    const end = () => [...plots, calls].forEach((part) => part.end());
    return { load, show, heard: { workers: heard, inventory: null, transactions: null }, end };
}

function ofState(row) {
    const { heights, last_message: last } = row;
    return [
        ["Status", standing(row), tone(row)],
        ["Last message", last ? `${last.text} (${ago(last.at, Date.now())})` : null],
        ["Waits for", row.waits],
        ["Blocks", number(heights?.blocks)],
        ["Para headers", number(heights?.para)],
        ["Relay headers", number(heights?.relay)],
        ["Left", row.at_tip ? "at the tip" : `${number(row.blocks_left)} blocks, ${duration(row.eta_seconds)}`],
        ["Messages", `${number(row.messages_synced)} taken`],
        ["Commands", `${number(row.commands_waiting)} waiting`],
    ];
}

function ofSession({ session, initial_score: score }) {
    return [
        ["State", session?.state],
        ["Initial score", number(session?.p_init ?? score)],
        ["Instant score", number(session?.p_instant)],
        ["V", fixed(session?.v)],
        ["Ve", fixed(session?.ve)],
        ["Iterations", number(session?.iterations)],
        ["Reward", fixed(session?.total_reward)],
    ];
}

function ofProgram({ version, git_revision: revision, memory }) {
    return [
        ["Version", version],
        ["Revision", revision ? short(revision) : null, "", revision],
        ["Memory used", bytes(memory?.used)],
        ["Memory peak", bytes(memory?.peak)],
        ["Process peak", bytes(memory?.process_peak)],
    ];
}
