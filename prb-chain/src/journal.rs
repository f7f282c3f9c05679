//! What the trader must not forget: jobs, signed extrinsics, outcomes.
//!
//! Every record is durable before what it announces happens: a job before it is acknowledged, an extrinsic before it
//! is sent. What is read is an [`Image`] in memory, bounded by the trader's limits and by the number of ended jobs
//! that are remembered.

mod file;
mod image;
mod view;

pub use image::{ENDED_KEPT, Fees, Image, Job, Past, Totals};
#[cfg(feature = "redis")]
pub(crate) use view::origin;
pub use view::{Entry, Stand, describe};

use codec::{Decode, Encode};
use prb_core::{
    id::{AccountId, Hash, Height, JobId, PoolId},
    port::Outcome,
    tx::{BadPeriod, Call, Mortality, Period},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};
use tokio::sync::{mpsc, oneshot};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    /// A job was accepted.
    #[codec(index = 0)]
    Accepted {
        /// The job.
        job: JobId,
        /// Whose it is.
        pool: PoolId,
        /// What it does.
        calls: Vec<Call>,
    },
    /// An extrinsic is about to be sent.
    #[codec(index = 1)]
    Sent(Sent),
    /// A node refused the extrinsic before it could reach anybody; its jobs wait again.
    #[codec(index = 2)]
    Withdrawn(Hash),
    /// Jobs ended, and with them the extrinsic that carried them, if any.
    #[codec(index = 3)]
    Ended {
        /// The extrinsic.
        extrinsic: Option<Hash>,
        /// The jobs.
        outcomes: Vec<(JobId, Outcome)>,
    },
    /// Hash of block 0 of the chain that all of it is about. Only the first such record counts.
    #[codec(index = 4)]
    Chain(Hash),
    /// When the records that follow were written: milliseconds since 1970, UTC. What no such record precedes is of a
    /// release that did not write the time down. [`Journal::write`] puts it before what it writes.
    #[codec(index = 5)]
    Now(u64),
    /// A job that ended, with all that is remembered of it: only in a rewritten file.
    #[codec(index = 6)]
    Past {
        /// The job.
        job: JobId,
        /// What is remembered.
        past: Past,
    },
    /// Nothing is sent while the last such record says so.
    #[codec(index = 7)]
    Paused(bool),
    /// Everything that others did for these accounts ended at or before this block.
    #[codec(index = 8)]
    Settled(Height),
    /// A fee was paid.
    #[codec(index = 9)]
    Fee {
        /// Who paid.
        account: AccountId,
        /// Planck, tip included.
        planck: u128,
        /// The pools it was paid for, each with its share.
        pools: Vec<(PoolId, u128)>,
    },
    /// A tip is offered to outbid others, with the extrinsic before it.
    #[codec(index = 10)]
    Tip {
        /// On this day: days since 1970, UTC.
        day: u64,
        /// Planck.
        planck: u128,
    },
    /// What tells this journal from others. Only the first such record counts.
    #[codec(index = 11)]
    Name([u8; 16]),
    /// A tip was not offered after all: its extrinsic has reached nobody.
    #[codec(index = 12)]
    TipReturned {
        /// The day it was counted on.
        day: u64,
        /// Planck.
        planck: u128,
    },
}

/// What became of the order to drop a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It waits no more.
    Yes,
    /// It is in an extrinsic, or about to be: only the chain ends it.
    UnderWay,
    /// It has ended.
    Ended,
    /// Nobody knows it.
    Unknown,
}

/// The outcome of a job that a person dropped.
pub const BY_OPERATOR: &str = "dropped by the operator";

/// A signed extrinsic that may have been sent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sent {
    /// BLAKE2b-256 of `bytes`.
    pub hash: Hash,
    /// Who signed.
    pub signer: AccountId,
    /// With which nonce.
    pub nonce: u32,
    /// The block whose hash is signed.
    pub birth: Height,
    /// For how many blocks.
    pub period: u32,
    /// The extrinsic, length prefix included.
    pub bytes: Vec<u8>,
    /// Whether its calls are wrapped in `Proxy.proxy`.
    pub proxied: bool,
    /// Whether its calls are wrapped in `Utility.force_batch`.
    pub batched: bool,
    /// The jobs it carries, in order, each with its number of calls.
    pub jobs: Vec<(JobId, u32)>,
}

impl Sent {
    /// Until when it may be included.
    pub fn mortality(&self) -> Result<Mortality, BadPeriod> {
        Ok(Mortality::at(self.birth, Period::new(self.period)?))
    }
}

/// The journal. Several tasks may write at once; what comes together is made durable together.
///
/// Dropping it waits for the write under way, if there is one: the file is free for the next journal then.
#[derive(Debug)]
pub struct Journal {
    image: Arc<Mutex<Image>>,
    keeper: Keeper,
}

/// Who makes records durable.
#[derive(Debug)]
enum Keeper {
    /// Nobody.
    Nobody,
    /// Whoever writes, one by one.
    Writer(Mutex<file::File>),
    /// A thread of its own, which ends without a sender.
    Thread(mpsc::Sender<Write>, JoinHandle<()>),
}

struct Write {
    records: Vec<Record>,
    done: oneshot::Sender<Result<Vec<bool>, JournalError>>,
}

/// Writes that may wait for the disk.
const WRITES_WAITING: usize = 1024;

impl Journal {
    /// A journal that is forgotten with its last owner, for tests and dry runs.
    pub fn memory() -> Arc<Self> {
        Arc::new(Self { image: Arc::default(), keeper: Keeper::Nobody })
    }

