// Which page of which manager is shown, and how its API stands.

import { link, managers as listed, remember, remembered, setManager } from "./api.js";
import { button, h, say } from "./dom.js";
import { clock, duration } from "./format.js";
import { token } from "./forms.js";
import { Live } from "./live.js";
import { operators } from "./operators.js";
import { overview } from "./overview.js";
import { peer } from "./peer.js";
import { peers } from "./peers.js";
import { pools } from "./pools.js";
import { address, route } from "./route.js";
import { theme } from "./theme.js";
import { transactions } from "./transactions.js";
import { worker } from "./worker.js";
import { workers } from "./workers.js";

/**
 * A page is a function of where it is put, the route and `again`, which asks at once. It gives `load`, which asks the API,
 * `show`, which gets the answer, and perhaps `heard` (see `Live`), `every`, milliseconds between questions, and `end`.
 */
const PAGES = new Map(Object.entries({ overview, workers, worker, pools, operators, transactions, peers, peer }));
/** Under which entry of the menu a page is. */
const MENU = { worker: "workers", peer: "peers" };
const CHOSEN = "prb-manager";
const REMEDIES = { 0: "See that prb runs there, and that nothing between keeps it from answering; what is shown is as it was then." };

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const pulse = document.getElementById("pulse");
const select = document.getElementById("manager");
const trouble = h("span");
// Not read aloud: it says something else every second.
const countdown = h("span", { "aria-live": "off" });
/** Names and bases of the managers; null until they are told. */
let managers = null;
let where = null;
let page = null;
let live = null;
let failing = null;
/** Whether the token was asked for: who leaves that dialog is not asked again and again. */
let asked = false;

banner.append(trouble, countdown, button("Ask now", () => live?.now()), button("Token", () => wantToken()));
document.getElementById("token").addEventListener("click", () => wantToken());
theme(document.getElementById("theme"));
select.addEventListener("change", () => {
    location.hash = address({ manager: select.value, page: where.page === "worker" ? "workers" : where.page });
});

/** Asks which managers there are, until that is told; then for the page. */
function begin() {
    live?.end();
    page?.end?.();
    page = null;
    live = new Live({ load: listed, show: choices }, stand);
}

function choices(told) {
    managers = told;
    select.replaceChildren(...managers.map(({ name }) => h("option", { value: name }, name)));
    select.parentElement.hidden = managers.length < 2;
    go();
}

/** Asks for the token of the manager that is shown; until there is a page, for that of this program. */
function wantToken(why = "") {
    const of = select.parentElement.hidden || select.value === "this" ? "" : select.value;
    return token(() => {
        asked = false;
        begin();
    }, { why, own: page === null, of });
}

function go() {
    where = route(location.hash);
    live?.end();
    page?.end?.();
    [live, page] = [null, null];
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    main.replaceChildren();
    stand({ error: null });
    const found = choose();
    if (!found) return;
    const make = PAGES.get(where.page) ?? overview;
    const again = () => live?.now();
    page = make(main, where, again);
    mark();
    const show = (answer) => {
        page.show(answer);
        title();
    };
    live = new Live({ ...page, show }, stand);
}

/** Takes the manager that the address names, else the one that was chosen before. Whether there is one. */
function choose() {
    const several = managers.length > 1;
    if (!where.manager && managers.length === 0) {
        // A program that knows peers alone.
        if (!["peers", "peer"].includes(where.page)) where = { ...where, page: "peers", name: "" };
        setManager({ name: "", base: "" });
        return true;
    }
    const wanted = where.manager || remembered("localStorage", CHOSEN);
    // Also by the name that is in paths.
    const found = managers.find(({ name, base }) => name === wanted || base === `/managers/${wanted}/`);
    if (where.manager && !found) {
        const links = managers.map(({ name }) => h("li", {}, h("a", { href: address({ manager: name, page: where.page }) }, name)));
        main.append(h("h1", {}, `There is no manager ${where.manager}`), h("ul", {}, ...links));
        return false;
    }
    const { name, base } = found ?? managers[0];
    // One that is alone is named by nobody, but for who asks for it by its name.
    setManager({ name: several || where.manager ? name : "", base });
    select.value = name;
    if (several) remember("localStorage", CHOSEN, name);
    return true;
}

/** Marks the page in the menu, whose entries lead to the same manager. */
function mark() {
    const of = MENU[where.page] ?? (PAGES.has(where.page) ? where.page : "overview");
    for (const entry of document.querySelectorAll("nav [data-page]")) {
        entry.setAttribute("href", link(entry.dataset.page));
        if (entry.dataset.page === of) {
            entry.setAttribute("aria-current", "page");
            entry.scrollIntoView({ block: "nearest", inline: "center" });
        } else entry.removeAttribute("aria-current");
    }
    title();
}

function title() {
    const of = select.parentElement.hidden ? "" : `[${select.value}] `;
    document.title = `${of}${main.querySelector("h1")?.textContent ?? where.page} – prb`;
}

function stand(how) {
    failing = how.error ? how : null;
    main.classList.toggle("stale", Boolean(failing));
    const often = `every ${duration((page?.every ?? 3000) / 1000)}`;
    if (failing) say(pulse, "not current", "state bad");
    else say(pulse, how.events ? "live" : often, how.events ? "state good" : "state note");
    tell();
    if (how.error?.status !== 401 || asked) return;
    asked = true;
    wantToken("The API wants a token from here");
}

/** Says since when nothing is known, and when it is asked again. */
function tell() {
    banner.hidden = !failing;
    if (!failing) return;
    const { error, since, next } = failing;
    const left = Math.max(0, Math.round((next - Date.now()) / 1000));
    const kinds = { undefined: "This page fails", 0: "Not reachable", 401: "A token is wanted", 502: "Not reachable" };
    const what = kinds[error.status] ?? "Refused";
    const remedy = REMEDIES[error.status] ?? "";
    say(trouble, `${what} since ${clock(since)}: ${error.message.replace(/[.\s]+$/, "")}. ${remedy}`);
    say(countdown, `Asked again in ${duration(left)}.`);
}

setInterval(tell, 1000);
addEventListener("hashchange", () => {
    if (managers === null) return;
    go();
    main.focus({ preventScroll: true });
});
addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches?.("input, textarea, select")) return;
    const search = main.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
});
begin();
