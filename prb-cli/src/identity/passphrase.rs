//! A passphrase around the identity: Argon2id makes a key of it, XChaCha20-Poly1305 seals the identity with that key.
//!
//! The file holds one line: `argon2id:<memory in KiB>:<passes>:<lanes>:<salt>:<nonce and ciphertext>`, the last two in hex.

use super::{IdentityError, file};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use prb_core::fault::remedy;
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use zeroize::Zeroizing;

/// Where the passphrase comes from: a file, else the terminal. Once known it is kept, for a pipe can be read once only; a
/// file is read again when the known one opens nothing any more.
#[derive(Default)]
pub struct Passphrase {
    file: Option<PathBuf>,
    known: Mutex<Option<Zeroizing<String>>>,
    /// Whether the terminal is left alone.
    never_asks: bool,
}

impl Passphrase {
    /// From this file, or from the terminal where there is none.
    pub fn from_file(file: Option<PathBuf>) -> Self {
        Self { file, ..Self::default() }
    }

    /// Whether somebody named a file with one.
    pub(super) fn is_named(&self) -> bool {
        self.file.is_some()
    }

    /// From now on it comes from a file, or is known already.
    pub(super) fn never_ask(&mut self) {
        self.never_asks = true;
    }

    /// The key in `text`, which is what the file at `path` holds.
    pub(super) fn open(&self, path: &Path, text: &str) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
        let given = self.get(path)?;
        match unprotect(path, text, &given) {
            Err(wrong @ IdentityError::WrongPassphrase(_)) => {
                let Some(newer) = self.newer(&given) else { return Err(wrong) };
                let key = unprotect(path, text, &newer)?;
                *self.known() = Some(newer);
                Ok(key)
            }
            other => other,
        }
    }

    /// What the file says now, if that is something else. A pipe is not read twice.
    fn newer(&self, known: &str) -> Option<Zeroizing<String>> {
        let file = self.file.as_ref().filter(|file| file.is_file())?;
        read(file).ok().filter(|newer| newer.as_str() != known)
    }

    fn known(&self) -> MutexGuard<'_, Option<Zeroizing<String>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The passphrase of the identity at `path`.
    pub(super) fn get(&self, path: &Path) -> Result<Zeroizing<String>, IdentityError> {
        let mut known = self.known();
        if let Some(known) = known.as_ref() {
            return Ok(known.clone());
        }
        let given = match &self.file {
            Some(file) => read(file)?,
            None if !self.never_asks && io::stdin().is_terminal() => {
                ask(&format!("Passphrase of {}: ", path.display()), path)?
            }
            None => return Err(IdentityError::Locked(path.to_owned())),
        };
        Ok(known.insert(given).clone())
    }

    /// Another one: from `file`, else typed twice on the terminal.
    pub(super) fn another(path: &Path, file: Option<&Path>) -> Result<Zeroizing<String>, IdentityError> {
        if let Some(file) = file {
            return read(file);
        }
        if !io::stdin().is_terminal() {
            return Err(IdentityError::NoPassphrase("name a file that holds it with --new-passphrase-file"));
        }
        let first = ask("New passphrase: ", path)?;
        match ask("Once more: ", path)? {
            _ if first.is_empty() => {
                Err(IdentityError::NoPassphrase("it is empty; --none takes the protection away"))
            }
            second if second != first => Err(IdentityError::NoPassphrase("the two are not the same")),
            _ => Ok(first),
        }
    }
}

fn ask(prompt: &str, path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let asked = rpassword::prompt_password(prompt).map(Zeroizing::new);
    asked.map_err(|cause| IdentityError::Io { path: path.to_owned(), cause })
}

