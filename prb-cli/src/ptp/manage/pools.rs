//! Pools, and with them the operators whose keys sign for them: v2 has one key for each pool, here pools with one key share
//! an operator.

use super::{MAX_POOLS, bounded, error::ManageError};
use crate::{
    account::{self, PHALA_PREFIX, address},
    identity::{Identity, Keyring},
    inventory::{Change, Inventory, InventoryError, Operator, Pool, PoolSet, Snapshot, apply},
    v3,
};
use prb_core::id::AccountId;
use prb_p2p::message::{FullAccount, Pool as Wire, PoolList, QueryIdentity, UpdatePoolItem};
use uuid::Uuid;

/// All pools.
pub(super) fn list(snapshot: &Snapshot) -> PoolList {
    PoolList { pools: snapshot.pools.iter().map(|pool| row(snapshot, pool)).collect() }
}

/// Adds pools, and the operators they need.
pub(super) fn create(
    inventory: &Inventory,
    keyring: &Keyring,
    pools: &[Wire],
) -> Result<PoolList, ManageError> {
    bounded(pools.len(), MAX_POOLS)?;
    let (identity, _locked) = keyring.open_to_seal(inventory)?;
    in_turn(inventory, "pools", pools, |snapshot, pool| created(snapshot, &identity, pool))
}

/// Changes or removes pools.
pub(super) fn update(
    inventory: &Inventory,
    keyring: &Keyring,
    items: &[UpdatePoolItem],
) -> Result<PoolList, ManageError> {
    bounded(items.len(), MAX_POOLS)?;
    let snapshot = inventory.snapshot()?;
    // Who only switches a pool off needs no identity, which may be locked.
    let keys = match items.iter().any(|item| seals(&snapshot, item)) {
        true => Some(keyring.open_to_seal(inventory)?),
        false => None,
    };
    let identity = keys.as_ref().map(|(identity, _locked)| identity);
    in_turn(inventory, "items", items, |snapshot, item| updated(snapshot, identity, item))
}

/// A pool as v2 writes it. It has no `polkadotJson`: even sealed, secrets stay where they are.
fn row(snapshot: &Snapshot, pool: &Pool) -> Wire {
    let operator = pool.operator.as_deref().and_then(|name| snapshot.operator(name));
    let owner = operator.map(|Operator { account, .. }| {
        FullAccount::shown(address(account, PHALA_PREFIX), address(account, POLKADOT_PREFIX))
    });
    let proxied = operator.and_then(|operator| operator.proxied);
    Wire {
        uuid: Some(pool.id.to_string()),
        // Readers look into it without a question.
        owner: Some(owner.unwrap_or_default()),
        pid: Some(pool.pid),
        name: Some(pool.name.clone()),
        enabled: Some(pool.enabled),
        deleted: Some(false),
        real_phala_ss58: proxied.map(|account| address(&account, PHALA_PREFIX)),
        sync_only: Some(pool.sync_only),
    }
}

/// What one item comes to: its changes, and the pid of the pool to show then.
type Decided = (Vec<Change>, Option<u64>);

/// Makes what `decide` answers to each item, which sees what those before it came to; all of it or nothing.
fn in_turn<T>(
    inventory: &Inventory,
    list: &'static str,
    items: &[T],
    decide: impl Fn(&Snapshot, &T) -> Result<Decided, ManageError>,
) -> Result<PoolList, ManageError> {
    let (mut draft, mut shown) = (Snapshot::default(), Vec::new());
    inventory.change(|snapshot| {
        draft = snapshot.clone();
        let mut all = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let within = |cause: ManageError| cause.within(list, at);
            let (changes, pid) = decide(&draft, item).map_err(within)?;
            apply(&mut draft, &changes).map_err(|refused| within(InventoryError::from(refused).into()))?;
            all.extend(changes);
            shown.extend(pid);
        }
        Ok::<_, ManageError>(all)
    })?;
    let pools = shown.into_iter().filter_map(|pid| draft.pool(pid));
    Ok(PoolList { pools: pools.map(|pool| row(&draft, pool)).collect() })
}

fn created(snapshot: &Snapshot, identity: &Identity, pool: &Wire) -> Result<Decided, ManageError> {
    let pid = pool.pid.ok_or(ManageError::Wanted("pid"))?;
    let name = named(snapshot, pool, None)?;
    let mnemonic = mnemonic(pool).ok_or(ManageError::Wanted("owner.mnemonic"))?;
    let (enabled, sync_only) = (pool.enabled(), pool.sync_only());
    let mut changes = vec![Change::AddPool(Pool { name, enabled, sync_only, ..Pool::new(pid, None) })];
    // Told here, where it is plain what is there already.
    if snapshot.pool(pid).is_none() {
        changes.extend(v3::sign_with(snapshot, identity, pid, mnemonic, proxied(pool)?)?);
    }
    Ok((changes, Some(pid)))
}

