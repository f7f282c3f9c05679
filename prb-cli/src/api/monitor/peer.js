// One peer of the network.

import { link } from "./api.js";
import { h } from "./dom.js";
import { lifecycle } from "./lifecycle.js";
import { discover, off } from "./peers.js";
import { provider } from "./provider.js";

/** The page of one of them: what it is decides which. */
export function peer(main, where, again) {
    let [page, ended] = [null, false];
    const place = h("div", {}, h("h1", {}, "Peer"), h("p", { class: "note" }, "…"));
    main.append(place);

    const load = async () => {
        const found = await discover();
        // Another page is in this place by now.
        if (ended) return {};
        if (found.off) return found;
        const all = [...found.dataProviders, ...found.lifecycleManagers];
        const one = all.find(({ peerId }) => peerId === where.name);
        if (!one) return { gone: true };
        const make = found.lifecycleManagers.includes(one) ? lifecycle : provider;
        if (page === null) {
            main.replaceChildren();
            page = make(main, { ...where, peer: one }, again);
        }
        return { answer: await page.load() };
    };

    function show(told) {
        if (told.answer) return page.show(told.answer);
        page?.end?.();
        page = null;
        const way = h("p", { class: "way" }, h("a", { href: link("peers") }, "All peers"));
        const gone = h("p", { class: "card" }, "It is not found in the network, or not yet: it shows here when it is.");
        main.replaceChildren(way, h("h1", {}, "Peer"), told.off ? off(told.off) : gone);
        return null;
    }

    function end() {
        ended = true;
        page?.end?.();
    }

    return { load, show, every: 2000, end };
}
