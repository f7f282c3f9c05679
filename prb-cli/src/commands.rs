//! What commands other than `prb run` do. They write to a given writer, so that tests can read what people see.

mod config;
mod handover;
mod identity;
mod inventory;
mod migrate;
mod operator;
mod pool;
mod worker;

pub use self::{
    config::config,
    handover::{HandoverFailure, handover},
    identity::identity,
    inventory::inventory,
    migrate::migrate,
    operator::{operator, seal},
    pool::pool,
    worker::worker,
};

use crate::{
    account,
    args::OutputArgs,
    bulk::BulkError,
    config::Config,
    identity::{IdentityError, KeyringError},
    inventory::{Affected, Inventory, InventoryError, Refusal, Refused},
    secret::SecretError,
    units,
};
use prb_chain::keys::BadKey;
use prb_core::fault::unusable;
use serde_json::Value;
use std::{
    io::{self, Write},
    path::Path,
};

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The inventory refused.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// The identity is not usable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The keyring refused.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The secret is not usable.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// Nothing was read.
    #[error("standard input holds no secret: {0}")]
    NoSecret(BadKey),
    /// The proxied account is none.
    #[error(transparent)]
    Account(#[from] account::BadAccount),
    /// The secret cannot be kept.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An amount is not one.
    #[error(transparent)]
    Amount(#[from] units::BadAmount),
    /// A file of many cannot be used.
    #[error(transparent)]
    Bulk(#[from] BulkError),
    /// A key does not move.
    #[error(transparent)]
    Handover(#[from] HandoverFailure),
    /// The data directory cannot be made.
    #[error("{}", unusable("make data_dir", Path::new(path), cause))]
    DataDir {
        /// The folder.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The inventory of a data directory, which is made if need be.
fn opened(config: &Config) -> Result<Inventory, CommandError> {
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|cause| CommandError::DataDir { path: config.data_dir.display().to_string(), cause })?;
    Ok(Inventory::open(&config.inventory_dir())?)
}

/// Says what was done, a line or an object for each change.
pub(crate) fn told(out: &mut dyn Write, output: OutputArgs, affected: &[Affected]) -> io::Result<()> {
    affected.iter().try_for_each(|one| match output.json {
        true => writeln!(out, "{}", one.json()),
        false => writeln!(out, "{}", one.text()),
    })
}

/// Shows an object: as it is, or a line for each field.
fn shown(out: &mut dyn Write, output: OutputArgs, object: &Value) -> io::Result<()> {
    if output.json {
        return writeln!(out, "{object}");
    }
    let fields = object.as_object().into_iter().flatten();
    fields.into_iter().try_for_each(|(field, value)| {
        let value = match value {
            Value::String(stake) if field == "stake" => {
                stake.parse().map_or_else(|_| stake.clone(), units::format)
            }
            Value::String(text) => text.clone(),
            Value::Null => "none".to_owned(),
            other => other.to_string(),
        };
        writeln!(out, "{field:<11} {value}")
    })
}

fn missing(kind: &'static str, name: &str) -> CommandError {
    InventoryError::from(Refused { at: 0, why: Refusal::Missing { kind, name: name.to_owned() } }).into()
}
