//! What was told to last. Its end may have been missed where events came faster than they were read.

use prb_core::{moment::Moment, progress::REPEAT};
use std::{collections::BTreeMap, time::Duration};

/// How long something is believed to last on where its end may have been missed.
///
/// What lasts is told again every [`REPEAT`].
const BELIEF: Duration = REPEAT.saturating_add(Duration::from_secs(60));

/// What lasts, and why.
#[derive(Debug, Default)]
pub(crate) struct Lasting<K>(BTreeMap<K, One>);

#[derive(Debug)]
struct One {
    cause: String,
    standing: Standing,
}

/// Whether an end may have been missed since it was told last.
#[derive(Debug)]
enum Standing {
    Certain,
    /// Since when, once somebody has looked.
    Doubtful(Option<Moment>),
}

impl<K: Ord> Lasting<K> {
    /// It lasts.
    pub(crate) fn begin(&mut self, about: K, cause: &str) {
        self.0.insert(about, One { cause: cause.to_owned(), standing: Standing::Certain });
    }

    /// It is over.
    pub(crate) fn end(&mut self, about: &K) {
        self.0.remove(about);
    }

    /// Something was told that nobody heard.
    pub(crate) fn missed(&mut self) {
        for one in self.0.values_mut() {
            if matches!(one.standing, Standing::Certain) {
                one.standing = Standing::Doubtful(None);
            }
        }
    }

    /// Forgets what was not told again for so long that it is over.
    pub(crate) fn look(&mut self, now: Moment) {
        self.0.retain(|_, one| match &mut one.standing {
            Standing::Certain => true,
            Standing::Doubtful(since) => now.since(*since.get_or_insert(now)) < BELIEF,
        });
    }

    /// All of it, with causes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &str)> {
        self.0.iter().map(|(about, one)| (about, one.cause.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_kept_until_it_ends_or_is_not_told_again_after_something_was_missed() {
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let mut lasting = Lasting::default();
        let all = |lasting: &Lasting<u8>| lasting.iter().map(|(about, _)| *about).collect::<Vec<_>>();
        for about in [1, 2, 3] {
            lasting.begin(about, "why");
        }
        lasting.end(&3);
        lasting.look(at(10_000));
        assert_eq!(all(&lasting), [1, 2], "nothing was missed");
        lasting.missed();
        lasting.look(at(10_001));
        lasting.begin(2, "why");
        lasting.look(at(10_360));
        assert_eq!(all(&lasting), [1, 2]);
        // Missed again, the doubt is as old as it was.
        lasting.missed();
        lasting.look(at(10_361));
        assert_eq!(all(&lasting), [2]);
        lasting.look(at(10_721));
        assert!(all(&lasting).is_empty());
    }
}
