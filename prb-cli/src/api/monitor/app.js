// Which page is shown, and how the API stands.

import { Poller } from "./api.js";
import { button, h, say } from "./dom.js";
import { clock, duration } from "./format.js";
import { token } from "./forms.js";
import { route } from "./list.js";
import { operators } from "./operators.js";
import { overview } from "./overview.js";
import { pools } from "./pools.js";
import { transactions } from "./transactions.js";
import { worker } from "./worker.js";
import { workers } from "./workers.js";

/**
 * A page is a function of where it is put, the route and `again`, which asks at once. It gives `load`, which asks the API,
 * `show`, which gets the answer, and perhaps `end`.
 */
const PAGES = new Map(Object.entries({ overview, workers, worker, pools, operators, transactions }));

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const trouble = h("span");
// Not read aloud: it says something else every second.
const countdown = h("span", { "aria-live": "off" });
let page = null;
let poller = null;
let failing = null;
/** Whether the token was asked for: who leaves that dialog is not asked again and again. */
let asked = false;

banner.append(trouble, countdown, button("Ask now", () => poller?.now()));
document.getElementById("token").addEventListener("click", () => token(() => poller?.now()));

function go() {
    const where = route(location.hash);
    const make = PAGES.get(where.page) ?? overview;
    poller?.end();
    page?.end?.();
    main.replaceChildren();
    stand({ error: null });
    const again = () => poller.now();
    page = make(main, where, again);
    mark(where.page);
    const show = (answer) => {
        page.show(answer);
        mark(where.page);
    };
    poller = new Poller(page.load, show, stand);
    poller.now();
}

/** Marks the page in the menu and in the title. */
function mark(name) {
    const of = name === "worker" ? "workers" : name;
    for (const link of document.querySelectorAll("nav a")) {
        if (link.getAttribute("href") === `#/${of}`) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    document.title = `prb: ${main.querySelector("h1")?.textContent ?? name}`;
}

function stand(how) {
    const unauthorized = how.error?.status === 401;
    failing = how.error ? how : null;
    main.classList.toggle("stale", Boolean(failing));
    tell();
    if (!unauthorized || asked) return;
    asked = true;
    token(() => {
        asked = false;
        poller.now();
    }, "The API wants a token from here");
}

/** Says since when nothing is known, and when it is asked again. */
function tell() {
    banner.hidden = !failing;
    if (!failing) return;
    const { error, since, next } = failing;
    const left = Math.max(0, Math.round((next - Date.now()) / 1000));
    const kinds = { undefined: "This page fails", 0: "Not reachable" };
    const what = kinds[error.status] ?? "Refused";
    say(trouble, `${what} since ${clock(since)}: ${error.message}.`);
    say(countdown, `Asked again in ${duration(left)}.`);
}

setInterval(tell, 1000);
addEventListener("hashchange", () => {
    go();
    main.focus({ preventScroll: true });
});
go();
