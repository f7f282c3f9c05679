// Values as people read them. Pure; what is not known is a dash.

export const NONE = "–";
const PLANCK_DIGITS = 12;

/** A whole number with its thousands apart. */
export function number(value) {
    if (value === null || value === undefined) return NONE;
    return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** A duration in seconds, as the log says it: `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds) {
    if (seconds === null || seconds === undefined) return NONE;
    const whole = Math.ceil(seconds);
    if (whole < 120) return `${whole} s`;
    const minutes = Math.ceil(whole / 60);
    if (minutes < 120) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Planck, a text of digits, as PHA. */
export function pha(planck) {
    if (planck === null || planck === undefined || !/^\d+$/.test(planck)) return NONE;
    const digits = String(planck).padStart(PLANCK_DIGITS + 1, "0");
    const fraction = digits.slice(-PLANCK_DIGITS).replace(/0+$/, "");
    const whole = number(digits.slice(0, -PLANCK_DIGITS).replace(/^0+(?=\d)/, ""));
    return `${whole}${fraction ? `.${fraction}` : ""} PHA`;
}

/** The same to be edited: no unit, no spaces. */
export function plainPha(planck) {
    return pha(planck).replace(" PHA", "").replaceAll("\u202f", "");
}

/** Planck of an amount in PHA, as text; null if it is none. */
export function planck(text) {
    const found = /^\s*(\d{1,10})(?:\.(\d{1,12}))?\s*(?:PHA)?\s*$/.exec(text);
    if (!found) return null;
    const digits = found[1] + (found[2] ?? "").padEnd(PLANCK_DIGITS, "0");
    return digits.replace(/^0+(?=\d)/, "");
}

/** Bytes with a unit. */
export function bytes(count) {
    if (count === null || count === undefined) return NONE;
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let value = count;
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
        value /= 1024;
        unit += 1;
    }
    return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A long hex or address, its middle left out. */
export function short(text, kept = 6) {
    if (!text) return NONE;
    return text.length > 2 * kept + 3 ? `${text.slice(0, kept + 2)}…${text.slice(-kept)}` : text;
}

/** A text whose keys and hashes are shortened. */
export function brief(text) {
    return text?.replace(/\b0x[0-9a-f]{40,}\b/gi, (hex) => short(hex)) ?? NONE;
}

/** How long ago a time (text as the API writes it) was. */
export function ago(time, now) {
    const at = Date.parse(time ?? "");
    return Number.isNaN(at) ? NONE : `${duration(Math.max(0, Math.floor((now - at) / 1000)))} ago`;
}

/** A fixed-point number of the chain (64 bits after the point, as text) with two decimals. */
export function fixed(bits) {
    if (bits === null || bits === undefined || !/^\d+$/.test(bits)) return NONE;
    const hundredths = (BigInt(bits) * 100n) >> 64n;
    return `${number(hundredths / 100n)}.${String(hundredths % 100n).padStart(2, "0")}`;
}

/** A time of day on this machine, with the date where it is another day than `now`; `coarse` without seconds. */
export function clock(time, coarse = false, now = Date.now()) {
    const at = new Date(time);
    if (Number.isNaN(at.getTime())) return NONE;
    const digits = (value) => String(value).padStart(2, "0");
    const parts = [at.getHours(), at.getMinutes(), ...(coarse ? [] : [at.getSeconds()])].map(digits).join(":");
    const same = new Date(now).toDateString() === at.toDateString();
    return same ? parts : `${at.getFullYear()}-${digits(at.getMonth() + 1)}-${digits(at.getDate())} ${parts}`;
}

/** How fast something rises. */
export function pace(perSecond) {
    if (perSecond === null || perSecond === undefined) return NONE;
    if (perSecond === 0) return "0 /s";
    return perSecond >= 1 ? `${perSecond.toFixed(1)} /s` : `${(perSecond * 60).toFixed(1)} /min`;
}
