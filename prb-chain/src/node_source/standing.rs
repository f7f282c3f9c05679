//! What is known of one endpoint, and what that means for the next question. Pure: time is an argument.

use prb_core::{
    backoff::{Backoff, Pace},
    id::{BlockRef, Height},
    moment::Moment,
    port::SourceError,
};
use std::{collections::BTreeMap, fmt, time::Duration};

/// Kinds of questions. An endpoint that cannot serve one may be good for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// The finalized head.
    Tip,
    /// What a store starts from.
    Genesis,
    /// Justified relay headers.
    Batch,
    /// A parachain head in the relay chain's state, with its proof.
    Head,
    /// Parachain headers.
    Headers,
    /// Storage changes.
    Changes,
    /// Being told of finalized heads.
    News,
}

impl Kind {
    /// In logs and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tip => "finalized head",
            Self::Genesis => "genesis",
            Self::Batch => "relay headers",
            Self::Head => "parachain head",
            Self::Headers => "parachain headers",
            Self::Changes => "storage changes",
            Self::News => "news of finalized heads",
        }
    }
}

/// What an endpoint is left for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// It cannot be reached.
    Away,
    /// One of its answers was refused.
    Refused,
    /// It is of another chain.
    Foreign,
    /// It is of another fork of the chain.
    Forked,
    /// Its finalized head is behind that of others.
    Behind,
    /// It does not have these, or does not serve them.
    Unable(Kind),
    /// These questions fail or hang, whatever else it answers.
    Failing(Kind),
}

impl Reason {
    /// In metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Refused => "refused",
            Self::Foreign => "foreign",
            Self::Forked => "forked",
            Self::Behind => "behind",
            Self::Unable(_) => "unable",
            Self::Failing(_) => "failing",
        }
    }

    /// What an error says against an endpoint, none if it says nothing.
    pub(super) const fn of(kind: Kind, error: &SourceError) -> Option<Self> {
        match error {
            SourceError::Unreachable { .. } => Some(Self::Away),
            SourceError::Timeout { .. } | SourceError::Bad { .. } => Some(Self::Failing(kind)),
            SourceError::Pruned { .. } | SourceError::Refused { .. } | SourceError::TooLarge { .. } => {
                Some(Self::Unable(kind))
            }
            SourceError::Foreign { .. } => Some(Self::Foreign),
            // Perhaps nobody has it yet.
            SourceError::Missing { .. } => None,
        }
    }

    /// How long an endpoint rests for it, at first and at most.
    const fn pace(self) -> Pace {
        let (first, longest) = match self {
            Self::Away => (1, 30),
            Self::Failing(_) => (5, 300),
            // Looked at again at every survey, so this is about nothing else.
            Self::Foreign | Self::Forked | Self::Behind => (5, 5),
            Self::Refused => (60, 3600),
            Self::Unable(_) => (600, 3600),
        };
        Pace { first: Duration::from_secs(first), longest: Duration::from_secs(longest) }
    }

    /// Whether it concerns questions of this kind.
    fn concerns(self, kind: Kind) -> bool {
        match self {
            Self::Away | Self::Refused | Self::Foreign | Self::Forked | Self::Behind => true,
            Self::Unable(of) | Self::Failing(of) => of == kind,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("not reachable"),
            Self::Refused => f.write_str("an answer was refused"),
            Self::Foreign => f.write_str("of another chain"),
            Self::Forked => f.write_str("of another fork"),
            Self::Behind => f.write_str("behind the others"),
            Self::Unable(kind) => write!(f, "does not serve {}", kind.name()),
            Self::Failing(kind) => write!(f, "fails for {}", kind.name()),
        }
    }
}

/// How good an endpoint is for a question, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Nothing speaks against it.
    Well,
    /// It answers, and has failed often lately.
    Shaky,
    /// It answers, with less than others have.
    Behind,
    /// It rests until then; asked where nobody better is left.
    Rests(Moment),
    /// It is of another chain or fork: never asked.
    Foreign,
}

