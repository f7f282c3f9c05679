//! The identity on disk, and what may be done with it.
//!
//! A rotation writes the next identity beside the one in use, seals every secret anew in one transaction, and puts the
//! next one in its place. Wherever it is cut off, one of the two opens the inventory; that one is the identity.

use super::{Identity, IdentityError, Passphrase, file, passphrase};
use crate::{
    inventory::{Change, Inventory, InventoryError, Operator, OperatorSet},
    secret::{Sealed, SecretError},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the identity is and how it is unlocked.
pub struct Keyring {
    file: PathBuf,
    passphrase: Passphrase,
}

/// What may be told of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Tells it from others.
    pub fingerprint: String,
    /// Whether a passphrase is needed to read it.
    pub protected: bool,
    /// Operators whose secrets it opens.
    pub opens: usize,
    /// Operators whose secrets it does not open.
    pub unusable: Vec<String>,
}

impl Shown {
    fn of(identity: &Identity, protected: bool, operators: &[Operator]) -> Self {
        let opened = |operator: &&Operator| operator.secret.open(identity, &operator.name).is_ok();
        let (opens, unusable): (Vec<_>, Vec<_>) = operators.iter().partition(opened);
        let unusable = unusable.into_iter().map(|operator| operator.name.clone()).collect();
        Self { fingerprint: identity.fingerprint(), protected, opens: opens.len(), unusable }
    }
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Of the identity that is in use from now on.
    pub fingerprint: String,
    /// Secrets that it opens.
    pub sealed: usize,
    /// Operators whose secrets were given up.
    pub lost: Vec<String>,
}

/// Why the keyring does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The identity is not usable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The inventory is not.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A secret does not open.
    #[error("{0}; nothing is changed; --lose-secrets gives up what does not open")]
    Secret(#[from] SecretError),
}

/// While it lives no other process seals anything or touches the identity.
pub struct Locked {
    _file: fs::File,
}

impl Keyring {
    /// With the identity in this file.
    pub fn new(file: PathBuf, passphrase: Passphrase) -> Self {
        Self { file, passphrase }
    }

    /// Asks for no passphrase on the terminal from now on: nobody may sit there, and everything else would wait.
    pub fn never_ask(&mut self) {
        self.passphrase.never_ask();
    }

    /// The file with the identity.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The identity of the inventory with these operators. One is made where there is none and nothing needs one.
    pub fn open(&self, operators: &[Operator]) -> Result<Identity, IdentityError> {
        let present = self.read(&self.file)?;
        let present = match present {
            Some(identity) if identity.fits(operators) => return Ok(identity),
            other => other,
        };
        // Of a rotation that was cut off after its secrets were sealed.
        if let Some(next) = self.read(&self.next())?.filter(|next| next.fits(operators)) {
            return Ok(next);
        }
        // A rotation may have put it into its place since the first look.
        if let Some(identity) = self.read(&self.file)?.filter(|identity| identity.fits(operators)) {
            return Ok(identity);
        }
        let (path, secrets) = (self.file.clone(), sealed(operators));
        match present {
            Some(identity) => {
                Err(IdentityError::Foreign { path, fingerprint: identity.fingerprint(), secrets })
            }
            None if secrets > 0 => Err(IdentityError::Missing { path, secrets }),
            None => self.create(),
        }
    }

    /// The same, for one who is going to seal something: nothing else happens to identity and secrets meanwhile.
    pub fn open_to_seal(&self, inventory: &Inventory) -> Result<(Identity, Locked), KeyringError> {
        let locked = self.lock()?;
        let operators = inventory.snapshot()?.operators;
        Ok((self.settle(&operators)?, locked))
    }

    /// The same where none is to be made.
    pub fn existing(&self, operators: &[Operator]) -> Result<Identity, IdentityError> {
        self.known(operators)?;
        self.open(operators)
    }

    /// What may be told of the identity.
    pub fn show(&self, operators: &[Operator]) -> Result<Shown, IdentityError> {
        let identity = self.existing(operators)?;
        Ok(Shown::of(&identity, self.is_protected()?, operators))
    }

