// One worker.

import { get } from "./api.js";
import { button, facts, h, say, toast } from "./dom.js";
import { ago, bytes, duration, fixed, number, pha } from "./format.js";
import { VERBS, order, remove, worker as edit } from "./forms.js";
import { standing, tone } from "./workers.js";

export function worker(main, { name }, again) {
    let row = null;
    const title = h("h1", {}, "Worker");
    const [state, session, program] = [h("dl"), h("dl"), h("dl")];
    const saved = (message) => {
        toast(message);
        again();
    };
    const removed = (message) => {
        toast(message);
        location.hash = "#/workers";
    };
    const orders = VERBS.map(([verb, label]) => button(label, () => order(verb, [row], again)));
    const changes = [
        button("Edit", () => edit(row, saved)),
        button(
            "Remove",
            () => remove("RemoveWorker", `worker ${row.name}`, { name: row.name }, ["It is not fed any more. What it does on chain is not touched."], removed),
            { class: "danger" },
        ),
    ];
    const bar = h("div", { class: "bar" }, ...orders, h("span", { class: "space" }), ...changes);
    bar.hidden = true;
    main.append(
        title,
        bar,
        h(
            "div",
            { class: "cards" },
            h("section", { class: "card" }, h("h2", {}, "State"), state),
            h("section", { class: "card" }, h("h2", {}, "Session"), session),
            h("section", { class: "card" }, h("h2", {}, "pRuntime"), program),
        ),
        h("p", {}, h("a", { href: `#/workers` }, "All workers")),
    );

    function show(answer) {
        if (answer === null) {
            say(title, "There is no such worker");
            bar.hidden = true;
            return;
        }
        row = answer;
        bar.hidden = false;
        say(title, row.name);
        const { heights, session: of, memory, last_message: last } = row;
        facts(state, [
            ["Status", standing(row), tone(row)],
            ["Last message", last ? `${last.text} (${ago(last.at, Date.now())})` : "–"],
            ["Pool", row.pool],
            ["Stake", pha(row.stake)],
            ["Blocks", number(heights?.blocks)],
            ["Parachain headers", number(heights?.para)],
            ["Relay chain headers", number(heights?.relay)],
            ["Left", row.at_tip ? "at the tip" : `${number(row.blocks_left)} blocks, ${duration(row.eta_seconds)}`],
            ["Messages taken by the chain", number(row.messages_synced)],
            ["Commands waiting", number(row.commands_waiting)],
            ["Enabled", row.enabled ? "yes" : "no"],
            ["Sync only", row.sync_only ? "yes" : "no"],
            ["Gatekeeper", row.gatekeeper ? "yes" : "no"],
        ]);
        facts(session, [
            ["State", of?.state ?? "–"],
            ["Initial score", number(of?.p_init ?? row.initial_score)],
            ["Instant score", number(of?.p_instant)],
            ["V", fixed(of?.v)],
            ["Ve", fixed(of?.ve)],
            ["Iterations", number(of?.iterations)],
            ["Reward", fixed(of?.total_reward)],
        ]);
        facts(program, [
            ["Address", row.endpoint],
            ["Key", row.public_key ?? "–"],
            ["Version", row.version ?? "–"],
            ["Revision", row.git_revision || "–"],
            ["Memory used", bytes(memory?.used)],
            ["Memory peak", bytes(memory?.peak)],
            ["Process peak", bytes(memory?.process_peak)],
            ["UUID", row.id],
        ]);
    }

    const load = async () => {
        try {
            return await get(`v1/workers/${encodeURIComponent(name)}`);
        } catch (error) {
            // That there is none is an answer.
            if (error.status === 404) return null;
            throw error;
        }
    };
    return { load, show };
}
