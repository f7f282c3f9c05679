//! Blocks: state roots, what a block means to the worker, and the messages that come of it.

use super::{Broke, Machine, decode, refused};
use crate::{
    id::{Hash, Height},
    port::worker::{BlockItem, Refusal},
    storage_key,
    testkit::toy::{self, ToyEvent},
    types::{
        header::Header,
        message::{EgressMessages, Message, MessageOrigin, SignedMessage},
        sync::{StorageChanges, StorageState},
    },
};
use codec::{Decode, Encode};

impl Machine {
    pub(in super::super) fn load_chain_state(&mut self, block: Height, state: &[u8]) -> Result<(), Broke> {
        if !self.can_load {
            return refused("Can not load chain state", Refusal::Other);
        }
        if block == Height(0) {
            return refused("Can not load chain state from block 0", Refusal::Other);
        }
        self.initialized()?;
        let pairs: StorageState = decode(state)?;
        if pairs.iter().any(|(key, _)| *key == storage_key::registry_worker(&self.key)) {
            let why = format!("Failed to load state: the worker is already registered at block {block}");
            return refused(why, Refusal::Other);
        }
        self.root = toy::pairs_root(state);
        (self.can_load, self.loaded) = (false, block);
        (self.para, self.block) = (if self.parachain { block } else { Height(0) }, block.next());
        Ok(())
    }

    pub(in super::super) fn dispatch(&mut self, blocks: &[BlockItem]) -> Result<Option<Height>, Broke> {
        self.initialized()?;
        for item in blocks {
            let header: Header = decode(&item.header)?;
            if header.height() < self.block {
                continue;
            }
            if header.height() != self.block {
                return refused("BlockNumberMismatch", Refusal::OutOfStep);
            }
            let changes: StorageChanges = decode(&item.changes)?;
            self.apply(&changes, &item.changes)?;
        }
        Ok(self.block.prev())
    }

    fn apply(&mut self, changes: &StorageChanges, encoded: &[u8]) -> Result<(), Broke> {
        let block = self.block;
        let mismatch = |at: u32, expected: Hash, actual: Hash| {
            let why = format!("StateRootMismatch block={at} expected={expected} actual={actual}");
            refused(why, Refusal::BadData)
        };
        if !self.validated {
            let Some(first) = self.roots.front().copied() else {
                return refused("NoStateRoot", Refusal::OutOfStep);
            };
            if first != self.root {
                return mismatch(block.0 - 1, first, self.root);
            }
            self.roots.pop_front();
            self.validated = true;
        }
        let Some(expected) = self.roots.front().copied() else {
            return refused("NoStateRoot", Refusal::OutOfStep);
        };
        let actual = toy::next_root(self.root, encoded);
        if actual != expected {
            return mismatch(block.0, expected, actual);
        }
        self.roots.pop_front();
        (self.root, self.block) = (actual, block.next());
        self.follow(block, changes);
        Ok(())
    }

    /// What the block means to the worker.
    fn follow(&mut self, block: Height, changes: &StorageChanges) {
        let value = |key: Vec<u8>| {
            let found = changes.main_storage_changes.iter().find(|(changed, _)| *changed == key);
            found.and_then(|(_, value)| value.as_deref())
        };
        if let Some(mut time) = value(storage_key::timestamp_now()) {
            self.time = u64::decode(&mut time).unwrap_or_default();
        }
        for (origin, (_, queue)) in &mut self.egress {
            let taken = value(storage_key::offchain_ingress(origin))
                .and_then(|mut value| u64::decode(&mut value).ok())
                .unwrap_or_default();
            queue.retain(|message| message.sequence >= taken);
        }
        let events = value(toy::events_key())
            .and_then(|mut value| Vec::<ToyEvent>::decode(&mut value).ok())
            .unwrap_or_default();
        let own = MessageOrigin::Worker(self.key);
        for event in events {
            match event {
                ToyEvent::Registered { worker, benchmark } if worker == self.key => {
                    self.registered = true;
                    self.benchmark = benchmark.then_some(block).or(self.benchmark);
                }
                ToyEvent::Started(worker) if worker == self.key => self.working = true,
                ToyEvent::Stopped(worker) if worker == self.key => self.working = false,
                ToyEvent::Challenge if self.registered && self.working => {
                    self.say(own.clone(), toy::CHAT_TOPIC, block.encode());
                }
                ToyEvent::Speak(sender, messages) if sender == own || self.others.contains(&sender) => {
                    for number in 0..messages {
                        self.say(sender.clone(), toy::CHAT_TOPIC, (block, number).encode());
                    }
                }
                _ => {}
            }
        }
        if self.benchmark.is_some_and(|since| block.since(since) >= toy::BENCHMARK_BLOCKS) {
            self.benchmark = None;
            self.say(own, toy::BENCHMARK_TOPIC, 1000u32.encode());
        }
    }

    fn say(&mut self, sender: MessageOrigin, topic: &[u8], payload: Vec<u8>) {
        let (next, queue) = self.egress.entry(sender.clone()).or_default();
        let message = Message { sender, destination: topic.to_vec(), payload };
        let mut signed = SignedMessage { message, sequence: *next, signature: Vec::new() };
        toy::sign(&mut signed);
        queue.push_back(signed);
        *next += 1;
    }

    pub(in super::super) fn egress_messages(&self) -> EgressMessages {
        self.egress
            .iter()
            .map(|(origin, (_, queue))| (origin.clone(), queue.iter().cloned().collect()))
            .collect()
    }
}