fn updated(
    snapshot: &Snapshot,
    identity: Option<&Identity>,
    item: &UpdatePoolItem,
) -> Result<Decided, ManageError> {
    let present = found(snapshot, item.id.as_ref())?;
    let pool = item.pool.as_ref().ok_or(ManageError::Wanted("pool"))?;
    let pid = present.pid;
    if pool.deleted() {
        return Ok((vec![Change::RemovePool(pid)], None));
    }
    if let Some(wanted) = pool.pid.filter(|wanted| *wanted != pid) {
        return Err(ManageError::OtherPid { present: pid, wanted });
    }
    let name = Some(named(snapshot, pool, Some(pid))?);
    let (enabled, sync_only) = (Some(pool.enabled()), Some(pool.sync_only()));
    let mut changes = vec![Change::SetPool(pid, PoolSet { name, operator: None, enabled, sync_only })];
    changes.extend(signer(snapshot, identity, present, pool)?);
    Ok((changes, Some(pid)))
}

/// The changes that make the operator of a pool the one that is wanted. Without a mnemonic its key stays.
fn signer(
    snapshot: &Snapshot,
    identity: Option<&Identity>,
    present: &Pool,
    wanted: &Wire,
) -> Result<Vec<Change>, ManageError> {
    let proxied = proxied(wanted)?;
    let identity = || identity.ok_or(ManageError::Overtaken);
    let sign_with = |secret: &str| Ok(v3::sign_with(snapshot, identity()?, present.pid, secret, proxied)?);
    match (mnemonic(wanted), operator_of(snapshot, present)) {
        (Some(mnemonic), _) => sign_with(mnemonic),
        (None, Some(operator)) if operator.proxied == proxied => Ok(Vec::new()),
        (None, Some(operator)) => sign_with(&operator.secret.open(identity()?, &operator.name)?),
        (None, None) if proxied.is_none() => Ok(Vec::new()),
        (None, None) => Err(ManageError::Wanted("owner.mnemonic")),
    }
}

/// Whether an item means that a secret is sealed. One that is wrong does not: it is refused.
fn seals(snapshot: &Snapshot, item: &UpdatePoolItem) -> bool {
    let (Some(pool), Ok(present)) = (&item.pool, found(snapshot, item.id.as_ref())) else { return false };
    let moved = || {
        let operator = operator_of(snapshot, present);
        operator.is_some_and(|operator| proxied(pool).is_ok_and(|proxied| proxied != operator.proxied))
    };
    !pool.deleted() && (mnemonic(pool).is_some() || moved())
}

fn operator_of<'s>(snapshot: &'s Snapshot, pool: &Pool) -> Option<&'s Operator> {
    snapshot.operator(pool.operator.as_deref()?)
}

/// The pool that is meant: by uuid, else by name, else by pid.
fn found<'s>(snapshot: &'s Snapshot, id: Option<&QueryIdentity>) -> Result<&'s Pool, ManageError> {
    let id = id.ok_or(ManageError::Wanted("id"))?;
    let missing = |wanted: String| ManageError::Missing { kind: "pool", wanted, list: "ListPool" };
    match (id.uuid(), id.name(), id.pid) {
        ("", "", None) => Err(ManageError::Wanted("id")),
        ("", "", Some(pid)) => snapshot.pool(pid).ok_or_else(|| missing(pid.to_string())),
        ("", name, _) => {
            let mut called = snapshot.pools.iter().filter(|pool| pool.name == name);
            match (called.next(), called.next()) {
                (Some(pool), None) => Ok(pool),
                (Some(_), Some(_)) => Err(ManageError::Ambiguous(name.to_owned())),
                (None, _) => Err(missing(name.to_owned())),
            }
        }
        (uuid, ..) => {
            let wanted = uuid.parse::<Uuid>().ok();
            let pool = snapshot.pools.iter().find(|pool| Some(pool.id) == wanted);
            pool.ok_or_else(|| missing(uuid.to_owned()))
        }
    }
}

/// The name that is wanted, if no other pool has it: v2 finds pools by it.
fn named(snapshot: &Snapshot, wanted: &Wire, pid: Option<u64>) -> Result<String, ManageError> {
    let name = wanted.name();
    if name.is_empty() {
        return Err(ManageError::Wanted("name"));
    }
    if snapshot.pools.iter().any(|pool| pool.name == name && Some(pool.pid) != pid) {
        return Err(ManageError::NameTaken(name.to_owned()));
    }
    Ok(name.to_owned())
}

fn mnemonic(pool: &Wire) -> Option<&str> {
    pool.owner.as_ref().map(FullAccount::mnemonic).filter(|mnemonic| !mnemonic.trim().is_empty())
}

/// On whose behalf the operator signs.
fn proxied(pool: &Wire) -> Result<Option<AccountId>, ManageError> {
    match pool.real_phala_ss58().trim() {
        "" => Ok(None),
        address => Ok(Some(account::parse(address)?)),
    }
}

const POLKADOT_PREFIX: u8 = 0;
