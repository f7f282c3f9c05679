// Light or dark: as the system has it, or as it is chosen.

import { remember, remembered } from "./api.js";
import { say } from "./dom.js";

const KEY = "prb-theme";
const THEMES = ["auto", "light", "dark"];

/** What a press on the button makes of it. */
export function nextTheme(now) {
    return THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
}

/** Gives the choice to a button. */
export function theme(button) {
    let chosen = "auto";
    const set = (wanted) => {
        chosen = THEMES.includes(wanted) ? wanted : "auto";
        document.documentElement.dataset.theme = chosen;
        say(button, { auto: "◐ Auto", light: "☀ Light", dark: "☾ Dark" }[chosen], "plain");
        button.setAttribute("aria-label", `Colours: ${chosen}. Press for ${nextTheme(chosen)}.`);
    };
    set(remembered("localStorage", KEY));
    button.addEventListener("click", () => {
        set(nextTheme(chosen));
        remember("localStorage", KEY, chosen === "auto" ? "" : chosen);
    });
}
