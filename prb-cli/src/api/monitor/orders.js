// What workers are told, once it was confirmed, and what came of it.

import { ask, config, ofWorker, post } from "./api.js";
import { choose, confirm, form, tell } from "./dialog.js";
import { button, h, menu, toast } from "./dom.js";
import { worker as edit } from "./forms.js";
import { forAll, pieces } from "./list.js";

/** Workers of one request. */
const AT_ONCE = 500;
const LISTED = 20;
/** Orders that are buttons of their own; the others are in a menu. */
const FIRST = ["restart", "register", "checkpoint"];

/** Of an order: its name in the API, its button, what it means, and whether it takes something away. */
export const ORDERS = [
    { verb: "restart", label: "Restart", means: "Failures and pauses are forgotten, and it is asked anew. Its program goes on." },
    { verb: "register", label: "Force register", means: "A new attestation report is made and sent to the chain, for a fee." },
    { verb: "checkpoint", label: "Take checkpoint", means: "The worker writes its state to its disk." },
    {
        verb: "endpoint",
        label: "Publish endpoint",
        means: "The addresses at which others reach the worker are put on chain, for a fee.",
        ask: publish,
    },
    {
        verb: "kick",
        label: "Kick",
        means: "Its program is told to stop. What it has on its disk stays; where its program is started again it goes on.",
        danger: true,
    },
    { verb: "enable", label: "Enable", means: "It is fed and put to work." },
    {
        verb: "disable",
        label: "Disable",
        means: "Nothing is sent to it any more, until it is enabled. On chain it is left as it is.",
        danger: true,
    },
    { verb: "tag", label: "Add a tag", means: "A word that workers are found by.", ask: tag },
    { verb: "untag", label: "Take a tag off", means: "They are not found by it any more.", ask: tag },
    {
        verb: "remove",
        label: "Remove",
        means: "It is not fed any more, and forgotten here. What it does on chain is not touched.",
        danger: true,
    },
];

/** Buttons for those that `chosen` gives, `[all that are orders, what is put on the page]`. */
export function orderButtons(chosen, done) {
    const buttons = ORDERS.map(({ verb, label, danger }) =>
        button(label, () => order(verb, chosen(), done), { class: danger ? "danger" : null, "data-order": verb }),
    );
    const isFirst = (one) => FIRST.includes(one.dataset.order);
    const others = menu("More…", buttons.filter((one) => !isFirst(one)), { "data-menu": "orders" });
    others.addEventListener("click", (event) => {
        if (event.target.closest("button")) others.open = false;
    });
    return [buttons, [...buttons.filter(isFirst), others]];
}

/** Lets choose what a worker is to do. */
export async function act(worker, done) {
    const orders = ORDERS.filter(({ verb }) => verb !== (worker.enabled ? "enable" : "disable"));
    const choices = orders.map(({ verb, label, means }) => [label, verb, means]);
    choices.splice(-1, 0, ["Edit", "edit", "Its address, pool, stake, tags."]);
    const verb = await choose(`What is ${worker.name} to do?`, choices);
    if (verb === "edit") {
        edit(worker, (message) => {
            toast(message);
            done();
        });
    } else if (verb) await order(verb, [worker], done);
}

/** Gives an order to workers, once it was confirmed. */
export async function order(verb, workers, done) {
    const wanted = ORDERS.find((one) => one.verb === verb);
    const title = workers.length === 1 ? `${wanted.label}: ${workers[0].name}` : `${wanted.label}: ${workers.length} workers`;
    if (wanted.ask) await wanted.ask(wanted, workers, title);
    else {
        const settings = { act: wanted.label, danger: wanted.danger, names: workers.length > 1 ? names(workers) : [] };
        if (!(await confirm(title, [wanted.means], settings))) return;
        await give(wanted, workers);
    }
    done();
}

function names(workers) {
    const shown = workers.slice(0, LISTED).map((worker) => worker.name);
    return shown.concat(workers.length > LISTED ? [`and ${workers.length - LISTED} more`] : []);
}

function publish(wanted, workers, title) {
    const several = workers.length > 1;
    const hint = `${wanted.means} One address a line.${several ? " {name} stands for the name of each worker." : ""}`;
    const fields = [{ name: "lines", label: "Addresses", kind: "lines", required: true, hint }];
    return form(title, fields, async ({ lines }) => {
        const endpoints = lines.split("\n").map((line) => line.trim()).filter(Boolean);
        if (endpoints.length === 0) throw new Error("give one address at least");
        if (several && !endpoints.every((endpoint) => endpoint.includes("{name}"))) {
            throw new Error("workers do not share an address: write {name} where their names differ");
        }
        const send = ({ id, name }) =>
            post(ofWorker(id, "/endpoint"), { endpoints: endpoints.map((endpoint) => endpoint.replaceAll("{name}", name)) });
        // One that is refused says why in the form; of many the results tell.
        if (!several) await send(workers[0]);
        await told(wanted, workers, several ? await forAll(workers, send) : []);
    }, "Publish");
}

function tag(wanted, workers, title) {
    const fields = [{ name: "tag", label: "Tag", required: true, hint: wanted.means }];
    return form(title, fields, async (values) => {
        await give(wanted, workers, { tag: values.tag.trim() });
    }, wanted.label);
}

/** Sends it for all at once, or one by one where the API has no such path. */
async function give(wanted, workers, more = {}) {
    const failed = [];
    try {
        for (const some of pieces(workers, AT_ONCE)) {
            const { results } = await post("v1/workers/bulk", { action: wanted.verb, ids: some.map(({ id }) => id), ...more });
            const of = new Map(results.map((result) => [result.id, result]));
            for (const worker of some) {
                const result = of.get(worker.id);
                if (!result?.ok) failed.push({ item: worker, error: new Error(result?.message ?? "nothing was answered for it") });
            }
        }
    } catch (error) {
        if (!error.isMissing) {
            toast(`${wanted.label}: ${error.message}`, true);
            return;
        }
        failed.push(...(await forAll(workers, (worker) => single(wanted.verb, worker))));
    }
    await told(wanted, workers, failed);
}

/** One order by the paths that each release has. */
function single(verb, worker) {
    if (verb === "remove") return config("RemoveWorker", { name: worker.name });
    if (verb === "enable" || verb === "disable") {
        const { name, endpoint, stake, pool, sync_only, gatekeeper } = worker;
        const fields = { name, new_name: name, endpoint, stake, pid: pool, sync_only, gatekeeper };
        return config("UpdateWorker", { ...fields, disabled: verb === "disable" });
    }
    if (["tag", "untag"].includes(verb)) throw new Error("this release of prb has no tags; upgrade it");
    return ask("POST", ofWorker(worker.id, `/${verb}`));
}

const LATER = ["restart", "register", "checkpoint", "endpoint", "kick"];

async function told(wanted, workers, failed) {
    const taken = workers.length - failed.length;
    const of = workers.length === 1 ? workers[0].name : `${taken} of ${workers.length}`;
    const more = LATER.includes(wanted.verb) ? " What comes of it is the last message." : "";
    if (taken > 0) toast(`${wanted.label}: ${more ? "taken" : "done"} for ${of}.${more}`);
    if (failed.length === 0) return;
    if (failed.length === 1) {
        toast(`${wanted.label} was refused for ${failed[0].item.name}: ${failed[0].error.message}`, true);
        return;
    }
    const lines = failed.slice(0, 200).map(({ item, error }) => h("li", {}, h("strong", {}, item.name), `: ${error.message}`));
    await tell(`${wanted.label} was refused for ${failed.length} of ${workers.length}`, h("ul", { class: "names" }, ...lines));
}
