// What is asked before something is changed.

import { command, config, hasToken, setToken } from "./api.js";
import { choose, confirm, form, toast } from "./dom.js";
import { forAll } from "./list.js";
import { plainPha, planck } from "./format.js";

/** What workers are told to do once, and what it means. */
export const VERBS = [
    ["restart", "Restart", "Failures and pauses are forgotten, and it is asked anew. Its program goes on."],
    ["register", "Force register", "A new attestation report is made and sent to the chain, for a fee."],
    ["endpoint", "Publish endpoint", "The addresses at which others reach the worker are put on chain, for a fee."],
    ["checkpoint", "Take checkpoint", "The worker writes its state to its disk."],
];

const LISTED = 20;

function names(workers) {
    const shown = workers.slice(0, LISTED).map((worker) => worker.name);
    return shown.concat(workers.length > LISTED ? [`and ${workers.length - LISTED} more`] : []);
}

/** Lets choose what a worker is to do. */
export async function act(worker, done) {
    const verb = await choose(`What is ${worker.name} to do?`, VERBS.map(([verb, label]) => [label, verb]));
    if (verb) await order(verb, [worker], done);
}

/** Gives a command to workers, once it was confirmed. */
export async function order(verb, workers, done) {
    const [, label, meaning] = VERBS.find(([of]) => of === verb);
    const title = workers.length === 1 ? `${label}: ${workers[0].name}` : `${label}: ${workers.length} workers`;
    if (verb === "endpoint") {
        const several = workers.length > 1;
        const hint = `${meaning} One address a line.${several ? " {name} stands for the name of each worker." : ""}`;
        const fields = [{ name: "lines", label: "Addresses", kind: "lines", required: true, hint }];
        await form(title, fields, async ({ lines }) => {
            const endpoints = lines.split("\n").map((line) => line.trim()).filter(Boolean);
            if (endpoints.length === 0) throw new Error("give one address at least");
            if (several && !endpoints.every((endpoint) => endpoint.includes("{name}"))) {
                throw new Error("workers do not share an address: write {name} where their names differ");
            }
            const body = (worker) => ({ endpoints: endpoints.map((endpoint) => endpoint.replaceAll("{name}", worker.name)) });
            // One that is refused says why in the form; of many the message tells.
            if (several) await give(verb, label, workers, body);
            else {
                await command(workers[0].id, verb, body(workers[0]));
                toast(`${label}: taken. What comes of it is the last message.`);
            }
        }, "Publish");
    } else {
        if (!(await confirm(title, [meaning, ...names(workers)], { act: label }))) return;
        await give(verb, label, workers, () => undefined);
    }
    done();
}

async function give(verb, label, workers, body) {
    const failed = await forAll(workers, (worker) => command(worker.id, verb, body(worker)));
    const taken = workers.length - failed.length;
    if (taken > 0) toast(`${label}: taken for ${taken} of ${workers.length}. What comes of it is the last message.`);
    if (failed.length > 0) {
        const [{ item, error }] = failed;
        const others = failed.length > 1 ? `, and ${failed.length - 1} more` : "";
        toast(`${label} was refused for ${item.name}: ${error.message}${others}`, true);
    }
}

const FLAGS = {
    disabled: "Disabled: nothing is sent to it",
    sync_only: "Sync only: kept in step, and not put to work",
};

/** Adds a pool, or changes one. */
export function pool(present, done) {
    const fields = [
        { name: "pid", label: "Pool id (pid) on chain", kind: "number", min: "0", required: true, value: present?.pid, fixed: present },
        { name: "name", label: "Name", value: present?.name ?? "" },
        { name: "disabled", label: FLAGS.disabled, kind: "flag", value: present && !present.enabled },
        { name: "sync_only", label: FLAGS.sync_only, kind: "flag", value: present?.sync_only },
    ];
    return form(present ? `Pool ${present.pid}` : "Add a pool", fields, async (values) => {
        const { name, disabled, sync_only } = values;
        await config(present ? "UpdatePool" : "AddPool", { pid: Number(values.pid), name, disabled, sync_only });
        done(`Pool ${values.pid} is saved`);
    });
}

/** Adds a worker, or changes one. */
export function worker(present, done) {
    const fields = [
        { name: "name", label: "Name", required: true, value: present?.name },
        { name: "endpoint", label: "Address of its pRuntime", required: true, value: present?.endpoint, hint: "http://10.0.0.17:8000" },
        { name: "pool", label: "Pool id (pid)", kind: "number", min: "0", required: true, value: present?.pool },
        { name: "stake", label: "Stake, PHA", required: true, value: present ? plainPha(present.stake) : "" },
        { name: "disabled", label: FLAGS.disabled, kind: "flag", value: present && !present.enabled },
        { name: "sync_only", label: FLAGS.sync_only, kind: "flag", value: present?.sync_only },
        { name: "gatekeeper", label: "Gatekeeper: registered, and in no pool", kind: "flag", value: present?.gatekeeper },
    ];
    return form(present ? `Worker ${present.name}` : "Add a worker", fields, async (values) => {
        const { name, endpoint, disabled, sync_only, gatekeeper } = values;
        const stake = planck(values.stake);
        if (stake === null) throw new Error("the stake is an amount in PHA, like 1500 or 1500.25");
        const fields = { name, endpoint, stake, pid: Number(values.pool), disabled, sync_only, gatekeeper };
        const change = present ? { ...fields, name: present.name, new_name: name } : fields;
        await config(present ? "UpdateWorker" : "AddWorker", change);
        done(`Worker ${name} is saved`);
    });
}

/** Sets who signs for a pool. The secret is sent, sealed there, and shown by nobody. */
export function operator(pid, done) {
    const fields = [
        { name: "pid", label: "Pool id (pid)", kind: "number", min: "0", required: true, value: pid, fixed: pid !== undefined },
        { name: "account", label: "Secret", kind: "secret", required: true, hint: "It is encrypted there and never shown again." },
        {
            name: "account_type",
            label: "What the secret is",
            kind: "choice",
            value: "Seed",
            choices: [["Seed", "Mnemonic, seed or derivation URI"], ["SecretKey", "Secret key: hex of 64 bytes"]],
        },
        { name: "proxied_account_id", label: "On behalf of (address), if it is a proxy" },
    ];
    return form("Set a pool's operator", fields, async (values) => {
        const { account, account_type } = values;
        const proxied = values.proxied_account_id.trim() || null;
        await config("SetPoolOperator", { pid: Number(values.pid), account, account_type, proxied_account_id: proxied });
        done(`Pool ${values.pid} has its operator`);
    });
}

/** Removes something by a command of configuration, once it was confirmed. */
export async function remove(what, name, fields, lines, done) {
    if (!(await confirm(`Remove ${name}?`, lines, { act: "Remove", danger: true }))) return;
    try {
        await config(what, fields);
        done(`${name} is removed`);
    } catch (error) {
        toast(error.message, true);
    }
}

let asked = false;

/** Asks for the token, once at a time. */
export async function token(done, why = "") {
    if (asked) return;
    asked = true;
    const hint = `${why ? `${why}. ` : ""}It is in the file that api.token_file names, and is kept until this tab is closed.${
        hasToken() ? " Leave it empty to forget the one that is kept." : ""
    }`;
    const fields = [{ name: "token", label: "Token", kind: "secret", hint }];
    const given = await form("Token of the API", fields, async (values) => setToken(values.token.trim()), "Use it");
    asked = false;
    if (given) done();
}