/// The first line of a file.
fn read(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let bad = |cause: String| IdentityError::PassphraseFile { path: path.to_owned(), cause };
    let text = match file::read(path) {
        Ok(text) => text.ok_or_else(|| bad("No such file; name one that is there".to_owned()))?,
        Err(IdentityError::Io { cause, .. }) => return Err(bad(format!("{cause}; {}", remedy(&cause)))),
        Err(other) => return Err(other),
    };
    match text.lines().next() {
        None | Some("") => Err(bad("its first line is empty; write the passphrase there".to_owned())),
        Some(line) => Ok(Zeroizing::new(line.to_owned())),
    }
}

const SCHEME: &str = "argon2id:";
const AAD: &[u8] = b"prb identity file v1";
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;

/// What one attempt costs: 64 MiB (in KiB), passes, lanes. Well above the least that OWASP recommends.
const COST: (u32, u32, u32) = (64 << 10, 3, 1);
/// The most that a file may ask for.
const MOST: (u32, u32, u32) = (1 << 20, 64, 16);

/// Whether a file's text wants a passphrase.
pub(super) fn is_protected(text: &str) -> bool {
    text.starts_with(SCHEME)
}

/// The text of a file that holds `key` under `passphrase`.
pub(super) fn protect(key: &[u8; 32], passphrase: &str) -> Result<Zeroizing<String>, IdentityError> {
    let randomness = |error: getrandom::Error| IdentityError::Randomness(error.to_string());
    let (mut salt, mut sealed) = ([0; SALT_LEN], vec![0; NONCE_LEN]);
    getrandom::fill(&mut salt).map_err(randomness)?;
    getrandom::fill(&mut sealed).map_err(randomness)?;
    let failed = || IdentityError::Randomness("the passphrase cannot be used".to_owned());
    let cipher = cipher(passphrase, &salt, COST).ok_or_else(failed)?;
    let payload = Payload { msg: key, aad: AAD };
    let ciphertext = cipher.encrypt(XNonce::from_slice(&sealed), payload).map_err(|_| failed())?;
    sealed.extend(ciphertext);
    let (memory, passes, lanes) = COST;
    Ok(Zeroizing::new(format!(
        "{SCHEME}{memory}:{passes}:{lanes}:{}:{}",
        hex::encode(salt),
        hex::encode(sealed)
    )))
}

/// The key that [`protect`] made `text` of.
pub(super) fn unprotect(
    path: &Path,
    text: &str,
    passphrase: &str,
) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    let malformed = || IdentityError::Malformed(path.to_owned());
    let (cost, salt, sealed) = parse(text).ok_or_else(malformed)?;
    let cipher = cipher(passphrase, &salt, cost).ok_or_else(malformed)?;
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or_else(malformed)?;
    let payload = Payload { msg: ciphertext, aad: AAD };
    let opened = cipher.decrypt(XNonce::from_slice(nonce), payload).map(Zeroizing::new);
    let opened = opened.map_err(|_| IdentityError::WrongPassphrase(path.to_owned()))?;
    let key: [u8; 32] = opened.as_slice().try_into().map_err(|_| malformed())?;
    Ok(Zeroizing::new(key))
}

type Parts = ((u32, u32, u32), Vec<u8>, Vec<u8>);

fn parse(text: &str) -> Option<Parts> {
    let fields: Vec<&str> = text.trim().strip_prefix(SCHEME)?.split(':').collect();
    let [memory, passes, lanes, salt, sealed] = fields.as_slice() else { return None };
    let cost: (u32, u32, u32) = (memory.parse().ok()?, passes.parse().ok()?, lanes.parse().ok()?);
    let bounded = cost.0 <= MOST.0 && cost.1 <= MOST.1 && cost.2 <= MOST.2;
    bounded.then_some((cost, hex::decode(salt).ok()?, hex::decode(sealed).ok()?))
}

fn cipher(
    passphrase: &str,
    salt: &[u8],
    (memory, passes, lanes): (u32, u32, u32),
) -> Option<XChaCha20Poly1305> {
    let mut key = Zeroizing::new([0; 32]);
    let argon2 =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, lanes, None).ok()?);
    argon2.hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice()).ok()?;
    Some(XChaCha20Poly1305::new(key.as_slice().into()))
}
