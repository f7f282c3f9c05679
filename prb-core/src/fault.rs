//! What may be done about an error, and how it is told.

use std::{error::Error, io, path::Path};

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

/// Why a file or folder cannot be used, in one line with what to do about it: `cannot WHAT PATH: CAUSE; REMEDY`.
pub fn unusable(what: &str, path: &Path, cause: &io::Error) -> String {
    format!("cannot {what} {}: {cause}; {}", path.display(), remedy(cause))
}

/// What to do about an error that the system answered for a file or folder.
pub fn remedy(cause: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match cause.kind() {
        Kind::NotFound => "check the path: it, or a folder on the way to it, is not there",
        Kind::PermissionDenied => {
            "run prb as the user who owns it, or give this user access to it and to the folders above it (chown, chmod)"
        }
        Kind::AlreadyExists => {
            "something else is there, be it a link that leads nowhere: move it away, or name another path"
        }
        Kind::NotADirectory => "a file is where a folder should be: move it away, or name another path",
        Kind::IsADirectory => "a folder is where a file should be: name a file",
        Kind::ReadOnlyFilesystem => "name a path on a file system that can be written, or mount this one so",
        Kind::StorageFull | Kind::QuotaExceeded => "free some space there",
        Kind::InvalidData => "it holds something else than text: name the right file",
        _ => "check the path, where its links lead, and the disk it is on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_file_is_told_with_the_remedy() {
        for (kind, words) in [
            (io::ErrorKind::NotFound, "is not there"),
            (io::ErrorKind::PermissionDenied, "chown, chmod"),
            (io::ErrorKind::AlreadyExists, "move it away"),
            (io::ErrorKind::NotADirectory, "where a folder should be"),
            (io::ErrorKind::IsADirectory, "where a file should be"),
            (io::ErrorKind::ReadOnlyFilesystem, "can be written"),
            (io::ErrorKind::StorageFull, "free some space"),
            (io::ErrorKind::Other, "where its links lead"),
        ] {
            let cause = io::Error::new(kind, "the system's words");
            let told = unusable("read the store in", Path::new("/srv/prb"), &cause);
            assert!(told.starts_with("cannot read the store in /srv/prb: the system's words; "), "{told}");
            assert!(told.contains(words) && told.lines().count() == 1, "{told}");
        }
    }
}
