// Where things are drawn in a plot. Pure.

/** Round values between two, about `count` of them, whole ones. */
export function ticks(low, high, count = 5) {
    if (!(high > low)) return [low];
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].map((of) => of * power).find((of) => of >= rough));
    const all = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) all.push(at);
    return all;
}

const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Round times between two (seconds since 1970), at most `count` of them; `offset` is that of local time in seconds. */
export function timeTicks(from, to, count = 6, offset = 0) {
    const step = STEPS.find((of) => (to - from) / of <= count) ?? 86400 * Math.ceil((to - from) / 86400 / count);
    const all = [];
    for (let at = Math.ceil((from + offset) / step) * step - offset; at <= to; at += step) all.push(at);
    return all;
}

/** From a value to a place; what has no extent is in the middle. */
export function scale([low, high], [from, to]) {
    return (value) => (high > low ? from + ((value - low) / (high - low)) * (to - from) : (from + to) / 2);
}

/** Least and greatest value of these keys, with a little room; null where nothing is known. */
export function extent(points, keys) {
    let [low, high] = [Infinity, -Infinity];
    for (const point of points) {
        for (const key of keys) {
            const value = point[key];
            if (value === null || value === undefined) continue;
            low = Math.min(low, value);
            high = Math.max(high, value);
        }
    }
    if (low > high) return null;
    const room = Math.max(1, (high - low) * 0.05);
    return [Math.max(0, Math.floor(low - room)), Math.ceil(high + room)];
}

/** A line through the points as an SVG path; where nothing is known it is interrupted. */
export function path(points, key, x, y) {
    let down = false;
    let drawn = "";
    for (const point of points) {
        const value = point[key];
        const known = value !== null && value !== undefined;
        if (known) drawn += `${down ? "L" : "M"}${x(point.at).toFixed(1)} ${y(value).toFixed(1)}`;
        down = known;
    }
    return drawn;
}

/** The place in the list of the point that is next to a time; -1 where there is none. */
export function nearest(points, at) {
    if (points.length === 0) return -1;
    let [low, high] = [0, points.length - 1];
    while (low < high) {
        const middle = (low + high) >> 1;
        if (points[middle].at < at) low = middle + 1;
        else high = middle;
    }
    return low > 0 && at - points[low - 1].at <= points[low].at - at ? low - 1 : low;
}

/** Adds a point to a history, at most one in `every` seconds and `most` of them; what says the same lasts. */
export function appended(points, point, every = 5, most = 2000) {
    const last = points.at(-1);
    if (last && point.at - last.at < every) return points;
    return [...points, point].slice(-most);
}
