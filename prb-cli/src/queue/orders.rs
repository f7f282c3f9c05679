//! Orders for a trader that runs: small files in a folder of the data directory, which only its owner can write.
//!
//! Whoever may write the data directory may stop the trader, so nothing else is asked. An order is carried out once, and
//! its answer is a file beside it.

use super::job;
use prb_chain::{journal::Dropped, trader::Trader};
use prb_core::{fault::unusable, id::JobId};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, sleep};
use tracing::warn;

/// How long an order may take. An older one is not carried out: whoever gave it expects that no more.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much longer an order may take that was taken up.
const MORE: Duration = Duration::from_secs(10);

/// Age at which nobody reads an answer any more.
const KEPT: Duration = Duration::from_secs(60);

/// Orders carried out at one look.
const AT_ONCE: usize = 64;

/// Longest order, bytes.
const LONGEST: u64 = 256;

/// Something a running trader is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send nothing, or send again.
    Pause(bool),
    /// Drop a job that waits.
    Drop(JobId),
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The folder cannot be used.
    #[error("{}", unusable("give orders to the running trader in", path, cause))]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Nobody did it in time.
    #[error(
        "the process that has the transaction journal did not answer within 15 s; see its log, and whether it is of this \
         release"
    )]
    NoAnswer,
    /// Somebody began it, and did not say how it ended.
    #[error("the order was taken up and not answered within 25 s; `prb tx list` shows what came of it")]
    Taken,
    /// The trader could not.
    #[error("the trader answers: {0}")]
    Failed(String),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause(true) => f.write_str("pause"),
            Self::Pause(false) => f.write_str("resume"),
            Self::Drop(job) => write!(f, "drop {job}"),
        }
    }
}

impl Order {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("pause", "") => Ok(Self::Pause(true)),
            ("resume", "") => Ok(Self::Pause(false)),
            ("drop", id) => job(id).map(Self::Drop),
            _ => Err("not an order that this release knows".to_owned()),
        }
    }

    async fn carry_out(self, trader: &Trader) -> Result<Dropped, String> {
        let done = match self {
            Self::Pause(paused) => trader.pause(paused).await.map(|_| Dropped::Yes),
            Self::Drop(job) => trader.drop_job(job).await,
        };
        done.map_err(|error| error.to_string())
    }
}

/// Writes an order and waits until it is carried out.
pub async fn give(folder: &Path, order: Order) -> Result<Dropped, OrderError> {
    let io = |cause| OrderError::Io { path: folder.to_owned(), cause };
    make(folder).map_err(io)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let file = folder.join(format!("{now}-{}.order", std::process::id()));
    let answer = file.with_extension("answer");
    write(&file, &order.to_string()).map_err(io)?;
    let start = Instant::now();
    let mut taken = false;
    loop {
        match fs::read_to_string(&answer) {
            Ok(text) => {
                let _ = fs::remove_file(&answer);
                return understand(&text);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            Err(_) if taken && start.elapsed() >= PATIENCE + MORE => return Err(OrderError::Taken),
            Err(_) if !taken && start.elapsed() >= PATIENCE => {
                // It must not be carried out when nobody expects it any more.
                if fs::remove_file(&file).is_ok() {
                    return Err(OrderError::NoAnswer);
                }
                taken = true;
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Carries out the orders that are there, oldest first.
pub async fn carry_out(folder: &Path, trader: &Trader) {
    let Ok(found) = fs::read_dir(folder) else { return };
    let is = |path: &Path, kind: &str| path.extension().is_some_and(|extension| extension == kind);
    let (mut orders, others): (Vec<PathBuf>, Vec<PathBuf>) =
        found.filter_map(|entry| Some(entry.ok()?.path())).partition(|path| is(path, "order"));
    for left in others.iter().filter(|path| is(path, "answer") || is(path, "part")) {
        // Whoever waited for it is gone. One that cannot be removed does no harm.
        if is_older(left, KEPT) {
            let _ = fs::remove_file(left);
        }
    }
    orders.sort();
    for file in orders.into_iter().take(AT_ONCE) {
        let Some(text) = take(&file) else { continue };
        let answer = match Order::parse(text.trim()) {
            Ok(order) => match order.carry_out(trader).await {
                Ok(done) => said(done).to_owned(),
                Err(cause) => format!("failed {cause}"),
            },
            Err(cause) => format!("failed {cause}"),
        };
        if let Err(cause) = write(&file.with_extension("answer"), &answer) {
            warn!(file = %file.display(), %cause, "the answer to an order cannot be written");
        }
    }
}

/// Takes an order away; what it says, if it is to be carried out.
fn take(file: &Path) -> Option<String> {
    let old = is_older(file, PATIENCE);
    let text = match fs::metadata(file) {
        Ok(found) if found.len() <= LONGEST => fs::read_to_string(file).unwrap_or_default(),
        _ => String::new(),
    };
    // Taken away first: an order that is carried out and not answered is better than one that is carried out twice.
    if let Err(cause) = fs::remove_file(file) {
        warn!(file = %file.display(), %cause, "an order cannot be taken; not carried out");
        return None;
    }
    if old {
        warn!(file = %file.display(), order = text.trim(), "an order is old, nobody waits for it; not carried out");
        return None;
    }
    Some(text)
}

/// Whether a file was written longer ago than this, or is dated as far in the future.
fn is_older(file: &Path, age: Duration) -> bool {
    let written = fs::metadata(file).and_then(|found| found.modified());
    written.is_ok_and(|at| at.elapsed().unwrap_or_else(|ahead| ahead.duration()) > age)
}

/// Makes the folder, for its owner alone.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

const fn said(done: Dropped) -> &'static str {
    match done {
        Dropped::Yes => "done",
        Dropped::UnderWay => "under way",
        Dropped::Ended => "ended",
        Dropped::Unknown => "unknown",
    }
}

fn understand(text: &str) -> Result<Dropped, OrderError> {
    let all = [Dropped::Yes, Dropped::UnderWay, Dropped::Ended, Dropped::Unknown];
    all.into_iter()
        .find(|done| said(*done) == text)
        .ok_or_else(|| OrderError::Failed(text.strip_prefix("failed ").unwrap_or(text).to_owned()))
}

/// Writes a file that is there whole or not at all.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let part = file.with_extension("part");
    fs::write(&part, text)?;
    fs::rename(part, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_taken_once_and_not_when_its_giver_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let orders = folder.path().join("orders");
        make(&orders).unwrap();
        make(&orders).unwrap();
        let file = orders.join("1-1.order");
        write(&file, "pause").unwrap();
        assert_eq!(take(&file).as_deref(), Some("pause"));
        assert_eq!(take(&file), None);
        write(&file, "resume").unwrap();
        let old = SystemTime::now() - PATIENCE - Duration::from_secs(5);
        fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        assert_eq!(take(&file), None);
        assert!(!file.exists());
    }

    #[test]
    fn orders_and_answers_are_read_as_they_are_written() {
        let id = JobId { era: 7, number: 8 };
        for order in [Order::Pause(true), Order::Pause(false), Order::Drop(id)] {
            assert_eq!(Order::parse(&order.to_string()), Ok(order));
        }
        for text in ["", "pause now", "drop", "drop 1", "sell"] {
            assert!(Order::parse(text).is_err(), "{text}");
        }
        for done in [Dropped::Yes, Dropped::UnderWay, Dropped::Ended, Dropped::Unknown] {
            assert_eq!(understand(said(done)).unwrap(), done);
        }
        assert!(matches!(understand("failed disk"), Err(OrderError::Failed(cause)) if cause == "disk"));
    }
}