    /// Copies the identity as it is, with its passphrase if it has one, to a file that is not there yet.
    pub fn backup(&self, inventory: &Inventory, to: &Path) -> Result<Shown, KeyringError> {
        let _locked = self.lock()?;
        let operators = inventory.snapshot()?.operators;
        self.settle_known(&operators)?;
        let text = file::read(&self.file)?.ok_or_else(|| self.io(io::ErrorKind::NotFound.into()))?;
        file::write(to, text.as_bytes(), false)
            .map_err(|cause| IdentityError::Io { path: to.to_owned(), cause })?;
        Ok(self.show(&operators)?)
    }

    /// Puts a copy back, if it is the identity of this inventory and the one in use is not.
    pub fn restore(&self, inventory: &Inventory, from: &Path) -> Result<Shown, KeyringError> {
        let _locked = self.lock()?;
        let operators = inventory.snapshot()?.operators;
        let missing = || IdentityError::Io { path: from.to_owned(), cause: io::ErrorKind::NotFound.into() };
        let text = file::read(from)?.ok_or_else(missing)?;
        let copy = Identity::from_text(from, &text, &self.passphrase)?;
        let secrets = sealed(&operators);
        if !copy.fits(&operators) {
            let (path, fingerprint) = (from.to_owned(), copy.fingerprint());
            return Err(IdentityError::Foreign { path, fingerprint, secrets }.into());
        }
        // One that cannot be read, for whatever reason, is no reason to keep it.
        if let Ok(present) = self.settle_known(&operators)
            && secrets > 0
            && present.fingerprint() != copy.fingerprint()
        {
            let (path, fingerprint) = (self.file.clone(), present.fingerprint());
            return Err(IdentityError::InUse { path, fingerprint }.into());
        }
        file::write(&self.file, text.as_bytes(), true).map_err(|cause| self.io(cause))?;
        Ok(self.show(&operators)?)
    }

    /// Protects the identity with another passphrase, from `file` or typed, or with none.
    pub fn change_passphrase(
        &self,
        inventory: &Inventory,
        protected: bool,
        file: Option<&Path>,
    ) -> Result<Shown, KeyringError> {
        let _locked = self.lock()?;
        let operators = inventory.snapshot()?.operators;
        let identity = self.settle_known(&operators)?;
        let new = protected.then(|| Passphrase::another(&self.file, file)).transpose()?;
        let text = identity.to_text(new.as_ref().map(|new| new.as_str()))?;
        file::write(&self.file, text.as_bytes(), true).map_err(|cause| self.io(cause))?;
        Ok(Shown::of(&identity, protected, &operators))
    }

    /// Makes another identity and seals every secret with it. Secrets that do not open are given up if `lose` says so.
    pub fn rotate(&self, inventory: &Inventory, lose: bool) -> Result<Rotated, KeyringError> {
        let _locked = self.lock()?;
        let operators = inventory.snapshot()?.operators;
        let old = match self.settle_known(&operators) {
            Ok(old) => Some(old),
            Err(IdentityError::Missing { .. } | IdentityError::Foreign { .. }) if lose => None,
            Err(cause) => return Err(cause.into()),
        };
        let new = Identity::generate()?;
        file::write(&self.next(), self.text_of(&new)?.as_bytes(), true).map_err(|cause| self.io(cause))?;
        let mut lost = Vec::new();
        let affected = inventory.change(|snapshot| {
            let mut reseal = |operator: &Operator| {
                let owner = operator.name.clone();
                let opened = match &old {
                    Some(old) => operator.secret.open(old, &owner),
                    None => Err(SecretError::Unopenable { owner: owner.clone() }),
                };
                let secret = match opened {
                    Ok(secret) => Sealed::seal(&new, &owner, secret.as_bytes())?,
                    Err(_) if lose => {
                        lost.push(owner.clone());
                        Sealed::lost()
                    }
                    Err(cause) => return Err(KeyringError::from(cause)),
                };
                let key = Some((operator.account, secret));
                Ok(Change::SetOperator(owner, OperatorSet { key, proxied: None }))
            };
            snapshot.operators.iter().map(&mut reseal).collect()
        });
        let affected = match affected {
            Ok(affected) => affected,
            Err(cause) => {
                // What a failing database has written is not known: the next identity may be the only one that opens it.
                if !matches!(cause, KeyringError::Inventory(InventoryError::Database { .. })) {
                    let _ = fs::remove_file(self.next());
                }
                return Err(cause);
            }
        };
        file::replace(&self.next(), &self.file).map_err(|cause| self.io(cause))?;
        Ok(Rotated { fingerprint: new.fingerprint(), sealed: affected.len() - lost.len(), lost })
    }

