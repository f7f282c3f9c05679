//! Steps between the formats of the records.

use super::Snapshot;
use heed::{
    Database, RwTxn,
    types::{SerdeJson, Str},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Records as plain JSON, whatever their format.
type Table = Database<Str, SerdeJson<Value>>;

/// Leads from one format to the next.
type Step = fn(pools: Table, workers: Table, txn: &mut RwTxn<'_>) -> heed::Result<()>;

/// What leads from format 1 to 2, from 2 to 3, and so on.
const STEPS: &[Step] = &[ids_and_flags];

/// Layout of the records. A change that an older release would misread raises it.
pub(super) const PLAIN: u64 = 1 + STEPS.len() as u64;

/// Layout in which workers may have tags, which releases that read up to [`PLAIN`] cannot read. It differs in nothing else.
pub(super) const TAGGED: u64 = PLAIN + 1;

/// The newest format that is read.
pub(super) const FORMAT: u64 = TAGGED;

/// The oldest format that fits what is stored: without tags, releases before them go on reading it.
pub(super) fn needed(snapshot: &Snapshot) -> u64 {
    if snapshot.workers.iter().any(|worker| !worker.tags.is_empty()) { TAGGED } else { PLAIN }
}

/// Takes records of format `found` to [`PLAIN`].
pub(super) fn migrate(found: u64, pools: Table, workers: Table, txn: &mut RwTxn<'_>) -> heed::Result<()> {
    let done = usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX);
    STEPS.iter().skip(done).try_for_each(|step| step(pools, workers, txn))
}

/// Format 2: pools and workers have ids and can be disabled, pools have names, workers may be gatekeepers.
fn ids_and_flags(pools: Table, workers: Table, txn: &mut RwTxn<'_>) -> heed::Result<()> {
    extend(pools, txn, || json!({ "id": Uuid::new_v4(), "name": "", "enabled": true }))?;
    extend(workers, txn, || json!({ "id": Uuid::new_v4(), "enabled": true, "gatekeeper": false }))
}

/// Gives every record of a table the fields it lacks.
fn extend(table: Table, txn: &mut RwTxn<'_>, fields: impl Fn() -> Value) -> heed::Result<()> {
    let records = table.iter(txn)?.map(|entry| entry.map(|(key, value)| (key.to_owned(), value)));
    for (key, mut record) in records.collect::<heed::Result<Vec<_>>>()? {
        if let (Some(record), Value::Object(fields)) = (record.as_object_mut(), fields()) {
            for (field, value) in fields {
                record.entry(field).or_insert(value);
            }
        }
        table.put(txn, &key, &record)?;
    }
    Ok(())
}
