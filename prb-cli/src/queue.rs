//! Transactions as people look at them: `prb tx`.

pub mod orders;

use crate::{args::TxCommand, config::Config, units};
use orders::{Order, OrderError};
use prb_chain::journal::{BY_OPERATOR, Dropped, Entry, Image, Journal, JournalError, Record};
use prb_core::{fault::unusable, id::JobId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Why a command about transactions fails.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The running trader did not carry it out.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// There is no such job.
    #[error("no transaction {0} is known; `prb tx list` shows their ids")]
    Unknown(JobId),
    /// A job cannot be dropped any more.
    #[error("transaction {0} {1}")]
    NotDropped(JobId, &'static str),
    /// There is nothing that transactions could be of.
    #[error(
        "data_dir {0} holds neither an inventory nor a transaction journal: nobody makes transactions there; check \
         data_dir in the configuration (and --config), or begin there with `prb operator add`"
    )]
    Nowhere(String),
    /// The data directory cannot be looked at.
    #[error("{0}")]
    Unusable(String),
    /// The journal is where `prb trade` runs.
    #[error(
        "transactions are made by `prb trade` ([redis]), which has no journal in {0}; run this where `prb trade` runs, \
         with its data directory"
    )]
    Elsewhere(String),
    /// Writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A job's id as lists show it: `ERA-NUMBER`, the era in hex.
pub fn job(text: &str) -> Result<JobId, String> {
    let parts = text.split_once('-').and_then(|(era, number)| {
        Some(JobId { era: u64::from_str_radix(era, 16).ok()?, number: number.parse().ok()? })
    });
    parts.ok_or_else(|| "not the id of a transaction; `prb tx list` shows them".to_owned())
}

/// Carries out a command about transactions.
pub async fn tx(config: &Config, command: TxCommand, out: &mut dyn Write) -> Result<(), QueueError> {
    match command {
        TxCommand::List { limit, json } => list(&image(config)?, limit, json, out)?,
        TxCommand::Show { job, json } => {
            let entry = image(config)?.entry(&job).ok_or(QueueError::Unknown(job))?;
            show(&entry, json, out)?;
        }
        TxCommand::Fees(args) => fees(&image(config)?, args.json, out)?,
        TxCommand::Drop { job } => {
            dropped(job, order(config, Order::Drop(job)).await?)?;
            writeln!(out, "{job} is dropped")?;
        }
        TxCommand::Pause => {
            order(config, Order::Pause(true)).await?;
            writeln!(out, "transactions are paused; `prb tx resume` sends them again")?;
        }
        TxCommand::Resume => {
            order(config, Order::Pause(false)).await?;
            writeln!(out, "transactions are sent")?;
        }
    }
    Ok(())
}

/// Fails if a job that was to be dropped is not.
pub(crate) fn dropped(job: JobId, done: Dropped) -> Result<(), QueueError> {
    match done {
        Dropped::Yes => Ok(()),
        Dropped::UnderWay => Err(QueueError::NotDropped(job, "is under way: the chain ends it")),
        Dropped::Ended => Err(QueueError::NotDropped(job, "has ended")),
        Dropped::Unknown => Err(QueueError::Unknown(job)),
    }
}

/// Fails where transactions are made elsewhere, or by nobody: an order would be written down where it is never read.
fn is_here(config: &Config) -> Result<(), QueueError> {
    let is_there = |path: PathBuf| {
        path.try_exists().map_err(|cause| QueueError::Unusable(unusable("look for", &path, &cause)))
    };
    let folder = || config.data_dir.display().to_string();
    if is_there(config.journal_file())? {
        return Ok(());
    }
    match (config.redis.is_some(), is_there(config.inventory_dir())?) {
        (true, _) => Err(QueueError::Elsewhere(folder())),
        (false, false) => Err(QueueError::Nowhere(folder())),
        (false, true) => Ok(()),
    }
}

/// What the journal holds, whoever writes it.
fn image(config: &Config) -> Result<Image, QueueError> {
    is_here(config)?;
    Ok(Journal::look(config.journal_file())?.unwrap_or_default())
}

/// Gives an order to whoever has the journal, or carries it out where nobody has.
async fn order(config: &Config, order: Order) -> Result<Dropped, QueueError> {
    is_here(config)?;
    match Journal::open(config.journal_file()) {
        Ok(journal) => match order {
            Order::Drop(job) => Ok(journal.drop_job(job, BY_OPERATOR).await?),
            Order::Pause(paused) => {
                journal.write(vec![Record::Paused(paused)]).await?;
                Ok(Dropped::Yes)
            }
        },
        Err(JournalError::Locked { .. }) => Ok(orders::give(&config.orders_dir(), order).await?),
        Err(error) => Err(error.into()),
    }
}