    /// The identity of these operators, after a rotation that was cut off is finished or undone.
    fn settle(&self, operators: &[Operator]) -> Result<Identity, IdentityError> {
        let identity = self.open(operators)?;
        if self.next().exists() {
            let present = self.read(&self.file)?.map(|present| present.fingerprint());
            if present == Some(identity.fingerprint()) {
                fs::remove_file(self.next()).map_err(|cause| self.io(cause))?;
            } else {
                file::replace(&self.next(), &self.file).map_err(|cause| self.io(cause))?;
            }
        }
        Ok(identity)
    }

    /// The same where none is to be made.
    fn settle_known(&self, operators: &[Operator]) -> Result<Identity, IdentityError> {
        self.known(operators)?;
        self.settle(operators)
    }

    /// Fails where there is no identity and none is needed yet.
    fn known(&self, operators: &[Operator]) -> Result<(), IdentityError> {
        let is_there = |path: PathBuf| match path.try_exists() {
            Ok(there) => Ok(there),
            Err(cause) => Err(IdentityError::Io { path, cause }),
        };
        let none = !is_there(self.file.clone())? && !is_there(self.next())? && sealed(operators) == 0;
        if none { Err(IdentityError::None(self.file.clone())) } else { Ok(()) }
    }

    fn create(&self) -> Result<Identity, IdentityError> {
        let text = self.text_of(&Identity::generate()?)?;
        match file::write(&self.file, text.as_bytes(), false) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(self.io(cause)),
            _ => {}
        }
        // Read back, for another process may have been first.
        self.read(&self.file)?.ok_or_else(|| self.io(io::ErrorKind::NotFound.into()))
    }

    /// What a file with `identity` holds: protected if the present one is, or if somebody named a passphrase.
    fn text_of(&self, identity: &Identity) -> Result<zeroize::Zeroizing<String>, IdentityError> {
        let protected = self.passphrase.is_named() || self.is_protected()?;
        let passphrase = protected.then(|| self.passphrase.get(&self.file)).transpose()?;
        identity.to_text(passphrase.as_ref().map(|passphrase| passphrase.as_str()))
    }

    fn is_protected(&self) -> Result<bool, IdentityError> {
        Ok(file::read(&self.file)?.is_some_and(|text| passphrase::is_protected(&text)))
    }

    fn read(&self, path: &Path) -> Result<Option<Identity>, IdentityError> {
        let text = file::read(path)?;
        text.map(|text| Identity::from_text(path, &text, &self.passphrase)).transpose()
    }

    /// The identity that a rotation is about to put into use.
    fn next(&self) -> PathBuf {
        self.file.with_extension("next")
    }

    fn lock(&self) -> Result<Locked, IdentityError> {
        let path = self.file.with_extension("lock");
        let locked = (|| {
            let mut options = fs::OpenOptions::new();
            let file = options.create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(Locked { _file: file })
        })();
        locked.map_err(|cause| IdentityError::Io { path, cause })
    }

    fn io(&self, cause: io::Error) -> IdentityError {
        IdentityError::Io { path: self.file.clone(), cause }
    }
}

/// How many secrets need the identity.
fn sealed(operators: &[Operator]) -> usize {
    operators.iter().filter(|operator| !operator.secret.is_lost()).count()
}