/// Something that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The endpoint is not asked for a while.
    Left { reason: Reason, cause: String },
    /// It is asked again.
    Returned { reason: Reason, after: Duration },
}

/// A reason that holds, or held.
#[derive(Clone, Debug)]
struct Rest {
    since: Moment,
    /// Why, at first.
    cause: String,
    until: Moment,
    backoff: Backoff,
    /// Whether it is over, and remembered only so that the next one is longer.
    over: bool,
}

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    seed: u64,
    rests: BTreeMap<Reason, Rest>,
    head: Option<BlockRef>,
    /// Until then its height is not believed: it did not have a block below it.
    doubted: Moment,
    /// 0 (everything fails) to 100.
    score: u32,
}

/// Below this an endpoint is [`Place::Shaky`]: about three failures in a row, or more than one call in four.
const SHAKY: u32 = 50;

/// A reason that is over is remembered for so long.
const MEMORY: Duration = Duration::from_secs(1800);

impl Standing {
    /// Nothing is known. Different endpoints take different seeds.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, rests: BTreeMap::new(), head: None, doubted: Moment(Duration::ZERO), score: 100 }
    }

    /// 0 (everything fails) to 100.
    pub(super) const fn score(&self) -> u32 {
        self.score
    }

    /// The finalized height it told last, if that is believed.
    pub(super) fn height(&self, now: Moment) -> Option<Height> {
        self.head.map(|head| head.height).filter(|_| self.doubted <= now)
    }

    /// The finalized head it told last.
    pub(super) const fn head(&self) -> Option<BlockRef> {
        self.head
    }

    /// What speaks against it, none if nothing does.
    pub(super) fn trouble(&self, now: Moment) -> Option<String> {
        let holds = |(_, rest): &(&Reason, &Rest)| !rest.over;
        let (reason, rest) = self.rests.iter().find(holds)?;
        let seconds = now.since(rest.since).as_secs();
        Some(format!("{reason} for {seconds} s: {}", rest.cause))
    }

    fn holds(&self, reason: Reason) -> bool {
        self.rests.get(&reason).is_some_and(|rest| !rest.over)
    }

    /// Whether it is of another chain or fork. Nothing else about it matters then.
    fn is_elsewhere(&self) -> bool {
        self.holds(Reason::Foreign) || self.holds(Reason::Forked)
    }

    /// How good it is for questions of this kind.
    pub(super) fn place(&self, now: Moment, kind: Kind) -> Place {
        if self.is_elsewhere() {
            return Place::Foreign;
        }
        let until =
            self.rests.iter().filter(|(reason, _)| reason.concerns(kind) && **reason != Reason::Behind);
        let until = until.map(|(_, rest)| rest.until).filter(|until| *until > now).max();
        match until {
            Some(until) => Place::Rests(until),
            None if self.holds(Reason::Behind) => Place::Behind,
            None if self.score < SHAKY => Place::Shaky,
            None if kind == Kind::Tip && self.doubted > now => Place::Shaky,
            None => Place::Well,
        }
    }

    /// It answered.
    pub(super) fn answered(&mut self, now: Moment, kind: Kind) -> Vec<Notice> {
        self.score = (self.score + (100 - self.score).div_ceil(10)).min(100);
        let cured = [Reason::Away, Reason::Foreign, Reason::Unable(kind), Reason::Failing(kind)];
        let mut notices: Vec<Notice> =
            cured.into_iter().filter_map(|reason| self.over(now, reason)).collect();
        notices.extend(self.pass(now));
        notices
    }

    /// It did not answer, or not with what was asked for.
    pub(super) fn failed(&mut self, now: Moment, kind: Kind, error: &SourceError) -> Option<Notice> {
        let reason = Reason::of(kind, error)?;
        self.score = self.score * 3 / 4;
        self.leave(now, reason, error.to_string())
    }

    /// One of its answers failed a check.
    pub(super) fn refused(&mut self, now: Moment, because: &str) -> Option<Notice> {
        self.score /= 2;
        self.leave(now, Reason::Refused, because.to_owned())
    }

    /// Lost a race against an endpoint that was asked later.
    pub(super) fn slow(&mut self, now: Moment, kind: Kind) -> Option<Notice> {
        self.score = self.score * 3 / 4;
        self.leave(now, Reason::Failing(kind), format!("slower than another for {}", kind.name()))
    }

    /// It tells its finalized head.
    pub(super) const fn heard(&mut self, head: BlockRef) {
        self.head = Some(head);
    }

    /// The head it told last is a block of the stored chain, or not, `because` of what was found.
    pub(super) fn judged(&mut self, now: Moment, because: Option<&str>) -> Option<Notice> {
        match because {
            Some(because) => self.leave(now, Reason::Forked, because.to_owned()),
            None => self.over(now, Reason::Forked),
        }
    }

    /// `best` is the highest finalized height that is known, `slack` how many blocks nodes may differ by.
    pub(super) fn compared(&mut self, now: Moment, best: Height, slack: u32) -> Option<Notice> {
        let height = self.head?.height;
        if best.0.saturating_sub(height.0) > slack {
            let cause = format!("its finalized head is {height}, others have {best}");
            return self.leave(now, Reason::Behind, cause);
        }
        self.over(now, Reason::Behind)
    }

    /// It does not have the block at `needed`, where another has. What it tells of its height is not believed for as
    /// long as it rests.
    pub(super) fn lacks(&mut self, now: Moment, kind: Kind, needed: Height) -> Option<Notice> {
        // It never said that it has it.
        self.head.filter(|head| head.height >= needed)?;
        self.score = self.score * 3 / 4;
        let cause = format!("it has no {} at {needed}, another has", kind.name());
        let notice = self.leave(now, Reason::Failing(kind), cause);
        let until = self.rests.get(&Reason::Failing(kind)).map_or(now, |rest| rest.until);
        self.doubted = self.doubted.max(until);
        notice
    }

    /// Lets go of what is over by itself: nobody asks a refused endpoint whether it has become honest.
    pub(super) fn pass(&mut self, now: Moment) -> Vec<Notice> {
        let elapsed = |reason: &Reason| matches!(reason, Reason::Refused | Reason::Unable(_));
        let due: Vec<Reason> = self
            .rests
            .iter()
            .filter(|(reason, rest)| elapsed(reason) && rest.until <= now && !rest.over)
            .map(|(reason, _)| *reason)
            .collect();
        self.rests.retain(|_, rest| !rest.over || now.since(rest.until) < MEMORY);
        due.into_iter().filter_map(|reason| self.over(now, reason)).collect()
    }

    fn leave(&mut self, now: Moment, reason: Reason, cause: String) -> Option<Notice> {
        let outweighed = match reason {
            Reason::Foreign => false,
            Reason::Forked => self.holds(Reason::Foreign),
            _ => self.is_elsewhere(),
        };
        if outweighed {
            return None;
        }
        if matches!(reason, Reason::Foreign | Reason::Forked) && !self.holds(reason) {
            // What was told of it before was about something else.
            self.rests.clear();
            self.head = self.head.filter(|_| reason == Reason::Forked);
        }
        let seed = self.seed;
        let rest = self.rests.entry(reason).or_insert_with(|| Rest {
            since: now,
            cause: String::new(),
            until: now,
            backoff: Backoff::new(reason.pace(), seed),
            over: true,
        });
        let first = rest.over;
        if first {
            (rest.over, rest.since, rest.cause) = (false, now, cause.clone());
        }
        // Several calls that fail together are one failure.
        if rest.until <= now {
            rest.until = now + rest.backoff.failed();
        }
        first.then_some(Notice::Left { reason, cause })
    }

    fn over(&mut self, now: Moment, reason: Reason) -> Option<Notice> {
        let rest = self.rests.get_mut(&reason).filter(|rest| !rest.over)?;
        rest.over = true;
        rest.until = rest.until.min(now);
        Some(Notice::Returned { reason, after: now.since(rest.since) })
    }
}

#[cfg(test)]
mod tests;
