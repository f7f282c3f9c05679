//! A key that all nodes of a network share, without which nobody gets as far as saying who they are.

use crate::private;
use libp2p::pnet;
use std::{
    fmt, io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// A pre-shared key of 32 bytes.
///
/// Nodes of PRB v2 know no such keys and cannot join.
#[derive(Clone)]
pub struct PreSharedKey(pnet::PreSharedKey);

/// Why there is no pre-shared key.
#[derive(Debug, thiserror::Error)]
pub enum PreSharedKeyError {
    /// Its file cannot be read.
    #[error("cannot read the pre-shared key {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Its file holds something else.
    #[error(
        "{} holds no pre-shared key: it must be 64 hex digits, alone or below the lines `/key/swarm/psk/1.0.0/` and \
         `/base16/`; `openssl rand -hex 32` makes one",
        .0.display()
    )]
    Malformed(PathBuf),
}

impl PreSharedKey {
    /// Reads a `swarm.key` in the usual format of libp2p, or a line of 64 hex digits. The file stays as its operator made it;
    /// that others may read it is told in the log.
    pub fn open(path: &Path) -> Result<Self, PreSharedKeyError> {
        let bytes =
            private::read(path).map_err(|cause| PreSharedKeyError::Io { path: path.to_owned(), cause })?;
        let text = std::str::from_utf8(&bytes).ok();
        text.and_then(Self::parse).ok_or_else(|| PreSharedKeyError::Malformed(path.to_owned()))
    }

    /// Reads the text of such a file.
    pub fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let digits = match lines[..] {
            [digits] | ["/key/swarm/psk/1.0.0/", "/base16/", digits] => digits,
            _ => return None,
        };
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, key.as_mut()).ok()?;
        Some(Self(pnet::PreSharedKey::new(*key)))
    }

    /// Tells keys apart and betrays nothing; the same that other libp2p nodes show.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint().to_string()
    }

    pub(crate) fn config(&self) -> pnet::PnetConfig {
        pnet::PnetConfig::new(self.0)
    }
}

impl fmt::Debug for PreSharedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PreSharedKey").field(&self.fingerprint()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "0001020304050607080910111213141516171819202122232425262728293031";

    #[test]
    fn both_forms_of_a_key_are_the_same_key() {
        let file = format!("/key/swarm/psk/1.0.0/\n/base16/\n{DIGITS}\n");
        let keys = [PreSharedKey::parse(DIGITS), PreSharedKey::parse(&file)];
        let [Some(bare), Some(framed)] = keys else { panic!("one is not read") };
        assert_eq!(bare.fingerprint(), framed.fingerprint());
        assert_eq!(bare.fingerprint().len(), 32);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "00", &DIGITS[1..], &format!("{DIGITS}00"), &format!("/base16/\n{DIGITS}"), "zz"] {
            assert!(PreSharedKey::parse(text).is_none(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn x21_a_file_that_others_may_read_is_told_and_left_as_it_is() {
        use std::{fs, os::unix::fs::PermissionsExt as _};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("swarm.key");
        fs::write(&path, DIGITS).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        PreSharedKey::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn a_key_is_never_shown() {
        let shown = format!("{:?}", PreSharedKey::parse(DIGITS).unwrap());
        assert!(!shown.contains(DIGITS) && !shown.contains("0001020304"), "{shown}");
    }
}
