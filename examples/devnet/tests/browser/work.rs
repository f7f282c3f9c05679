//! Somebody brings a worker to work in the browser, and looks at everything.

use crate::{
    bridge::Bridge,
    driver::{Browser, DESKTOP, PHONE},
    page::{Monitor, tells},
    world::{Heard, World, name, until},
};
use prb_core::{lifecycle::Stage, pipeline::Event};
use prb_devnet::{network, runtime::para::PoolConfig, worker::WorkerConfig};
use serde_json::{Value, json};
use sp_keyring::Sr25519Keyring::Bob;

/// The worker that is not in the inventory at first, and the stake that it is to have.
const SPARE: &str = "spare-1";
const STAKE: &str = "5000";

#[tokio::test(flavor = "multi_thread")]
async fn v2_f070_v2_f073_a_worker_is_added_followed_to_work_and_restarted_in_a_browser() {
    let Some(browser) = Browser::start().await else { return };
    let (bridge, address) = bridge_with_a_spare_worker().await;
    let monitor = Monitor::open(&browser, bridge.monitor()).await;
    monitor.shows(env!("CARGO_PKG_VERSION")).await;

    add_pool(&monitor).await;
    add_worker(&monitor, &address).await;
    let works = |row: &_| tells(row, "Name", SPARE) && tells(row, "Status", "Working");
    monitor.has_row("Workers", "it works", works).await;

    let heard = Heard::from_now(bridge.deployment().bridge());
    restart(&monitor).await;
    let begins_anew = async || heard.any(leaves_work) || last_message(&bridge).contains("it begins anew");
    until("it begins anew", begins_anew).await;
    monitor.has_row("Workers", "it works again", works).await;
    bridge.world.until_working(bridge.deployment()).await;

    monitor.click(&format!("//table[@aria-label='Workers']//a[normalize-space()='{SPARE}']")).await;
    monitor.shows(&address).await;
    until("its heights are plotted", async || monitor.count(PLOTTED).await >= 2).await;

    monitor.go("transactions", "done").await;
    for what in ["register", "start"] {
        let ended = |row: &_| tells(row, "State", "done") && tells(row, "What", what);
        monitor.has_row("Transactions", &format!("{what} is done"), ended).await;
    }

    import_worker(&monitor, &bridge).await;
    look_at_everything(&monitor).await;
    choose_colours(&monitor).await;
    assert_eq!(browser.complaints().await, [""; 0]);
    drop(browser);
    bridge.stop().await;
}

/// Lines of plots that go somewhere.
const PLOTTED: &str = "main figure svg path[d*='L']";

/// A bridge that knows one worker of pool 1. Pool 2 is Bob's, on chain alone; another worker runs at the address.
async fn bridge_with_a_spare_worker() -> (Bridge, String) {
    let mut config = network::Config::default();
    let free_stake = config.para.pools[0].free_stake;
    config.para.pools.push(PoolConfig { owner: Bob.to_account_id(), free_stake });
    let mut world = World::new(config, 30, 1).await;
    let config = world.config();
    world.add_worker(WorkerConfig::default()).await;
    world.run_chains();
    let address = world.workers[1].url();
    (Bridge::start(world, config).await, address)
}

async fn add_pool(monitor: &Monitor<'_>) {
    monitor.go("pools", "Add a pool").await;
    monitor.press("Add a pool").await;
    monitor.dialog_opens("Add a pool").await;
    monitor.fill("Pool id", "2").await;
    monitor.fill("Name", "second").await;
    monitor.press("Save").await;
    monitor.dialog_closes().await;
    let row = "//table[@aria-label='Pools']//tr[td[normalize-space()='second']]";
    monitor.click(&format!("{row}//button[normalize-space()='Operator']")).await;
    monitor.dialog_opens("operator").await;
    monitor.fill("Secret", "//Bob").await;
    monitor.press("Save").await;
    monitor.dialog_closes().await;
    let signed = |row: &_| tells(row, "Name", "second") && !tells(row, "Operator", "none");
    monitor.has_row("Pools", "the second has an operator", signed).await;
    monitor.go("operators", "43qsYbZGLn2xzNuurY6BY4QNDSUU7gLEcXuckpm6B3DEmEx9").await;
    assert!(!monitor.text().await.contains("//Bob"), "a secret is never shown");
}

async fn add_worker(monitor: &Monitor<'_>, address: &str) {
    monitor.go("workers", &name(0)).await;
    monitor.press("Add a worker").await;
    monitor.dialog_opens("Add a worker").await;
    monitor.fill("Name", SPARE).await;
    monitor.fill("Address", address).await;
    monitor.fill("Pool id", "2").await;
    // What is refused says why, and stays to be mended.
    monitor.fill("Stake", "much").await;
    monitor.press("Save").await;
    monitor.shows("the stake is an amount in PHA").await;
    monitor.fill("Stake", STAKE).await;
    monitor.press("Save").await;
    monitor.dialog_closes().await;
    monitor.has_row("Workers", "it is listed", |row| tells(row, "Name", SPARE)).await;
}

