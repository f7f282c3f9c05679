//! What requests say, read once for all workers that get the same bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use codec::Decode;
use sp_core::H256;
use sp_crypto_hashing::twox_128;

use crate::worker::error::{Error, Result};
use crate::worker::keys;
use crate::worker::scale::{BlockHeaderWithChanges, Header, HeaderToSync, Message, StorageState};

/// Readings kept, the latest. Workers at one place get the same request within a moment.
const KEPT: usize = 256;

/// A run of headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) last: u32,
    /// The last one has a justification.
    pub(super) justified: bool,
}

/// What a light worker acts on in a block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) number: u32,
    pub(super) state_root: H256,
    /// Milliseconds, if the block sets the time.
    pub(super) time: Option<u64>,
    pub(super) messages: Vec<Message>,
    /// Storage key of an origin's sequence and the next one the chain expects, where the block changes it.
    pub(super) taken: HashMap<Vec<u8>, u64>,
}

/// One reading.
#[derive(Clone, Debug)]
enum Reading {
    Headers(Option<Run>),
    Blocks(Arc<[Block]>),
    ParaId(u32),
}

/// The latest readings by what was read.
#[derive(Default)]
pub(super) struct Readings(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_bytes: HashMap<Key, Reading>,
    order: VecDeque<Key>,
}

/// Kind and hash of what was read.
type Key = (u8, [u8; 16]);

impl Readings {
    /// A SCALE list of relay headers.
    pub(super) fn relay_headers(&self, bytes: &[u8]) -> Result<Option<Run>> {
        let read = || {
            let headers = Vec::<HeaderToSync>::decode(&mut &*bytes).map_err(Error::decode)?;
            let justified = headers.last().is_some_and(|last| last.justification.is_some());
            Ok(Reading::Headers(run(headers.iter().map(|item| item.header.number), justified)?))
        };
        match self.get(0, bytes, read)? {
            Reading::Headers(run) => Ok(run),
            _ => unreachable!("the kind is part of the key"),
        }
    }

    /// A SCALE list of parachain headers.
    pub(super) fn para_headers(&self, bytes: &[u8]) -> Result<Option<Run>> {
        let read = || {
            let headers = Vec::<Header>::decode(&mut &*bytes).map_err(Error::decode)?;
            Ok(Reading::Headers(run(headers.iter().map(|header| header.number), true)?))
        };
        match self.get(1, bytes, read)? {
            Reading::Headers(run) => Ok(run),
            _ => unreachable!("the kind is part of the key"),
        }
    }

    /// A SCALE list of blocks.
    pub(super) fn blocks(&self, bytes: &[u8]) -> Result<Arc<[Block]>> {
        let read = || {
            let blocks = Vec::<BlockHeaderWithChanges>::decode(&mut &*bytes).map_err(Error::decode)?;
            Ok(Reading::Blocks(blocks.into_iter().map(block).collect::<Result<Arc<[_]>>>()?))
        };
        match self.get(2, bytes, read)? {
            Reading::Blocks(blocks) => Ok(blocks),
            _ => unreachable!("the kind is part of the key"),
        }
    }

    /// The id in a SCALE initial state; 0 if it has none.
    pub(super) fn para_id(&self, bytes: &[u8]) -> Result<u32> {
        let read = || {
            let pairs = StorageState::decode(&mut &*bytes).map_err(Error::decode)?;
            let id = pairs.into_iter().find(|(key, _)| *key == keys::para_id());
            Ok(Reading::ParaId(id.and_then(|(_, id)| u32::decode(&mut &id[..]).ok()).unwrap_or_default()))
        };
        match self.get(3, bytes, read)? {
            Reading::ParaId(id) => Ok(id),
            _ => unreachable!("the kind is part of the key"),
        }
    }

    /// What was read of these bytes before, or what `read` reads. Whoever reads keeps others that may want the same
    /// waiting.
    fn get(&self, kind: u8, bytes: &[u8], read: impl FnOnce() -> Result<Reading>) -> Result<Reading> {
        let key = (kind, twox_128(bytes));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = kept.by_bytes.get(&key) {
            return Ok(reading.clone());
        }
        let reading = read()?;
        if kept.order.len() == KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_bytes.remove(&oldest);
        }
        kept.order.push_back(key);
        kept.by_bytes.insert(key, reading.clone());
        Ok(reading)
    }
}

/// First and last of a list of numbers that must follow one another.
fn run(numbers: impl Iterator<Item = u32>, justified: bool) -> Result<Option<Run>> {
    let mut run: Option<Run> = None;
    for number in numbers {
        match &mut run {
            None => run = Some(Run { first: number, last: number, justified }),
            Some(run) if number == run.last.wrapping_add(1) => run.last = number,
            Some(_) => return Err(Error::app("HeaderHashMismatch")),
        }
    }
    Ok(run)
}

fn block(block: BlockHeaderWithChanges) -> Result<Block> {
    let ingress = keys::plain("PhalaMq", "OffchainIngress");
    let mut read = Block {
        number: block.block_header.number,
        state_root: block.block_header.state_root,
        time: None,
        messages: Vec::new(),
        taken: HashMap::new(),
    };
    for (key, value) in block.storage_changes.main_storage_changes {
        let Some(value) = value else { continue };
        if key == keys::timestamp() {
            read.time = u64::decode(&mut &value[..]).ok();
        } else if key == keys::outbound_messages() {
            read.messages = Vec::decode(&mut &value[..])
                .map_err(|_| Error::app("Can not get mq messages from storage"))?;
        } else if key.starts_with(&ingress)
            && let Ok(next) = u64::decode(&mut &value[..])
        {
            read.taken.insert(key, next);
        }
    }
    Ok(read)
}
