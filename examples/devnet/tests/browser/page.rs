//! The monitor as who uses it finds his way: by what is written on buttons, fields and columns.

use crate::{
    driver::Browser,
    world::{until, until_or},
};
use fantoccini::{Locator, error::CmdError};
use serde_json::{Map, Value, json};
use std::{net::SocketAddr, sync::Mutex};

/// A row of a table: texts by the titles of the columns.
pub type Row = Map<String, Value>;

/// The monitor in a browser.
pub struct Monitor<'a> {
    pub browser: &'a Browser,
    base: String,
}

impl<'a> Monitor<'a> {
    /// Opens it.
    pub async fn open(browser: &'a Browser, at: SocketAddr) -> Self {
        let monitor = Self { browser, base: format!("http://{at}/") };
        browser.client.goto(&monitor.base).await.unwrap();
        monitor
    }

    /// Goes to one of its pages, and waits until that shows a text.
    pub async fn go(&self, page: &str, shown: &str) {
        self.script("location.hash = arguments[0]", json!([format!("#/{page}")])).await;
        self.shows(shown).await;
    }

    /// Waits until the page shows a text.
    pub async fn shows(&self, text: &str) {
        let last = Mutex::new(String::new());
        let shown = async || {
            let read = self.text().await;
            let there = read.contains(text);
            *last.lock().unwrap() = read;
            there
        };
        until_or(&format!("{text:?} is shown"), shown, || last.lock().unwrap().clone()).await;
    }

    /// Everything that can be read.
    pub async fn text(&self) -> String {
        let read = self.script("return document.body.innerText", json!([])).await;
        read.as_str().unwrap_or_default().to_owned()
    }

    /// Presses the button with this inscription; in a dialog, if one is open.
    pub async fn press(&self, inscription: &str) {
        let place = if self.dialog().await { "//dialog[@open]" } else { "" };
        self.click(&format!("{place}//button[normalize-space()='{inscription}']")).await;
    }

    /// Clicks on an element once it can be: it may be there only later, be drawn anew, or be covered for a moment.
    pub async fn click(&self, path: &str) {
        let clicked = async || {
            let done = async { self.browser.client.find(Locator::XPath(path)).await?.click().await };
            match done.await {
                Ok(()) => true,
                Err(CmdError::Standard(_)) => false,
                Err(error) => panic!("{path}: {error}"),
            }
        };
        until(&format!("a click on {path}"), clicked).await;
    }

    /// Whether a dialog is open.
    pub async fn dialog(&self) -> bool {
        self.script("return document.querySelector('dialog[open]') !== null", json!([])).await == true
    }

    /// Waits until a dialog with this title is open.
    pub async fn dialog_opens(&self, title: &str) {
        let script = "return document.querySelector('dialog[open] h2')?.textContent ?? ''";
        let open =
            async || self.script(script, json!([])).await.as_str().is_some_and(|found| found.contains(title));
        until(&format!("the dialog {title:?} is open"), open).await;
    }

    /// Waits until no dialog is open.
    pub async fn dialog_closes(&self) {
        let said = Mutex::new(String::new());
        let closed = async || {
            let there =
                self.script("return document.querySelector('dialog[open]')?.innerText", json!([])).await;
            *said.lock().unwrap() = there.to_string();
            there.is_null()
        };
        until_or("the dialog closes", closed, || said.lock().unwrap().clone()).await;
    }

    /// Writes into the field of the open dialog whose label begins so.
    pub async fn fill(&self, label: &str, text: &str) {
        let path = format!(
            "//dialog[@open]//label[starts-with(normalize-space(.), '{label}')]//*[self::input or self::textarea]"
        );
        let field = self.browser.client.wait().for_element(Locator::XPath(&path)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Writes into the field with this name for those who hear the page.
    pub async fn type_into(&self, name: &str, text: &str) {
        let selector = format!("[aria-label='{name}']");
        let field = self.browser.client.wait().for_element(Locator::Css(&selector)).await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// The rows of a table that are drawn, in their order.
    pub async fn rows(&self, table: &str) -> Vec<Row> {
        let rows = self.script(ROWS, json!([table])).await;
        let rows = rows.as_array().cloned().unwrap_or_default();
        rows.into_iter().filter_map(|row| row.as_object().cloned()).collect()
    }

    /// Waits until a table has a row that is so.
    pub async fn has_row(&self, table: &str, what: &str, wanted: impl Fn(&Row) -> bool) {
        let last = Mutex::new(Vec::new());
        let there = async || {
            let rows = self.rows(table).await;
            let found = rows.iter().any(&wanted);
            *last.lock().unwrap() = rows;
            found
        };
        until_or(&format!("{table}: {what}"), there, || format!("{:#?}", last.lock().unwrap())).await;
    }

    /// How many elements there are.
    pub async fn count(&self, selector: &str) -> u64 {
        let script = "return document.querySelectorAll(arguments[0]).length";
        self.script(script, json!([selector])).await.as_u64().unwrap()
    }

    /// Waits until what has changed is on the screen.
    pub async fn drawn(&self) {
        let script = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))";
        self.script(script, json!([])).await;
    }

    /// What a script returns.
    pub async fn script(&self, script: &str, arguments: Value) -> Value {
        let Value::Array(arguments) = arguments else { panic!("{arguments} are no arguments") };
        self.browser.client.execute(script, arguments).await.unwrap()
    }
}

/// Whether a row's cell contains a text.
pub fn tells(row: &Row, column: &str, text: &str) -> bool {
    row.get(column).and_then(Value::as_str).is_some_and(|found| found.contains(text))
}

const ROWS: &str = r"
    const table = [...document.querySelectorAll('table')].find((one) => one.getAttribute('aria-label') === arguments[0]);
    if (!table) return [];
    const titles = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    return [...table.querySelectorAll('tbody tr[aria-rowindex]')].map((row) =>
        Object.fromEntries(titles.map((title, at) => [title, row.cells[at]?.textContent ?? ''])));
";