/// Another worker comes from a text, once it was shown what that changes.
async fn import_worker(monitor: &Monitor<'_>, bridge: &Bridge) {
    const IMPORTED: &str = "imported-1";
    let is_there = || {
        let workers = bridge.deployment().inventory().snapshot().unwrap().workers;
        workers.iter().any(|worker| worker.name.as_str() == IMPORTED)
    };
    let csv = format!("name,endpoint,pool,stake,enabled\n{IMPORTED},http://127.0.0.1:9,2,{STAKE},false");
    monitor.go("pools", "second").await;
    monitor.press("Import").await;
    monitor.dialog_opens("Import pools and workers").await;
    monitor.fill("or text", &csv).await;
    monitor.press("Check").await;
    monitor.shows(&format!("worker {IMPORTED} added")).await;
    assert!(!is_there(), "it was only shown");
    for screen in [PHONE, DESKTOP] {
        monitor.browser.look_at(screen).await;
        monitor.drawn().await;
        monitor.browser.picture(&format!("import-light-{}", screen.name)).await;
    }
    monitor.press("Import").await;
    monitor.dialog_closes().await;
    monitor.shows("The import is done: 1 changed").await;
    assert!(is_there());
    monitor.go("workers", IMPORTED).await;
    monitor.has_row("Workers", "it is listed", |row| tells(row, "Name", IMPORTED)).await;
}

async fn restart(monitor: &Monitor<'_>) {
    monitor.click(&format!("//input[@aria-label='Select {SPARE}']")).await;
    monitor.press("Restart").await;
    monitor.dialog_opens(SPARE).await;
    monitor.browser.picture("confirm-light-desktop").await;
    monitor.press("Restart").await;
    monitor.dialog_closes().await;
    monitor.shows(&format!("Restart: taken for {SPARE}")).await;
}

/// The last message of the worker.
fn last_message(bridge: &Bridge) -> String {
    let status = bridge.deployment().bridge().workers_status();
    let found = status.iter().find(|worker| worker.worker.name.as_str() == SPARE);
    found.and_then(|worker| worker.last_message.as_ref()).map(|last| last.text.clone()).unwrap_or_default()
}

/// Whether the worker is not at work any more.
fn leaves_work(event: &Event) -> bool {
    matches!(event, Event::WorkerStage { worker, from: Stage::Working, .. } if worker.as_str() == SPARE)
}

/// Takes pictures of every page in both schemes of colours and on both screens, and sees what can be seen without eyes.
async fn look_at_everything(monitor: &Monitor<'_>) {
    let browser = monitor.browser;
    let pages = [
        ("overview", "Finalized"),
        ("workers", SPARE),
        (&format!("worker/{}", name(0)), "Session"),
        ("pools", "second"),
        ("operators", "alice"),
        ("transactions", "done"),
        ("peers", "Peers"),
    ];
    for (page, shown) in pages {
        monitor.go(page, shown).await;
        let file = page.split('/').next().unwrap();
        for scheme in ["light", "dark"] {
            browser.scheme(scheme).await;
            for screen in [DESKTOP, PHONE] {
                browser.look_at(screen).await;
                monitor.drawn().await;
                browser.picture(&format!("{file}-{scheme}-{}", screen.name)).await;
                let wide = monitor.script(OVERHANG, json!([])).await;
                assert!(
                    wide.as_f64().unwrap() <= 1.0,
                    "{page} is {wide} pixels wider than a {}",
                    screen.name
                );
            }
            let [back, text] = ["backgroundColor", "color"]
                .map(|name| async move { brightness(&monitor.script(COLOUR, json!([name])).await) });
            let (back, text) = (back.await, text.await);
            assert!((back < text) == (scheme == "dark"), "{page}: {text} on {back} in {scheme}");
            assert!((back - text).abs() > 120.0, "{page}: {text} on {back} can hardly be read");
        }
        browser.look_at(DESKTOP).await;
    }
    browser.scheme("light").await;
}

/// What is chosen in the page wins over what the system prefers, also after the page was left.
async fn choose_colours(monitor: &Monitor<'_>) {
    monitor.browser.scheme("dark").await;
    let back = async || brightness(&monitor.script(COLOUR, json!(["backgroundColor"])).await);
    let dark = back().await;
    monitor.click("//button[@id='theme']").await;
    until("it is light", async || back().await > dark + 120.0).await;
    monitor.browser.client.refresh().await.unwrap();
    monitor.shows("Peers").await;
    assert!(back().await > dark + 120.0, "what was chosen is forgotten");
    monitor.browser.scheme("light").await;
}

/// How far the page reaches beyond the screen, pixels.
const OVERHANG: &str = "return document.documentElement.scrollWidth - window.innerWidth";

const COLOUR: &str = "return getComputedStyle(document.body)[arguments[0]].match(/[\\d.]+/g).map(Number)";

/// How bright a colour seems, of 255.
fn brightness(colour: &Value) -> f64 {
    let part = |at: usize| colour[at].as_f64().unwrap();
    0.299 * part(0) + 0.587 * part(1) + 0.114 * part(2)
}
