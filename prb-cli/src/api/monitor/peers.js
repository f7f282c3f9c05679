// Peers of the network: data providers and lifecycle managers.

import { ApiError, ask, link } from "./api.js";
import { bar, h, say } from "./dom.js";
import { number, short } from "./format.js";

const LIFECYCLE = 3;
const OFF =
    "The peer-to-peer network is off here. Switch it on with a section [p2p] in the configuration of this program and of those " +
    "that it is to find, in the same network or with boot nodes, and start them again.";

/** Who there is; null where the network is off. */
export async function discover() {
    try {
        const { dataProviders = [], lifecycleManagers = [] } = await ask("GET", "ptp/discover", { own: true });
        return { dataProviders, lifecycleManagers };
    } catch (error) {
        if (error instanceof ApiError && (error.isMissing || [409, 503].includes(error.status))) return { off: error };
        throw error;
    }
}

/** That there is no network, and what to do about it. */
export function off(error) {
    const why = error.isMissing ? null : h("p", { class: "note" }, `The API says: ${error.message}.`);
    return h("div", { class: "card empty" }, h("h2", {}, "No network"), h("p", {}, OFF), why);
}

export function peers(main) {
    const heads = { dataProviders: h("h2"), lifecycleManagers: h("h2") };
    const lists = { dataProviders: h("div", { class: "cards few" }), lifecycleManagers: h("div", { class: "cards few" }) };
    const found = h("div", {}, heads.dataProviders, lists.dataProviders, heads.lifecycleManagers, lists.lifecycleManagers);
    const none = h("div");
    found.hidden = true;
    main.append(
        bar(h("h1", {}, "Peers"), h("span", { class: "note" }, "Programs that are found in the peer-to-peer network")),
        none,
        found,
    );
    let before = "";

    function show(answer) {
        found.hidden = Boolean(answer.off);
        none.replaceChildren(...(answer.off ? [off(answer.off)] : []));
        // What is opened and selected stays while nothing changes.
        const now = JSON.stringify(answer);
        if (answer.off || now === before) return;
        before = now;
        for (const [key, title] of [["dataProviders", "Data providers"], ["lifecycleManagers", "Lifecycle managers"]]) {
            say(heads[key], `${title} (${number(answer[key].length)})`);
            const cards = answer[key].map((one) => card(one));
            lists[key].replaceChildren(...(cards.length ? cards : [h("p", { class: "note" }, "None is found yet.")]));
        }
    }

    return { load: discover, show };
}

function card(one) {
    const to = (tab) => link("peer", one.peerId, tab ? { tab } : {});
    const links = one.role === LIFECYCLE ? [["Status", ""], ["Pools", "pools"], ["Workers", "workers"]] : [["Status", ""]];
    const rows = [
        ["Peer", short(one.peerId, 8), one.peerId],
        ["Address", one.remoteAddr],
        ["Bridge", one.bridgeIdentity],
        ["Chain", short(one.chainIdentity, 8), one.chainIdentity],
    ];
    return h(
        "section",
        { class: "card" },
        h("h3", {}, h("a", { href: to("") }, one.hostname || short(one.peerId))),
        h("dl", {}, ...rows.flatMap(([name, value, title = ""]) => [h("dt", {}, name), h("dd", { title }, value || "–")])),
        h("p", { class: "links" }, ...links.map(([label, tab]) => h("a", { href: to(tab) }, label))),
        h("details", {}, h("summary", {}, "JSON"), h("pre", {}, JSON.stringify(one, null, 2))),
    );
}
