//! Whether something gets on, and what to say of it. Pure: time is an argument.
//!
//! A [`Stall`] speaks up where something stands still that should move; a [`CatchUp`] says now and then how far
//! something is that is behind. Ingest, feeding and readers of data providers use the same.

use crate::{
    id::Height,
    moment::Moment,
    port::{Tips, source::Peer},
};
use std::{fmt, time::Duration};

/// How often somebody should look. A few times within [`PATIENCE`].
pub const LOOK: Duration = Duration::from_secs(2);

/// How long something may stand still before a person is told: longer than a relay block and an answer take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a node that is well may take for a heavy answer.
pub const SLOW_PATIENCE: Duration = Duration::from_secs(30);

/// How long a chain may take for its next finalized block: finality that is late by ten blocks is no fault of ours.
pub const CHAIN_PATIENCE: Duration = Duration::from_secs(120);

/// What goes on standing still is told again after so long.
pub const REPEAT: Duration = Duration::from_secs(300);

/// What is behind is told how far it is once in so long.
pub const LINES: Duration = Duration::from_secs(30);

/// What something waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whom it waits for, without credentials.
    pub endpoint: String,
    /// How far they are, as they said last; none where they do not say.
    pub there: Option<Height>,
    /// For what.
    pub what: String,
    /// Why it does not come, where that is known.
    pub cause: Option<String>,
    /// What a person can do.
    pub remedy: &'static str,
    /// How long it may take before it is told.
    pub patience: Duration,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, what, cause, .. } = self;
        write!(f, "{endpoint}: waiting for {what}")?;
        cause.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// What to say of something that stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has stood still for so long.
    Stalled(Duration),
    /// It gets on; it had stood still for so long.
    Over(Duration),
}

/// Decides when it is told that something stands still: once it has for longer than it may, again after
/// [`REPEAT`], and that it is over once it has not for [`PATIENCE`].
///
/// `P` is how far it is; any other value is progress.
#[derive(Clone, Debug, Default)]
pub struct Stall<P> {
    stands: Option<(P, Moment)>,
    told: Option<Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    /// Since when it had stood still.
    since: Moment,
    last: Moment,
    /// Since when it gets on.
    well: Option<Moment>,
}

impl<P: Copy + PartialEq> Stall<P> {
    /// How far it is, and what it waits for, none where it has what there is. What to say now.
    pub fn observe(&mut self, now: Moment, position: P, waiting: Option<&Waiting>) -> Option<Word> {
        let stood = self.stands.filter(|(at, _)| *at == position && waiting.is_some());
        let (_, since) = *self.stands.insert(stood.unwrap_or((position, now)));
        let still = now.since(since);
        if waiting.is_some_and(|waiting| still >= waiting.patience) {
            return self.tell(now, since).then_some(Word::Stalled(still));
        }
        let told = self.told.as_mut()?;
        let well = *told.well.get_or_insert(now);
        if now.since(well) < PATIENCE {
            return None;
        }
        let since = told.since;
        self.told = None;
        Some(Word::Over(well.since(since)))
    }

    /// That it stands still is being told now, whoever found out; false if it was told lately.
    pub fn tell(&mut self, now: Moment, since: Moment) -> bool {
        let Some(told) = &mut self.told else {
            self.told = Some(Told { since, last: now, well: None });
            return true;
        };
        told.well = None;
        let due = now.since(told.last) >= REPEAT;
        if due {
            told.last = now;
        }
        due
    }

    /// It is over now, for nobody will look again; how long it had stood still, if that was told.
    pub fn end(&mut self, now: Moment) -> Option<Duration> {
        self.stands = None;
        let told = self.told.take()?;
        Some(told.well.unwrap_or(now).since(told.since))
    }

    /// That it gets on again was told by somebody else.
    pub fn forget(&mut self) {
        (self.stands, self.told) = (None, None);
    }

    /// Whether it was told, and its end was not.
    pub const fn is_told(&self) -> bool {
        self.told.is_some()
    }
}

/// Decides which causes of trouble are told: each once, and again every [`REPEAT`] while it lasts, however often it is met.
///
/// Heights, times and hashes differ from one attempt to the next, so words with digits do not tell causes apart, but for
/// codes: `403` and `1010` say what is the matter.
#[derive(Clone, Debug, Default)]
pub struct Causes(Vec<(String, Moment)>);

/// Most causes that are remembered: those that were met last.
const KEPT_CAUSES: usize = 16;

/// So much of a cause tells it from others, bytes.
const KEY_BYTES: usize = 200;

impl Causes {
    /// Whether this one is to be told now.
    pub fn tell(&mut self, now: Moment, cause: &str) -> bool {
        let key = key(cause);
        let known = self.0.iter().position(|(known, _)| *known == key);
        let last = known.map(|at| self.0.remove(at).1);
        if self.0.len() == KEPT_CAUSES {
            self.0.remove(0);
        }
        let due = last.is_none_or(|last| now.since(last) >= REPEAT);
        self.0.push((key, last.filter(|_| !due).unwrap_or(now)));
        due
    }

