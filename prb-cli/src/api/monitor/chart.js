// A plot of values over time, drawn as it is needed: axes, lines, and what is under the pointer.

import { h, say, svg } from "./dom.js";
import { clock, number } from "./format.js";
import { extent, nearest, path, scale, ticks, timeTicks } from "./plot.js";

const HEIGHT = 220;
const LEAST = 260;
const EDGE = { left: 86, right: 12, top: 10, bottom: 24 };

/** `series` are `{ key, label, tone }`; points are `{ at, ...values }`, at in seconds since 1970. */
export class Chart {
    constructor({ label, series, none = "Nothing is known yet." }) {
        Object.assign(this, { series, points: [], at: null });
        this.none = h("p", { class: "note" }, none);
        this.readings = series.map(({ label: name, tone }) => {
            const value = h("strong");
            return { value, element: h("span", { class: `reading ${tone}` }, h("span", {}, name), value) };
        });
        this.time = h("span", { class: "note" });
        this.axes = svg("g", { class: "axes" });
        this.lines = series.map(({ tone }) => svg("path", { class: `line ${tone}` }));
        this.cursor = svg("line", { class: "cursor", visibility: "hidden" });
        this.dots = series.map(({ tone }) => svg("circle", { class: `dot ${tone}`, r: 4, visibility: "hidden" }));
        this.drawing = svg(
            "svg",
            {
                class: "plot",
                role: "img",
                tabindex: "0",
                "aria-label": `${label}: arrow keys go through the values`,
                height: HEIGHT,
                on: {
                    pointermove: (event) => this.point(event),
                    pointerdown: (event) => this.point(event),
                    pointerleave: () => this.look(null),
                    keydown: (event) => this.press(event),
                    blur: () => this.look(null),
                },
            },
            this.axes,
            ...this.lines,
            this.cursor,
            ...this.dots,
        );
        const legend = h("p", { class: "legend", "aria-live": "off" }, ...this.readings.map(({ element }) => element), this.time);
        this.element = h("figure", { "aria-label": label }, legend, this.drawing, this.none);
        this.resized = new ResizeObserver(() => this.draw());
        this.resized.observe(this.element);
    }

    end() {
        this.resized.disconnect();
    }

    show(points) {
        this.points = points;
        this.draw();
    }

    draw() {
        const { points, series } = this;
        const range = extent(points, series.map(({ key }) => key));
        this.none.hidden = range !== null;
        this.drawing.toggleAttribute("hidden", range === null);
        if (range === null) return this.read();
        const width = Math.max(LEAST, this.element.clientWidth);
        if (this.element.clientWidth === 0) return null;
        const times = [points[0].at, points.at(-1).at];
        this.x = scale(times, [EDGE.left, width - EDGE.right]);
        this.y = scale(range, [HEIGHT - EDGE.bottom, EDGE.top]);
        this.width = width;
        this.drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
        this.drawing.setAttribute("width", width);
        this.scales(times, range);
        series.forEach(({ key }, at) => this.lines[at].setAttribute("d", path(points, key, this.x, this.y)));
        return this.read();
    }

    scales(times, range) {
        const { x, y, width } = this;
        const heights = ticks(range[0], range[1], 4).flatMap((value) => [
            svg("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
            svg("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)),
        ]);
        const offset = -60 * new Date(times[0] * 1000).getTimezoneOffset();
        const marks = timeTicks(times[0], times[1], Math.max(2, Math.floor(width / 130)), offset)
            .filter((at) => x(at) > EDGE.left + 20 && x(at) < width - 30)
            .map((at) => svg("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, clock(at * 1000, times[1] - times[0] > 600)));
        this.axes.replaceChildren(...heights, ...marks);
    }

    point(event) {
        if (this.points.length === 0 || !this.x) return;
        const box = this.drawing.getBoundingClientRect();
        const place = ((event.clientX - box.left) / box.width) * this.width;
        const [from, to] = [this.points[0].at, this.points.at(-1).at];
        const at = from + ((place - EDGE.left) / (this.width - EDGE.left - EDGE.right)) * (to - from);
        this.look(nearest(this.points, at));
    }

    press(event) {
        const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
        if (!step || this.points.length === 0) return;
        event.preventDefault();
        const last = this.points.length - 1;
        this.look(Math.min(last, Math.max(0, (this.index() ?? last) + step)));
    }

    look(at) {
        this.at = at === null ? null : this.points[at].at;
        this.read();
    }

    /** The point that is looked at, also after others were added. */
    index() {
        return this.at === null || this.points.length === 0 ? null : nearest(this.points, this.at);
    }

    /** Tells the values at the cursor, else the last ones. */
    read() {
        const at = this.index();
        const point = this.points[at ?? this.points.length - 1];
        const marked = at !== null && this.x !== undefined;
        this.series.forEach(({ key }, of) => {
            const value = point?.[key] ?? null;
            say(this.readings[of].value, number(value));
            this.dots[of].setAttribute("visibility", marked && value !== null ? "visible" : "hidden");
            if (!marked || value === null) return;
            this.dots[of].setAttribute("cx", this.x(point.at));
            this.dots[of].setAttribute("cy", this.y(value));
        });
        say(this.time, point ? clock(point.at * 1000) : "", "note");
        this.cursor.setAttribute("visibility", marked ? "visible" : "hidden");
        if (!marked) return;
        const place = { x1: this.x(point.at), x2: this.x(point.at), y1: EDGE.top, y2: HEIGHT - EDGE.bottom };
        for (const [key, value] of Object.entries(place)) this.cursor.setAttribute(key, value);
    }
}
