//! What may be done about an error, and how it is told.

use std::error::Error;

/// The remedy of an error, as every error of a port answers it with `fault()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The same call may succeed later: wait (with backoff) and ask again.
    Retry,
    /// What we believe about the other side is stale: read its state again, then decide anew.
    Reread,
    /// Asking this party again is useless until a person, a release or its data changes; ask another or stop.
    Stop,
}

/// An error with its causes in one line, outermost first.
pub fn described(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
