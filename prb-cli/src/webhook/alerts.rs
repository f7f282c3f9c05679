//! What needs a person: told once when it has lasted long enough, and once when it is over.

use super::Stand;
use crate::{
    inventory::{Snapshot, WorkerRecord},
    lasting::Lasting,
};
use prb_core::{
    lifecycle::Stage,
    moment::Moment,
    pipeline::Event,
    port::{CallResult, Outcome},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What something is about: its kind and its subject.
type About = (&'static str, String);

/// Most single alerts that are kept between two looks.
const MOST: usize = 256;

/// How long what followed from something else may outlast it: not all of it is over at once. What may follow from something waits
/// as long to be told, since not all of it is noticed at once either.
const FOLLOWING: Duration = Duration::from_secs(30);

/// What an alert says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It begins.
    Raised,
    /// It is over.
    Over,
    /// It has happened.
    Once,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it says.
    pub word: Word,
    /// `worker`, `stall`, `ingest`, `messages`, `account`, `trader` or `transaction`.
    pub kind: &'static str,
    /// Which of them.
    pub subject: String,
    /// Why.
    pub cause: String,
    /// When it began, Unix milliseconds.
    pub since: u64,
    /// When it is told.
    pub at: u64,
}

impl Alert {
    /// Its JSON; `text` is one line for people, which chat services show.
    pub fn json(&self) -> Value {
        let Self { word, kind, subject, cause, since, at } = self;
        let (state, text) = match word {
            Word::Raised => ("raised", format!("{kind} {subject}: {cause}")),
            Word::Over => ("over", format!("{kind} {subject} is well again (was: {cause})")),
            Word::Once => ("once", format!("{kind} {subject}: {cause}")),
        };
        json!({
            "state": state, "kind": kind, "subject": subject, "cause": cause, "since": since, "at": at, "text": text,
        })
    }
}

/// What a bridge has told since it was looked at last, and what stands still by its words.
#[derive(Debug, Default)]
pub struct Heard {
    lasting: Lasting<About>,
    single: Vec<(About, String)>,
}

impl Heard {
    /// Takes an event in.
    pub fn event(&mut self, event: &Event) {
        let about = |kind, subject: &str| (kind, subject.to_owned());
        match event {
            Event::Stalled { what, cause } => self.lasting.begin(about("stall", what), cause),
            Event::Resumed { what } => self.lasting.end(&about("stall", what)),
            Event::IngestTrouble { cause } => self.lasting.begin(about("ingest", "chain"), cause),
            Event::IngestRecovered => self.lasting.end(&about("ingest", "chain")),
            Event::MessageTrouble { sender, cause, .. } => {
                self.lasting.begin(about("messages", &format!("{sender:?}")), cause);
            }
            Event::MessageRecovered { sender } => {
                self.lasting.end(&about("messages", &format!("{sender:?}")));
            }
            Event::JobEnded { job, pool, outcome } => {
                if let Some(cause) = failure(outcome)
                    && self.single.len() < MOST
                {
                    self.single.push((about("transaction", &format!("{job} of pool {pool}")), cause));
                }
            }
            Event::Missed(_) => self.lasting.missed(),
            _ => {}
        }
    }
}

/// Why a job failed, if it did.
fn failure(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Finalized { results, .. } => results.iter().find_map(|result| match result {
            CallResult::Ok => None,
            CallResult::Failed(error) => Some(format!("a call failed: {error}")),
        }),
        Outcome::Rejected(cause) => Some(format!("rejected: {cause}")),
        Outcome::Expired => Some("expired: it was not included in time".to_owned()),
        Outcome::Unknown(cause) => Some(format!("nobody can tell what became of it: {cause}")),
    }
}

/// What is wrong, since when, and whether that was told.
pub struct Alerts {
    after: Duration,
    known: BTreeMap<About, Trouble>,
}

struct Trouble {
    cause: String,
    since: u64,
    /// Until when it followed from something that was told.
    followed: Option<u64>,
    told: bool,
}

/// How far down the stream of data it is, none if it is not about that. If nodes or data providers are silent, one of these after
/// the other stands still, and a person is told of the first.
fn depth((kind, subject): &About) -> Option<u8> {
    match (*kind, subject.as_str()) {
        ("ingest", _) | ("stall", "relay headers") => Some(SOURCE),
        ("stall", "storage changes") => Some(1),
        ("stall", _) => Some(2),
        _ => None,
    }
}

/// Where data comes in: ingest and its relay headers stand still for the same reason, whichever is told.
const SOURCE: u8 = 0;

/// Whether something at `depth` follows from something at `told`. What is further down keeps nothing above it from getting on.
const fn follows(depth: u8, told: u8) -> bool {
    told < depth || (told == SOURCE && depth == SOURCE)
}

impl Alerts {
    /// What lasts less than `after` is not told.
    pub fn new(after: Duration) -> Self {
        Self { after, known: BTreeMap::new() }
    }

