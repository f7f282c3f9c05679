//! Many workers in one table.

use crate::{
    bridge::Bridge,
    driver::Browser,
    page::{Monitor, tells},
    world::World,
};
use fantoccini::{Locator, key::Key};
use prb_cli::inventory::{Change, WorkerRecord, WorkerSet};
use prb_devnet::network;
use serde_json::json;

/// So many workers; all are disabled, for it is the page that is measured.
const WORKERS: usize = 1000;

/// Most rows that may be in the document at a time.
const DRAWN: usize = 100;

/// Longest time that a change of the table may take, milliseconds. Generous: machines that test are busy.
const LONGEST: f64 = 2000.0;

#[tokio::test(flavor = "multi_thread")]
async fn v2_f138_a_thousand_workers_are_filtered_and_ordered_at_once() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::new(network::Config::default(), 5, 0).await;
    let config = world.config();
    let bridge = Bridge::start(world, config).await;
    let inventory = bridge.deployment().inventory();
    let many: Vec<_> = (0..WORKERS).map(|index| Change::AddWorker(listed(index))).collect();
    inventory.apply(&many).unwrap();

    let monitor = Monitor::open(&browser, bridge.monitor()).await;
    monitor.go("workers", &worker(0)).await;
    monitor.script(WATCH, json!([])).await;
    drawn(&monitor, "first").await;

    let table = Table { monitor: &monitor };
    table.does("scrolls to the end", "grid.scrollTop = grid.scrollHeight", &worker(WORKERS - 1)).await;
    table.does("scrolls back", "grid.scrollTop = 0", &worker(0)).await;
    table.does("searches", &typed(&worker(777)), &worker(777)).await;
    assert_eq!(monitor.rows("Workers").await.len(), 1);
    table.does("shows all", &typed(""), &worker(0)).await;
    table.does("turns the order", ORDER, &worker(WORKERS - 1)).await;
    let first = &monitor.rows("Workers").await[0];
    assert!(tells(first, "Name", &worker(WORKERS - 1)), "{first:?}");
    table.does("turns it again", ORDER, &worker(0)).await;

    select_all_that_are_found(&monitor, &table).await;
    filter_by_columns(&monitor).await;
    let longest = monitor.script("return window.longest", json!([])).await;
    assert!(longest.as_f64().unwrap() < LONGEST, "the page did not answer for {longest} ms");
    choose_columns(&monitor).await;

    // One that nobody can reach is seen to be in trouble, without a touch.
    let enabled = WorkerSet { enabled: Some(true), ..WorkerSet::default() };
    inventory.apply(&[Change::SetWorker(worker(3), enabled)]).unwrap();
    let changed = |row: &_| tells(row, "Name", &worker(3)) && !tells(row, "Status", "Disabled");
    monitor.has_row("Workers", "one is in trouble", changed).await;
    monitor.browser.picture("workers-thousand-light-desktop").await;

    assert_eq!(browser.complaints().await, [""; 0]);
    drop(browser);
    bridge.stop().await;
}

async fn select_all_that_are_found(monitor: &Monitor<'_>, table: &Table<'_>) {
    table.does("searches some", &typed("w-01"), &worker(100)).await;
    monitor.click("//input[@aria-label='Select all that are listed']").await;
    monitor.shows("100 of 1\u{202f}000, 100 selected").await;
    table.does("shows all again", &typed(""), &worker(0)).await;
    monitor.press("Restart").await;
    monitor.dialog_opens("Restart: 100 workers").await;
    monitor.shows("and 80 more").await;
    monitor.press("Cancel").await;
    monitor.dialog_closes().await;
    monitor.press("Select none").await;
}

async fn filter_by_columns(monitor: &Monitor<'_>) {
    monitor.press("Filter columns").await;
    monitor.type_into("Filter Name", "w-07").await;
    monitor.shows("100 of 1\u{202f}000").await;
    monitor.type_into("Filter Pool", ">1").await;
    monitor.shows("Nothing fits the filters.").await;
    monitor.press("Filter columns").await;
    monitor.shows("1\u{202f}000 of 1\u{202f}000").await;
}

/// Which columns there are and how wide they are is remembered.
async fn choose_columns(monitor: &Monitor<'_>) {
    let width = "return document.querySelector(\"th[data-column='Name']\").getBoundingClientRect().width";
    let before = monitor.script(width, json!([])).await.as_f64().unwrap();
    let handle = Locator::Css("[aria-label='Width of Name']");
    let arrow = char::from(Key::Right).to_string();
    monitor.browser.client.find(handle).await.unwrap().send_keys(&arrow.repeat(5)).await.unwrap();
    monitor.click("//summary[normalize-space()='Columns']").await;
    monitor.click("//details[@data-menu='columns']//label[normalize-space()='Pool']").await;
    monitor.browser.client.refresh().await.unwrap();
    monitor.has_row("Workers", "no pool is shown", |row| !row.contains_key("Pool")).await;
    let after = monitor.script(width, json!([])).await.as_f64().unwrap();
    assert!(after >= before + 40.0, "{before} pixels wide before, {after} now");
}

/// Turns the order by name.
const ORDER: &str =
    "[...table.tHead.querySelectorAll('button')].find((one) => one.textContent.trim() === 'Name').click()";

/// Notes how long the page was busy with one thing at the most.
const WATCH: &str = "
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ type: 'longtask', buffered: true });
";

fn worker(index: usize) -> String {
    format!("w-{index:04}")
}

fn listed(index: usize) -> WorkerRecord {
    // Nobody listens at these ports of a network for documentation, and nobody is asked either.
    let endpoint = format!("http://127.0.0.1:1/{index}");
    WorkerRecord { enabled: false, ..WorkerRecord::new(worker(index), endpoint, 1, 1) }
}

/// Types into the search field.
fn typed(text: &str) -> String {
    format!(
        "const field = document.querySelector('input[aria-label=Search]'); field.value = '{text}'; \
         field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    )
}

/// Not all rows are in the document.
async fn drawn(monitor: &Monitor<'_>, what: &str) {
    let rows = monitor.rows("Workers").await.len();
    assert!((1..=DRAWN).contains(&rows), "{what}: {rows} rows are drawn");
}

struct Table<'a> {
    monitor: &'a Monitor<'a>,
}

impl Table<'_> {
    /// Does something with the table, and sees how long it takes until a worker is in view.
    async fn does(&self, what: &str, act: &str, seen: &str) {
        let script = format!("{BEFORE}\n{act};\n{AFTER}");
        let took = self.monitor.script(&script, json!([seen])).await;
        let took = took.as_f64().unwrap_or_else(|| panic!("{what}: {seen} does not come into view"));
        assert!(took < LONGEST, "{what}: {took} ms");
        drawn(self.monitor, what).await;
    }
}

const BEFORE: &str = "
    const table = document.querySelector(\"table[aria-label='Workers']\");
    const grid = table.closest('.grid');
    const begun = performance.now();
";

const AFTER: &str = "
    return new Promise((resolve) => {
        const look = () => {
            const place = grid.getBoundingClientRect();
            const seen = [...table.querySelectorAll('tbody a')].some((link) => {
                const { top, bottom } = link.getBoundingClientRect();
                return link.textContent === arguments[0] && bottom > place.top && top < place.bottom;
            });
            const took = performance.now() - begun;
            if (seen) resolve(took);
            else if (took > 20000) resolve(null);
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    });
";
