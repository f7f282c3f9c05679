//! What a worker says of itself against what was known of it: whether it changed under us.

use crate::{
    id::{Height, WorkerKey},
    port::WorkerInfo,
};
use std::fmt;

/// A worker is not as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surprise {
    /// It has no runtime any more; it is initialised again.
    LostState,
    /// It has another identity key. The old one keeps its place in the pool, with its stake, until it is removed there.
    OtherKey {
        /// Its key before.
        old: WorkerKey,
        /// Its key now.
        new: WorkerKey,
    },
    /// It went back, for example to a checkpoint; it is fed from there.
    WentBack {
        /// Next block before.
        from: Height,
        /// Next block now.
        to: Height,
    },
    /// It took something that was not sent from here.
    MovedAlone,
    /// Another program runs behind the address.
    OtherVersion {
        /// Version before.
        old: String,
        /// Version now.
        new: String,
    },
}

impl Surprise {
    /// A short name for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LostState => "lost_state",
            Self::OtherKey { .. } => "other_key",
            Self::WentBack { .. } => "went_back",
            Self::MovedAlone => "moved_alone",
            Self::OtherVersion { .. } => "other_version",
        }
    }
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LostState => f.write_str("it lost its state; it is initialised again"),
            Self::OtherKey { old, new } => write!(
                f,
                "its key is {new} and was {old}: it is registered as another worker; stop and remove the old one in its \
                 pool, where its stake is locked"
            ),
            Self::WentBack { from, to } => {
                write!(f, "it went back from block {from} to {to}; it is fed from there")
            }
            Self::MovedAlone => f.write_str(
                "it took what was not sent from here: another program feeds it; stop one of the two",
            ),
            Self::OtherVersion { old, new } => write!(f, "its version is {new} and was {old}"),
        }
    }
}

/// What changed from `before` (its last words and what it has accepted since) to `after` by no doing of ours. After a
/// call whose end is not known (`unsure`) it may have moved on.
pub fn changes(before: &WorkerInfo, after: &WorkerInfo, unsure: bool) -> Vec<Surprise> {
    let mut surprises = Vec::new();
    if before.version != after.version {
        surprises.push(Surprise::OtherVersion { old: before.version.clone(), new: after.version.clone() });
    }
    if let (Some(old), Some(new)) = (before.public_key, after.public_key)
        && old != new
    {
        surprises.push(Surprise::OtherKey { old, new });
    }
    if before.initialized && !after.initialized {
        surprises.push(Surprise::LostState);
    }
    if !before.initialized || !after.initialized {
        return surprises;
    }
    let counters = |info: &WorkerInfo| [info.headernum, info.para_headernum, info.blocknum];
    let pairs = || counters(before).into_iter().zip(counters(after));
    if pairs().any(|(before, after)| after < before) {
        surprises.push(Surprise::WentBack { from: before.blocknum, to: after.blocknum });
    } else if !unsure && pairs().any(|(before, after)| after > before) {
        surprises.push(Surprise::MovedAlone);
    }
    surprises
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(key: u8, version: &str, counters: [u32; 3]) -> WorkerInfo {
        let [headernum, para_headernum, blocknum] = counters.map(Height);
        WorkerInfo {
            initialized: true,
            public_key: Some(WorkerKey([key; 32])),
            version: version.into(),
            headernum,
            para_headernum,
            blocknum,
            ..WorkerInfo::default()
        }
    }

    #[test]
    fn x07_each_change_that_is_not_ours_has_its_name() {
        let before = info(1, "2.2.0", [9, 5, 5]);
        let bare = WorkerInfo { version: "2.2.0".into(), ..WorkerInfo::default() };
        // Its last words without a state, and the key that it had before.
        let reset = WorkerInfo { public_key: before.public_key, ..bare.clone() };
        let cases: [(&WorkerInfo, WorkerInfo, bool, &[&str]); 13] = [
            (&before, before.clone(), false, &[]),
            (&before, bare.clone(), false, &["lost_state"]),
            (&before, info(1, "2.2.0", [9, 5, 4]), false, &["went_back"]),
            (&before, info(1, "2.2.0", [3, 5, 5]), true, &["went_back"]),
            (&before, info(1, "2.2.0", [3, 7, 7]), false, &["went_back"]),
            (&before, info(1, "2.2.0", [9, 5, 6]), false, &["moved_alone"]),
            (&before, info(1, "2.2.0", [9, 6, 5]), true, &[]),
            (&before, info(2, "2.2.0", [9, 5, 5]), false, &["other_key"]),
            (&before, info(2, "2.3.0", [1, 0, 1]), false, &["other_version", "other_key", "went_back"]),
            (&bare, before.clone(), true, &[]),
            (&bare, before.clone(), false, &[]),
            (&reset, before.clone(), false, &[]),
            (&reset, info(2, "2.2.0", [1, 0, 1]), false, &["other_key"]),
        ];
        for (before, after, unsure, expected) in cases {
            let kinds: Vec<_> = changes(before, &after, unsure).iter().map(Surprise::kind).collect();
            assert_eq!(kinds, expected, "{before:?} {after:?} {unsure}");
        }
    }
}