    /// What is to be told at this time, Unix milliseconds.
    pub fn of(&mut self, at: u64, stand: Stand<'_>, heard: &mut Heard) -> Vec<Alert> {
        heard.lasting.look(Moment(Duration::from_millis(at)));
        let lasting = heard.lasting.iter().map(|(about, cause)| (about.clone(), cause.to_owned()));
        let mut wrong: BTreeMap<About, String> = lasting.collect();
        wrong.extend(troubles(stand));
        let mut alerts: Vec<_> = std::mem::take(&mut heard.single)
            .into_iter()
            .map(|((kind, subject), cause)| Alert { word: Word::Once, kind, subject, cause, since: at, at })
            .collect();
        let over: Vec<About> =
            self.known.keys().filter(|about| !wrong.contains_key(about)).cloned().collect();
        for about in over {
            if let Some(Trouble { cause, since, told: true, .. }) = self.known.remove(&about) {
                let (kind, subject) = about;
                alerts.push(Alert { word: Word::Over, kind, subject, cause, since, at });
            }
        }
        let told = self.known.iter().filter(|(_, trouble)| trouble.told);
        // Whoever follows from anything that was told follows from what is furthest up.
        let mut first_told = told.filter_map(|(about, _)| depth(about)).min();
        let mut wrong: Vec<_> =
            wrong.into_iter().map(|(about, cause)| (depth(&about), about, cause)).collect();
        wrong.sort_by_key(|(depth, ..)| *depth);
        for (depth, about, cause) in wrong {
            let new = || Trouble { cause: String::new(), since: at, followed: None, told: false };
            let trouble = self.known.entry(about.clone()).or_insert_with(new);
            trouble.cause.clone_from(&cause);
            if trouble.told {
                continue;
            }
            if depth.zip(first_told).is_some_and(|(depth, told)| follows(depth, told)) {
                trouble.followed = Some(at);
                continue;
            }
            if trouble.is_due(&about, at, self.after) {
                trouble.told = true;
                first_told = first_told.into_iter().chain(depth).min();
                let (kind, subject) = about;
                alerts.push(Alert { word: Word::Raised, kind, subject, cause, since: trouble.since, at });
            }
        }
        alerts
    }
}

impl Trouble {
    /// Whether it has lasted long enough by itself.
    fn is_due(&self, about: &About, at: u64, after: Duration) -> bool {
        let (since, patience) = match (self.followed, depth(about)) {
            (Some(followed), _) => (followed, after.max(FOLLOWING)),
            (None, Some(1..)) => (self.since, FOLLOWING),
            // Those were waited for already.
            (None, _) if matches!(about.0, "stall" | "account") => (self.since, Duration::ZERO),
            (None, _) => (self.since, after),
        };
        Duration::from_millis(at.saturating_sub(since)) >= patience
    }
}

/// What is wrong with workers and accounts.
fn troubles(stand: Stand<'_>) -> BTreeMap<About, String> {
    let mut wrong = BTreeMap::new();
    let disabled = stand.inventory.map(disabled).unwrap_or_default();
    for seen in stand.workers {
        let name = seen.worker.name.to_string();
        // What the store lacks for all of them is told as a stall, once for all that wait for it.
        let own = seen.trouble.as_ref().filter(|_| !seen.starved);
        let cause = match (own, seen.stage) {
            (_, Stage::Disabled) => continue,
            _ if disabled.contains(name.as_str()) => continue,
            (Some(cause), _) => cause.clone(),
            (None, Stage::Unresponsive) => "the chain has marked it as silent".to_owned(),
            (None, Stage::InAnotherPool) => "it is in another pool; remove it there".to_owned(),
            _ => continue,
        };
        wrong.insert(("worker", name), cause);
    }
    let unfit = stand.unfit.into_iter().flatten();
    for (name, unfit) in unfit.filter(|(name, _)| !disabled.contains(name.as_str())) {
        wrong.insert(("worker", name.clone()), unfit.why.clone());
    }
    for text in stand.accounts {
        wrong.insert(("account", account(text)), text.clone());
    }
    let trader =
        stand.trader.iter().map(|(subject, cause)| (("trader", (*subject).to_owned()), cause.clone()));
    wrong.extend(trader);
    wrong
}

/// Workers that are left out because somebody wants that, by name.
fn disabled(inventory: &Snapshot) -> BTreeSet<&str> {
    let pools: BTreeSet<u64> =
        inventory.pools.iter().filter(|pool| !pool.enabled).map(|pool| pool.pid).collect();
    let is_disabled = |worker: &&WorkerRecord| !worker.enabled || pools.contains(&worker.pool);
    inventory.workers.iter().filter(is_disabled).map(|worker| worker.name.as_str()).collect()
}

/// Which account a trouble is about, and what kind of trouble it is: one account may have several. Its words say both.
fn account(text: &str) -> String {
    let account = text.split_whitespace().find(|word| word.starts_with("0x")).unwrap_or_default();
    let kind = if text.contains(" PHA left") { "low balance" } else { "another signer" };
    format!("{account} ({kind})")
}
