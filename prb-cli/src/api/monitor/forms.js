// What is asked before the inventory is changed.

import { ask, config, hasToken, ofWorker, setToken } from "./api.js";
import { confirm, form } from "./dialog.js";
import { toast } from "./dom.js";
import { plainPha, planck } from "./format.js";

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

/** Tags of a text, apart by commas or spaces. */
const tagsOf = (text) => [...new Set(text.split(/[\s,;]+/).filter(Boolean))];

/** Adds a worker, or changes one. */
export function worker(present, done, pid = undefined) {
    const fields = [
        { name: "name", label: "Name", required: true, value: present?.name },
        { name: "endpoint", label: "Address of its pRuntime", required: true, value: present?.endpoint, hint: "http://10.0.0.17:8000" },
        { name: "pool", label: "Pool id (pid)", kind: "number", min: "0", required: true, value: present?.pool ?? pid },
        { name: "stake", label: "Stake, PHA", required: true, value: present ? plainPha(present.stake) : "" },
        { name: "tags", label: "Tags", value: (present?.tags ?? []).join(", "), hint: "Words that it is found by, like rack1, berlin" },
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
        const tags = tagsOf(values.tags);
        if (tags.join() !== (present?.tags ?? []).join()) await setTags(name, tags);
        done(`Worker ${name} is saved`);
    });
}

async function setTags(name, tags) {
    try {
        await ask("PUT", ofWorker(name, "/tags"), { body: { tags } });
    } catch (error) {
        throw new Error(`it is saved, and its tags are not: ${error.message}`);
    }
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

/** Removes something, once it was confirmed: `act` does it, `lines` say what it means. */
export async function remove(name, lines, act, done) {
    if (!(await confirm(`Remove ${name}?`, lines, { act: "Remove", danger: true }))) return;
    try {
        await act();
        done(`${name} is removed`);
    } catch (error) {
        toast(error.message, true);
    }
}

let asked = false;

/** Asks for the token of a manager, or with `own` of this program, once at a time; `of` names the manager where there are several. */
export async function token(done, { why = "", own = false, of = "" } = {}) {
    if (asked) return;
    asked = true;
    const hint = `${why ? `${why}. ` : ""}It is in the file that api.token_file names, and is kept until this tab is closed.${
        hasToken(own) ? " Leave it empty to forget the one that is kept." : ""
    }`;
    const fields = [{ name: "token", label: "Token", kind: "secret", hint }];
    const title = `Token of ${own || !of ? "the API" : of}`;
    const given = await form(title, fields, async (values) => setToken(values.token.trim(), own), "Use it");
    asked = false;
    if (given) done();
}