fn list(image: &Image, limit: usize, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let entries = image.entries();
    let shown = &entries[entries.len().saturating_sub(limit)..];
    if json {
        let rows: Vec<Value> = shown.iter().map(as_json).collect();
        return writeln!(out, "{}", json!({ "paused": image.paused(), "transactions": rows }));
    }
    if image.paused() {
        writeln!(out, "paused: nothing is sent; `prb tx resume` sends again")?;
    }
    if shown.is_empty() {
        writeln!(out, "no transactions")?;
    }
    for entry in shown {
        let pool = entry.pool.map(|pool| format!("pool {pool}")).unwrap_or_default();
        let at = entry.ended.or(entry.sent).or(entry.accepted).map(utc).unwrap_or_default();
        let message = entry.message.as_deref().map(|text| format!("  ({text})")).unwrap_or_default();
        let (job, stand, description) = (entry.job, entry.stand.name(), &entry.description);
        writeln!(out, "{job}  {at:20}  {stand:8}  {pool}  {description}{message}")?;
    }
    if shown.len() < entries.len() {
        writeln!(out, "{} older ones are not shown", entries.len() - shown.len())?;
    }
    Ok(())
}

fn show(entry: &Entry, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", as_json(entry));
    }
    let rows = [
        ("id", Some(entry.job.to_string())),
        ("state", Some(entry.stand.name().to_owned())),
        ("pool", entry.pool.map(|pool| pool.to_string())),
        ("what", Some(entry.description.clone())),
        ("accepted", entry.accepted.map(utc)),
        ("sent", entry.sent.map(utc)),
        ("ended", entry.ended.map(utc)),
        ("extrinsic", entry.extrinsic.map(|hash| hash.to_string())),
        ("message", entry.message.clone()),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            writeln!(out, "{name:10} {value}")?;
        }
    }
    Ok(())
}

fn fees(image: &Image, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let fees = image.fees();
    if json {
        let accounts: Vec<Value> = fees
            .accounts
            .iter()
            .map(|(account, planck)| json!({ "account": account.to_string(), "planck": planck.to_string() }))
            .collect();
        let pools: Vec<Value> = fees
            .pools
            .iter()
            .map(|(pool, planck)| json!({ "pool": pool.0, "planck": planck.to_string() }))
            .collect();
        return writeln!(out, "{}", json!({ "accounts": accounts, "pools": pools }));
    }
    for (account, planck) in &fees.accounts {
        writeln!(out, "account {account}  {}", units::format(*planck))?;
    }
    for (pool, planck) in &fees.pools {
        writeln!(out, "pool {pool}  {}", units::format(*planck))?;
    }
    Ok(())
}

/// A transaction for programs. Times are UTC, null where unknown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TransactionRow {
    /// Its job.
    pub id: String,
    /// `pid` of the pool that it is for.
    pub pool: Option<u64>,
    /// What it stands at.
    pub state: &'static str,
    /// What it does.
    pub description: String,
    /// When it was taken on.
    pub accepted: Option<String>,
    /// When it was sent last.
    pub sent: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// Hash of its extrinsic.
    pub extrinsic: Option<String>,
    /// Why it failed, or what is wrong.
    pub message: Option<String>,
}

impl TransactionRow {
    /// A journal's entry.
    pub fn of(entry: &Entry) -> Self {
        Self {
            id: entry.job.to_string(),
            pool: entry.pool.map(|pool| pool.0),
            state: entry.stand.name(),
            description: entry.description.clone(),
            accepted: entry.accepted.map(utc),
            sent: entry.sent.map(utc),
            ended: entry.ended.map(utc),
            extrinsic: entry.extrinsic.map(|hash| hash.to_string()),
            message: entry.message.clone(),
        }
    }
}

/// One entry for programs.
pub fn as_json(entry: &Entry) -> Value {
    json!(TransactionRow::of(entry))
}

/// A time in milliseconds since 1970 as `2026-11-27T10:05:33Z`.
pub fn utc(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the Gregorian calendar, in eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_773_933_000, "2026-11-27T10:05:33Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ];
        for (time, expected) in cases {
            assert_eq!(utc(time), expected);
        }
    }

    #[test]
    fn ids_are_read_as_they_are_shown() {
        let id = JobId { era: 0x00c0_ffee, number: 12 };
        assert_eq!(job(&id.to_string()), Ok(id));
        for text in ["", "12", "x-1", "1-x", "1--2", "1-2-3"] {
            assert!(job(text).is_err(), "{text}");
        }
    }
}
