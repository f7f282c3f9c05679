// A data provider of the network: how far it is, and how fast.

import { peer } from "./api.js";
import { Chart } from "./chart.js";
import { card, facts, h, say } from "./dom.js";
import { duration, number, pace } from "./format.js";
import { Grid } from "./grid.js";
import { head } from "./heading.js";
import { counted } from "./kinds.js";
import { appended } from "./plot.js";
import { Rate, left } from "./rate.js";

const STEPS = [
    ["fetched", "Fetched"],
    ["processed", "Processed"],
    ["committed", "Committed"],
];
const CHAINS = [
    ["parent", "Relay chain"],
    ["para", "Parachain"],
];
const STATUS = { __proto__: null, S_IDLE: ["at the tip", "good"], S_SYHCHING: ["catching up", "warn"], S_UNKNOWN: ["unknown", "note"] };

/** A height as v2 has it: -1 is not known. */
const known = (height) => (Number.isFinite(height) && height >= 0 ? height : null);

/** A row for each height of both chains: where it stands, how fast it rises, what is left to the target. */
export function rows(info, rates) {
    return CHAINS.flatMap(([chain, name]) =>
        STEPS.map(([step, label]) => {
            const [height, target] = [known(info[`${chain}${capital(step)}Height`]), known(info[`${chain}Target`])];
            const perSecond = rates.get(`${chain} ${step}`)?.perSecond() ?? null;
            return { key: `${chain} ${step}`, chain: name, step: label, height, target, perSecond, ...left(height, target, perSecond) };
        }),
    );
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

const COLUMNS = [
    { title: "Chain", value: (row) => row.chain, width: 12 },
    { title: "Step", value: (row) => row.step, width: 12 },
    counted("Height", (row) => row.height, { width: 12 }),
    counted("Target", (row) => row.target, { width: 12 }),
    counted("Left", (row) => row.left),
    counted("Pace", (row) => row.perSecond, { about: "Over the last five minutes", cell: (row) => pace(row.perSecond) }),
    counted("ETA", (row) => row.eta, { cell: (row) => (row.left === 0 ? "at the tip" : duration(row.eta)) }),
];

const SERIES = [
    { key: "target", label: "Target", tone: "tip" },
    { key: "fetched", label: "Fetched", tone: "relay" },
    { key: "processed", label: "Processed", tone: "para" },
    { key: "committed", label: "Committed", tone: "blocks" },
];

export function provider(main, where) {
    const { peer: one } = where;
    const status = h("p");
    const about = h("dl");
    const grid = new Grid({ label: "Heights", key: (row) => row.key, columns: COLUMNS });
    const rates = new Map(CHAINS.flatMap(([chain]) => STEPS.map(([step]) => [`${chain} ${step}`, new Rate()])));
    const plots = CHAINS.map(([chain, label]) => ({ chain, points: [], chart: new Chart({ label, series: SERIES }) }));
    main.append(
        ...head(where, one.hostname || "Data provider"),
        h("div", { class: "cards" }, card("State", status, about)),
        h("div", { class: "cards wide" }, card("Heights", grid.element)),
        h("div", { class: "cards wide" }, ...plots.map(({ chart }, at) => card(`${CHAINS[at][1]}, since this page is open`, chart.element))),
    );

    function show(info) {
        const now = Date.now() / 1000;
        for (const [chain] of CHAINS) {
            for (const [step] of STEPS) rates.get(`${chain} ${step}`).look(now, known(info[`${chain}${capital(step)}Height`]));
        }
        const [word, tone] = STATUS[info.status] ?? [info.status ?? "unknown", "note"];
        say(status, capital(word), `state ${tone}`);
        facts(about, [
            ["Parachain id", known(info.paraId)],
            ["First relay chain header", number(known(info.parentStartHeader))],
            ["Port of its blocks", info.blobServerPort],
            ["Bridge", one.bridgeIdentity],
            ["Chain", one.chainIdentity],
            ["Address", one.remoteAddr],
        ]);
        grid.show(rows(info, rates));
        for (const plot of plots) {
            const heights = STEPS.map(([step]) => [step, known(info[`${plot.chain}${capital(step)}Height`])]);
            const point = { at: now, target: known(info[`${plot.chain}Target`]), ...Object.fromEntries(heights) };
            plot.points = appended(plot.points, point, 1);
            plot.chart.show(plot.points);
        }
    }

    const end = () => [grid, ...plots.map(({ chart }) => chart)].forEach((part) => part.end());
    return { load: () => peer(one.peerId, "GetDataProviderInfo"), show, end };
}
