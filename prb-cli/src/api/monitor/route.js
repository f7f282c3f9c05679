// Addresses of the pages. Pure.

/** Manager, page, name and parameters of an address: `#/m/MANAGER/worker/ID?x=y`, without `m/MANAGER` where there is one. */
export function route(hash) {
    const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
    let parts = path.split("/");
    let manager = "";
    if (parts[0] === "m" && parts.length > 1) {
        manager = decoded(parts[1]);
        parts = parts.slice(2);
    }
    const [page = "", ...rest] = parts;
    return { manager, page: page || "overview", name: decoded(rest.join("/")), query: new URLSearchParams(query) };
}

/** The address of a page. Parameters that are empty are left out, `true` is 1. */
export function address({ manager = "", page, name = "", query = {} }) {
    const parts = [...(manager ? ["m", manager] : []), page, ...(name ? [name] : [])];
    const wanted = Object.entries(query).filter(([, value]) => value !== "" && value !== false && value !== null && value !== undefined);
    const told = new URLSearchParams(wanted.map(([key, value]) => [key, value === true ? "1" : String(value)])).toString();
    return `#/${parts.map(encodeURIComponent).join("/")}${told ? `?${told}` : ""}`;
}

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        // Typed by hand; whoever is asked for it says that there is no such thing.
        return text;
    }
}
