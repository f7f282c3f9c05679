//! `prb check`: looks at everything that a configuration names, and changes nothing.

mod data;
mod nodes;
mod peers;
mod providers;
mod settings;

use crate::config::Config;
use prb_chain::{node_source::SourceOptions, rpc::RpcOptions};
use serde_json::{Map, Value, json};
use std::{
    io::{self, Write},
    time::Duration,
};

/// Longest time that one party may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Why a check fails.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Something is not as it must be.
    #[error("{wrong} of {of} items are wrong; each is named above with its remedy")]
    Wrong {
        /// How many.
        wrong: usize,
        /// Of how many.
        of: usize,
    },
    /// Writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should be.
    Fine,
    /// It works, and somebody should know of it.
    Note,
    /// It cannot work.
    Wrong,
}

/// One thing that a configuration says, and what came of looking at it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The key in the configuration.
    key: &'static str,
    /// Its value, without secrets.
    value: String,
    verdict: Verdict,
    /// What was found, in one line; nothing where nothing was looked for.
    says: String,
    /// The same for programs.
    facts: Map<String, Value>,
}

impl Item {
    pub(crate) fn new(
        key: &'static str,
        value: impl Into<String>,
        verdict: Verdict,
        says: impl Into<String>,
    ) -> Self {
        let says = says.into().lines().collect::<Vec<_>>().join(" ");
        Self { key, value: value.into(), verdict, says, facts: Map::new() }
    }

    /// A setting that needs no looking at.
    pub(crate) fn setting(key: &'static str, value: impl Into<String>) -> Self {
        Self::new(key, value, Verdict::Fine, "")
    }

    #[allow(clippy::needless_pass_by_value, reason = "an error ends in the words of this one")]
    pub(crate) fn wrong(key: &'static str, value: impl Into<String>, why: impl ToString) -> Self {
        let (value, why) = (value.into(), why.to_string());
        // Errors name whom they are about, which stands there already.
        let says = why.strip_prefix(&value).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&why);
        Self::new(key, value.clone(), Verdict::Wrong, says)
    }

    pub(crate) fn with(mut self, facts: Value) -> Self {
        if let Value::Object(facts) = facts {
            self.facts.extend(facts);
        }
        self
    }

    fn text(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Fine => "ok",
            Verdict::Note => "note",
            Verdict::Wrong => "WRONG",
        };
        let says = if self.says.is_empty() { String::new() } else { format!(": {}", self.says) };
        format!("{verdict:<6} {:<24} {}{says}", self.key, self.value)
    }

    fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Fine => "ok",
            Verdict::Note => "note",
            Verdict::Wrong => "wrong",
        };
        let mut json = self.facts.clone();
        json.insert("item".to_owned(), json!(self.key));
        json.insert("value".to_owned(), json!(self.value));
        json.insert("verdict".to_owned(), json!(verdict));
        json.insert("says".to_owned(), json!(self.says));
        Value::Object(json)
    }
}

/// Looks at everything and tells it line by line; `offline` asks nobody. An error if anything is wrong.
pub async fn check(
    config: &Config,
    offline: bool,
    json: bool,
    out: &mut (dyn Write + Send),
) -> Result<(), CheckError> {
    let mut items = data::items(config).await;
    if offline {
        items.extend(nodes::named(config));
        items.extend(providers::named(config));
    } else {
        let (nodes, known) = nodes::items(config).await;
        items.extend(nodes);
        items.extend(providers::items(config, known).await);
    }
    items.extend(peers::items(config, offline).await);
    items.extend(settings::items(config, offline).await);
    let (wrong, of) = (items.iter().filter(|item| item.verdict == Verdict::Wrong).count(), items.len());
    if json {
        let rows: Vec<_> = items.iter().map(Item::json).collect();
        writeln!(out, "{}", json!({"ok": wrong == 0, "items": rows}))?;
    } else {
        for item in &items {
            writeln!(out, "{}", item.text())?;
        }
    }
    if wrong == 0 { Ok(()) } else { Err(CheckError::Wrong { wrong, of }) }
}

/// How nodes are asked here: not for long.
fn node_options() -> SourceOptions {
    let rpc = RpcOptions {
        answer_timeout: PATIENCE,
        long_answer_timeout: PATIENCE,
        connect_timeout: PATIENCE / 2,
        ..RpcOptions::default()
    };
    SourceOptions { rpc, ..SourceOptions::default() }
}
