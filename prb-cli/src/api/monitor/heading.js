// What stands above a page of a peer.

import { link } from "./api.js";
import { bar, h } from "./dom.js";
import { short } from "./format.js";

/** The way back, the title, and the tabs there are. */
export function head({ peer: one }, title, tabs = [], tab = "") {
    const links = tabs.map(([key, label]) =>
        h("a", { href: link("peer", one.peerId, { tab: key }), "aria-current": key === tab ? "page" : null }, label),
    );
    return [
        h("p", { class: "way" }, h("a", { href: link("peers") }, "Peers"), " / "),
        bar(h("h1", {}, title), h("span", { class: "note", title: one.peerId }, short(one.peerId, 8))),
        ...(links.length ? [h("nav", { class: "tabs", "aria-label": "Of this peer" }, ...links)] : []),
    ];
}
