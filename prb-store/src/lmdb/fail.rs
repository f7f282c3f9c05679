//! Failures on purpose, at named steps of the append transaction.

#[cfg(any(test, feature = "testkit"))]
mod active {
    use std::{fmt, sync::Arc};

    /// A step of the append transaction; the failure comes after it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Step {
        /// The append is known to fit.
        Checked,
        /// The genesis is written.
        Genesis,
        /// What belonged to the open tip is removed.
        OpenTip,
        /// Relay headers are written.
        RelayHeaders,
        /// What belongs to the last relay header is written.
        Rung,
        /// Parachain headers are written.
        ParaHeaders,
        /// Storage changes are written.
        Changes,
        /// Nodes of the state copy are written.
        Nodes,
        /// The cursor is written.
        Cursor,
        /// Everything is on disk, and nobody was told.
        Committed,
    }

    impl Step {
        /// All of them, in order.
        pub const ALL: [Self; 10] = [
            Self::Checked,
            Self::Genesis,
            Self::OpenTip,
            Self::RelayHeaders,
            Self::Rung,
            Self::ParaHeaders,
            Self::Changes,
            Self::Nodes,
            Self::Cursor,
            Self::Committed,
        ];
    }

    /// How to fail.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Failing {
        /// As a broken device does.
        Broken,
        /// As a full device does.
        DiskFull,
        /// As a full map does.
        MapFull,
        /// The whole process, at once.
        Abort,
    }

    /// Decides at each step whether to fail there.
    #[derive(Clone)]
    pub struct FailPoint(Arc<dyn Fn(Step) -> Option<Failing> + Send + Sync>);

    impl FailPoint {
        /// A fail point that asks `decide`.
        pub fn new(decide: impl Fn(Step) -> Option<Failing> + Send + Sync + 'static) -> Self {
            Self(Arc::new(decide))
        }

        pub(in crate::lmdb) fn at(&self, step: Step) -> heed::Result<()> {
            match (self.0)(step) {
                None => Ok(()),
                Some(Failing::Broken) => Err(std::io::Error::other("failed on purpose").into()),
                Some(Failing::DiskFull) => Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into()),
                Some(Failing::MapFull) => Err(heed::Error::Mdb(heed::MdbError::MapFull)),
                Some(Failing::Abort) => std::process::abort(),
            }
        }
    }

    impl fmt::Debug for FailPoint {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("FailPoint")
        }
    }
}

#[cfg(any(test, feature = "testkit"))]
pub use active::{FailPoint, Failing, Step};

/// Fails at a step if the options of the store say so; nothing at all outside tests.
macro_rules! step {
    ($options:expr, $step:ident) => {
        #[cfg(any(test, feature = "testkit"))]
        if let Some(fail_point) = &$options.fail_point {
            fail_point.at($crate::lmdb::fail::Step::$step)?;
        }
        #[cfg(not(any(test, feature = "testkit")))]
        let _ = &$options;
    };
}
pub(super) use step;