    /// All is well: what comes is told anew.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// What a cause is known by: its words without those that change from one time to the next.
fn key(cause: &str) -> String {
    let (mut key, mut before) = (String::new(), "");
    let mut words = cause.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
        if !has_digit || is_code(before, word, words.peek().copied()) {
            key.push_str(word);
            key.push(' ');
        }
        if key.len() > KEY_BYTES {
            let whole = (0..=KEY_BYTES).rev().find(|at| key.is_char_boundary(*at));
            key.truncate(whole.unwrap_or_default());
            break;
        }
        before = word;
    }
    key
}

/// Whether a word with digits is a code, as of HTTP (403), of a refused transaction (1010) or of JSON-RPC (-32000): a whole
/// number of three or four digits, or a negative one, that counts neither blocks nor time nor bytes.
fn is_code(before: &str, word: &str, after: Option<&str>) -> bool {
    let number = word.trim_matches(|end: char| !end.is_ascii_alphanumeric() && !matches!(end, '-' | '#'));
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = (3..=4).contains(&digits.len()) || number.len() > digits.len();
    let bare = |word: &str| word.trim_matches(|end: char| !end.is_ascii_alphanumeric()).to_ascii_lowercase();
    let counts = COUNTED.contains(&bare(before).as_str())
        || after.is_some_and(|after| UNITS.contains(&bare(after).as_str()));
    is_whole && is_short && !counts
}

/// What a number behind it counts.
const COUNTED: [&str; 10] =
    ["at", "block", "blocks", "head", "header", "headers", "height", "job", "nonce", "sequence"];

/// What a number before it is one of.
const UNITS: [&str; 12] =
    ["ms", "s", "second", "seconds", "min", "minutes", "h", "bytes", "kib", "mib", "block", "blocks"];

/// How far a stream is, and how far it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its last block here.
    pub here: Height,
    /// The last one there is.
    pub there: Height,
}

impl Leg {
    /// Blocks that are left.
    pub const fn left(self) -> u32 {
        self.there.since(self.here)
    }

    /// How long that takes at so many blocks per second; none if it does not end.
    pub fn eta(self, rate: f64) -> Option<Duration> {
        match self.left() {
            0 => Some(Duration::ZERO),
            left => Duration::try_from_secs_f64(f64::from(left) / rate).ok(),
        }
    }
}

/// What to say of streams that are behind, or were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Course<const N: usize> {
    /// They are.
    Behind {
        /// Blocks per second of each since the last word, or since they fell behind.
        rates: [f64; N],
        /// When all of them will have caught up, none if that is not to be seen.
        eta: Option<Duration>,
    },
    /// They have everything there is.
    Reached,
}

/// Decides when it is told how far streams are: once in [`LINES`] while any of them is behind, and once when none is,
/// at the start too.
#[derive(Clone, Debug)]
pub struct CatchUp<const N: usize> {
    /// When and where the last word was, or they fell behind.
    mark: Option<(Moment, [Height; N])>,
    /// Whether it is still to be told that they have everything.
    untold: bool,
}

impl<const N: usize> Default for CatchUp<N> {
    fn default() -> Self {
        Self { mark: None, untold: true }
    }
}

impl<const N: usize> CatchUp<N> {
    /// Takes in how far they are. What to say now.
    pub fn observe(&mut self, now: Moment, legs: [Leg; N]) -> Option<Course<N>> {
        if legs.iter().all(|leg| leg.left() == 0) {
            self.mark = None;
            return std::mem::take(&mut self.untold).then_some(Course::Reached);
        }
        let here = legs.map(|leg| leg.here);
        let (since, from) = *self.mark.get_or_insert((now, here));
        let passed = now.since(since);
        if passed < LINES {
            return None;
        }
        (self.mark, self.untold) = (Some((now, here)), true);
        let rates: [f64; N] =
            std::array::from_fn(|at| f64::from(here[at].since(from[at])) / passed.as_secs_f64());
        let etas = legs.iter().zip(rates).map(|(leg, rate)| leg.eta(rate));
        let eta = etas.collect::<Option<Vec<_>>>().and_then(|etas| etas.into_iter().max());
        Some(Course::Behind { rates, eta })
    }
}

/// A time as people say it: `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`.
#[derive(Clone, Copy, Debug)]
pub struct Roughly(pub Duration);

impl fmt::Display for Roughly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64().ceil() as u64;
        let (minutes, hours) = (seconds.div_ceil(60), seconds.div_ceil(60) / 60);
        match (seconds, minutes, hours) {
            (0..120, ..) => write!(f, "{seconds} s"),
            (_, 0..120, _) => write!(f, "{minutes} min"),
            (.., 0..48) => write!(f, "{hours} h {} min", minutes % 60),
            _ => write!(f, "{} d {} h", hours / 24, hours % 24),
        }
    }
}

/// What an ingest follows, for status pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Following {
    /// Finalized heads as its source told them last.
    pub tips: Option<Tips>,
    /// Name of the source as a whole, without credentials.
    pub source: String,
    /// Those whom the source asks, as far as it looks at them one by one.
    pub peers: Vec<Peer>,
    /// What it stands still for, none while it gets on.
    pub stalled: Option<String>,
}

#[cfg(test)]
mod tests;
