//! Identity and database of PRB v2's lifecycle manager.
//!
//! The identity is the protobuf of a libp2p RSA key. The database is SQLite; each pool has its key as a polkadot.js key store
//! without passphrase, sealed with AES-256-CBC under a key that the identity opens (RSA-OAEP with SHA-1).

use super::MigrateError;
use crate::v3::{Command, OperatorFields, PoolFields, SecretType, WorkerFields};
use aes::{
    Aes256,
    cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use prb_chain::keys::Signer;
use prost::Message;
use rsa::{PrivateKey, pkcs1::DecodeRsaPrivateKey};
use rusqlite::{Connection, OpenFlags, Row};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};
use zeroize::Zeroizing;

/// A peer id file: libp2p's `PeerIdProto`.
#[derive(Clone, PartialEq, Message)]
struct PeerId {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    public: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    private: Vec<u8>,
}

/// A libp2p key.
#[derive(Clone, PartialEq, Message)]
struct Key {
    /// 0 is RSA.
    #[prost(uint64, tag = "1")]
    kind: u64,
    /// PKCS#1 DER.
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

/// A sealed key store.
#[derive(Clone, PartialEq, Message)]
struct Sealed {
    #[prost(bytes = "vec", tag = "1")]
    iv: Vec<u8>,
    /// The AES key, sealed with the identity.
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
}

/// A polkadot.js key store, as far as it is needed.
#[derive(Deserialize)]
struct KeyStore {
    encoded: String,
}

/// What comes before the secret key in a key store: its PKCS#8 header.
const HEADER: &[u8; 16] = b"\x30\x53\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// What stands between secret and public key.
const DIVIDER: &[u8; 5] = b"\xa1\x23\x03\x21\x00";
/// Largest identity file, bytes.
const MAX_IDENTITY: u64 = 64 << 10;

/// The commands that make what the database has.
pub(super) fn read(identity: &Path, database: &Path) -> Result<Vec<Command>, MigrateError> {
    let identity = read_identity(identity)?;
    let (pools, workers) = rows(database)
        .map_err(|error| MigrateError::Database { path: database.to_owned(), cause: error.to_string() })?;
    let mut commands = Vec::with_capacity(2 * pools.len() + workers.len());
    let mut pids = BTreeMap::new();
    for pool in pools {
        pids.insert(pool.id, pool.pid);
        let key = |cause| MigrateError::PoolKey { pid: pool.pid, name: pool.name.clone(), cause };
        let account = secret_key(&identity, &pool.sealed).map_err(key)?;
        commands.push(Command::AddPool(PoolFields {
            name: pool.name,
            pid: pool.pid,
            disabled: !pool.enabled,
            sync_only: pool.sync_only,
        }));
        commands.push(Command::SetPoolOperator(OperatorFields {
            pid: pool.pid,
            account,
            account_type: SecretType::SecretKey,
            proxied_account_id: pool.proxied.filter(|address| !address.is_empty()),
        }));
    }
    for worker in workers {
        let pid = worker.pool.as_ref().and_then(|id| pids.get(id)).copied().ok_or_else(|| {
            MigrateError::Record(format!(
                "worker {} is in no pool of that database; move or delete it in v2",
                worker.name
            ))
        })?;
        commands.push(Command::AddWorker(WorkerFields {
            name: worker.name,
            new_name: None,
            endpoint: worker.endpoint,
            stake: worker.stake,
            pid,
            disabled: !worker.enabled,
            sync_only: worker.sync_only,
            gatekeeper: false,
        }));
    }
    Ok(commands)
}

fn read_identity(path: &Path) -> Result<PrivateKey, MigrateError> {
    let bad = |cause: &dyn std::fmt::Display| MigrateError::Identity {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let length = fs::metadata(path).map_err(|error| bad(&error))?.len();
    if length > MAX_IDENTITY {
        return Err(bad(&"it is too large"));
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(|error| bad(&error))?);
    let peer = PeerId::decode(bytes.as_slice()).map_err(|error| bad(&error))?;
    let private = Zeroizing::new(peer.private);
    let key = Key::decode(private.as_slice()).map_err(|error| bad(&error))?;
    let der = Zeroizing::new(key.data);
    if key.kind != 0 {
        return Err(bad(&"its key is not RSA"));
    }
    PrivateKey::from_pkcs1_der(&der).map_err(|error| bad(&error))
}

/// The secret key of a pool as hex.
fn secret_key(identity: &PrivateKey, sealed: &[u8]) -> Result<Zeroizing<String>, &'static str> {
    let sealed = Sealed::decode(sealed).map_err(|_| "it is not stored as v2 does")?;
    let key = identity
        .oaep_decrypt::<sha1::Sha1>(&sealed.key)
        .map_err(|_| "it does not open with this identity")?;
    let key = Zeroizing::new(key);
    let cipher = cbc::Decryptor::<Aes256>::new_from_slices(&key, &sealed.iv).map_err(|_| "it is damaged")?;
    let payload = cipher.decrypt_padded_vec::<Pkcs7>(&sealed.payload).map_err(|_| "it is damaged")?;
    let payload = Zeroizing::new(payload);
    let store: KeyStore = serde_json::from_slice(&payload).map_err(|_| "it is no key store")?;
    let encoded = Zeroizing::new(store.encoded);
    let bytes = BASE64_STANDARD.decode(encoded.as_bytes()).map_err(|_| "its key store is not in base 64")?;
    let bytes = Zeroizing::new(bytes);
    let unknown = "its key store has an unknown layout";
    let rest = bytes.strip_prefix(HEADER).ok_or(unknown)?;
    let (secret, rest) = rest.split_at_checked(64).ok_or(unknown)?;
    let public = rest.strip_prefix(DIVIDER).ok_or(unknown)?;
    let secret = Zeroizing::new(hex::encode(secret));
    match Signer::from_text(&secret) {
        Ok(signer) if signer.account().0 == public => Ok(secret),
        _ => Err("secret and public key in it do not belong together"),
    }
}

struct PoolRow {
    id: String,
    pid: u64,
    name: String,
    proxied: Option<String>,
    sealed: Vec<u8>,
    enabled: bool,
    sync_only: bool,
}

struct WorkerRow {
    name: String,
    endpoint: String,
    stake: String,
    enabled: bool,
    sync_only: bool,
    pool: Option<String>,
}

fn rows(path: &Path) -> rusqlite::Result<(Vec<PoolRow>, Vec<WorkerRow>)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    let pools = all(&database, "SELECT * FROM pools ORDER BY pid", |row| {
        Ok(PoolRow {
            id: row.get("id")?,
            pid: u64::try_from(row.get::<_, i64>("pid")?).unwrap_or_default(),
            name: row.get("name")?,
            proxied: added_later(row, "proxiedAccountSs58")?.flatten(),
            sealed: row.get("encryptedOperator")?,
            enabled: row.get("enabled")?,
            sync_only: added_later(row, "syncOnly")?.unwrap_or_default(),
        })
    })?;
    let workers = all(&database, "SELECT * FROM workers ORDER BY name", |row| {
        Ok(WorkerRow {
            name: row.get("name")?,
            endpoint: row.get("endpoint")?,
            stake: row.get("stake")?,
            enabled: row.get("enabled")?,
            sync_only: added_later(row, "syncOnly")?.unwrap_or_default(),
            pool: row.get("poolId")?,
        })
    })?;
    Ok((pools, workers))
}

fn all<T>(
    database: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    database.prepare(query)?.query_map([], |row| read(row))?.collect()
}

/// A column that databases of early v2 releases do not have.
fn added_later<T: rusqlite::types::FromSql>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    match row.get(column) {
        Err(rusqlite::Error::InvalidColumnName(_)) => Ok(None),
        value => value.map(Some),
    }
}

#[cfg(test)]
mod tests;
