//! Taking over operators, pools and workers from PRB v2 and v3: all of them or none.

mod v2;
mod v3;

use crate::{
    identity::{Identity, IdentityError, Keyring, KeyringError},
    inventory::{Affected, Change, Inventory, InventoryError, Snapshot, apply},
    v3::{Command, ConfigError, changes},
};
use std::path::{Path, PathBuf};

/// Why nothing is taken over.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// What was found does not fit the inventory.
    #[error("nothing is taken over: {0}")]
    Refused(#[from] ConfigError),
    /// The inventory cannot be used.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// The identity here cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The identity of v2 is none.
    #[error("{path} is no identity of PRB v2: {cause}; take the file LIFECYCLE of its PHALA_PEER_ID_PREFIX")]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The database of v2 cannot be read.
    #[error(
        "{path} is no database of a PRB v2 lifecycle manager: {cause}; take the file of its PHALA_LOCAL_DB_PATH"
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A pool's key does not open.
    #[error("the key of pool {pid} ({name}): {cause}; the identity must be the one of this database")]
    PoolKey {
        /// The pool.
        pid: u64,
        /// Its name.
        name: String,
        /// What is wrong.
        cause: &'static str,
    },
    /// A record of v2 cannot be used.
    #[error("nothing is taken over: {0}")]
    Record(String),
    /// The manager cannot be asked.
    #[error("{url}: {cause}; name the management address of a PRB v3 that runs, like http://10.0.0.5:3001")]
    Manager {
        /// Its address.
        url: String,
        /// Why not.
        cause: String,
    },
}

impl From<IdentityError> for MigrateError {
    fn from(error: IdentityError) -> Self {
        KeyringError::from(error).into()
    }
}

/// What was taken over, and what is left to do.
#[derive(Debug)]
pub struct Taken {
    /// What was done, or would be.
    pub affected: Vec<Affected>,
    /// What a person must do.
    pub remaining: Vec<String>,
}

/// Takes over what a stopped v2 has in its identity file and database.
pub fn from_v2(
    inventory: &Inventory,
    keyring: &Keyring,
    identity: &Path,
    database: &Path,
    dry_run: bool,
) -> Result<Taken, MigrateError> {
    // It had the same fields as v3, which was filled from it by the same commands.
    let commands = v2::read(identity, database)?;
    let affected = if dry_run {
        let mut snapshot = inventory.snapshot()?;
        let identity = match keyring.existing(&snapshot.operators) {
            Err(IdentityError::None(_)) => Identity::generate()?,
            existing => existing?,
        };
        let changes = in_order(&snapshot, &identity, &commands)?;
        apply(&mut snapshot, &changes).map_err(InventoryError::from)?
    } else {
        let (identity, _locked) = keyring.open_to_seal(inventory)?;
        inventory.change(|snapshot| in_order(snapshot, &identity, &commands))?
    };
    Ok(Taken { affected, remaining: Vec::new() })
}

/// The changes of several commands, each on what the ones before it leave.
fn in_order(
    snapshot: &Snapshot,
    identity: &Identity,
    commands: &[Command],
) -> Result<Vec<Change>, MigrateError> {
    let (mut draft, mut all) = (snapshot.clone(), Vec::new());
    for command in commands {
        let changes = changes(&draft, Some(identity), command)?;
        apply(&mut draft, &changes).map_err(|refused| ConfigError::from(InventoryError::from(refused)))?;
        all.extend(changes);
    }
    Ok(all)
}

/// Takes over what a running v3 answers. It keeps its secrets: pools find operators that are here already.
pub fn from_v3(inventory: &Inventory, url: &str, dry_run: bool) -> Result<Taken, MigrateError> {
    let fleet = v3::read(url)?;
    let mut snapshot = inventory.snapshot()?;
    let (changes, remaining) = fleet.changes(&snapshot)?;
    let refused = |error| MigrateError::from(ConfigError::from(error));
    let affected = if dry_run {
        apply(&mut snapshot, &changes).map_err(|error| refused(InventoryError::from(error)))?
    } else {
        inventory.apply(&changes).map_err(refused)?
    };
    Ok(Taken { affected, remaining })
}