    /// Opens or creates the journal file at `path`; beside it lie a lock file and, for moments, a copy.
    ///
    /// A write that was cut off by a crash is dropped, as nobody was told that it is durable; damage anywhere else is
    /// refused.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, JournalError> {
        let (file, mut image) = file::File::open(path.as_ref())?;
        image.begin_life();
        let image = Arc::new(Mutex::new(image));
        let (writer, writes) = mpsc::channel(WRITES_WAITING);
        let shared = image.clone();
        let thread = std::thread::Builder::new()
            .name("prb-journal".into())
            .spawn(move || write_all(file, &shared, writes))
            .map_err(|error| JournalError::Io {
                path: path.as_ref().display().to_string(),
                error: format!(
                    "no thread for {}: {error}; let this user have more of them (ulimit -u)",
                    path.as_ref().display()
                ),
            })?;
        Ok(Arc::new(Self { image, keeper: Keeper::Thread(writer, thread) }))
    }

    /// Like [`Self::open`], but each write is done, one by one, by the thread that asks for it and keeps it from everything
    /// else: for tests in virtual time, which passes while another thread is waited for.
    #[doc(hidden)]
    pub fn open_inline(path: impl AsRef<Path>) -> Result<Arc<Self>, JournalError> {
        let (file, mut image) = file::File::open(path.as_ref())?;
        image.begin_life();
        let keeper = Keeper::Writer(Mutex::new(file));
        Ok(Arc::new(Self { image: Arc::new(Mutex::new(image)), keeper }))
    }

    /// Writes `records` as one, durable when it returns. The answer says of each whether it told something new:
    /// a second acceptance of a job does not.
    pub async fn write(&self, records: Vec<Record>) -> Result<Vec<bool>, JournalError> {
        match &self.keeper {
            Keeper::Nobody => Ok(self.apply(Record::Now(now()), records)),
            Keeper::Writer(file) => {
                let now = Record::Now(now());
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.append(std::iter::once(&now).chain(&records), || lock(&self.image).snapshot())?;
                Ok(self.apply(now, records))
            }
            Keeper::Thread(writer, _) => {
                let (done, answer) = oneshot::channel();
                writer.send(Write { records, done }).await.map_err(|_| JournalError::Closed)?;
                answer.await.map_err(|_| JournalError::Closed)?
            }
        }
    }

    fn apply(&self, now: Record, records: Vec<Record>) -> Vec<bool> {
        let mut image = lock(&self.image);
        image.apply(now);
        image.apply_all(records)
    }

    /// What a journal file holds, beside whoever writes it; none if there is no file.
    pub fn look(path: impl AsRef<Path>) -> Result<Option<Image>, JournalError> {
        file::look(path.as_ref())
    }

    /// Ends a job that is in no extrinsic as rejected. While a trader works on this journal, ask that: it may be about to
    /// send the job.
    pub async fn drop_job(&self, job: JobId, why: &str) -> Result<Dropped, JournalError> {
        let found = self.read(|image| match image.job(&job) {
            Some(open) if open.extrinsic.is_some() => Dropped::UnderWay,
            Some(_) => Dropped::Yes,
            None if image.past(&job).is_some() => Dropped::Ended,
            None => Dropped::Unknown,
        });
        if found != Dropped::Yes {
            return Ok(found);
        }
        let outcomes = vec![(job, Outcome::Rejected(why.to_owned()))];
        let told = self.write(vec![Record::Ended { extrinsic: None, outcomes }]).await?;
        Ok(if told == [true] { Dropped::Yes } else { Dropped::UnderWay })
    }

    /// Looks at what is known. Keep it short: writers wait.
    pub fn read<T>(&self, look: impl FnOnce(&Image) -> T) -> T {
        look(&lock(&self.image))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Keeper::Thread(writer, thread) = std::mem::replace(&mut self.keeper, Keeper::Nobody) {
            drop(writer);
            // What it panicked with was told when it did.
            let _ = thread.join();
        }
    }
}

/// The writing thread: everything that waits goes into one frame and one fsync. Ends with the last [`Journal`].
fn write_all(mut file: file::File, image: &Mutex<Image>, mut writes: mpsc::Receiver<Write>) {
    while let Some(first) = writes.blocking_recv() {
        let mut group = vec![first];
        while group.len() < WRITES_WAITING {
            let Ok(write) = writes.try_recv() else { break };
            group.push(write);
        }
        let now = Record::Now(now());
        let records = std::iter::once(&now).chain(group.iter().flat_map(|write| &write.records));
        let outcome = file.append(records, || lock(image).snapshot());
        if outcome.is_ok() {
            lock(image).apply(now);
        }
        for write in group {
            let answer = outcome.clone().map(|()| lock(image).apply_all(write.records));
            // Nobody waits for the answer any more: the record is durable all the same.
            let _ = write.done.send(answer);
        }
    }
}

/// Milliseconds since 1970, UTC, as the system's clock has it.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

fn lock(image: &Mutex<Image>) -> std::sync::MutexGuard<'_, Image> {
    // Changes of the image do not panic half-way.
    image.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the journal cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Reading or writing failed.
    #[error("{error}")]
    Io {
        /// The file.
        path: String,
        /// What cannot be done with it, what the system says, and the remedy.
        error: String,
    },
    /// Another process has it.
    #[error("{path} is in use by another trader; stop it or use another data directory")]
    Locked {
        /// The file.
        path: String,
    },
    /// Bytes in the middle do not match their checksum.
    #[error(
        "{path} is damaged at byte {at}; restore it, or remove it once the mortality of transactions under way \
         (32 blocks by default) has passed"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where.
        at: u64,
    },
    /// Not a journal, or of a newer release.
    #[error("{path} is not a journal that this release reads; upgrade prb or move the file away")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The writing thread has ended.
    #[error("journal is closed")]
    Closed,
}

#[cfg(test)]
mod tests;
