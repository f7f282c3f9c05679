//! A parachain node: a pool, blocks of which the newest may be taken back, and the RPC methods that prb uses.

use super::{
    extrinsic::{self, Events, Extrinsic, hexed, language},
    tally::Tally,
};
use codec::{DecodeAll, Encode};
use futures::{StreamExt, channel::mpsc, stream::BoxStream};
use prb_chain::trader::{NodeError, TxStatus};
use prb_core::{
    id::{AccountId, BlockRef, Hash, Height},
    port::CallResult,
    storage_key,
    testkit::{Dice, FakeChain},
    tx::Call,
    types::header::Header,
};
use prb_devnet::runtime::para;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

/// Most blocks that are built and not finalized.
const UNFINALIZED: u32 = 4;

/// A block as its node knows it.
#[derive(Clone)]
pub struct Body {
    pub at: BlockRef,
    /// With what became of their calls.
    pub extrinsics: Vec<(Extrinsic, Vec<CallResult>)>,
    /// After it.
    nonces: BTreeMap<AccountId, u32>,
    events: Vec<u8>,
}

/// Clones are the same node.
#[derive(Clone)]
pub struct Node {
    pub chain: FakeChain,
    genesis: Hash,
    accounts: BTreeMap<String, AccountId>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    dice: Dice,
    tally: Tally,
    bodies: BTreeMap<Hash, Body>,
    pool: BTreeMap<(AccountId, u32), Extrinsic>,
    /// Refused until this height.
    banned: BTreeMap<Hash, Height>,
    watchers: Vec<(Hash, mpsc::UnboundedSender<TxStatus>)>,
    /// Blocks for which no author takes anything in.
    drought: u32,
}

impl Node {
    pub fn new(chain: FakeChain, accounts: &[AccountId], seed: u64, tally: Tally) -> Self {
        let at = chain.best();
        let body = Body { at, extrinsics: vec![], nonces: BTreeMap::new(), events: vec![0] };
        let inner = Inner {
            dice: Dice::new(seed),
            tally,
            bodies: BTreeMap::from([(at.hash, body)]),
            pool: BTreeMap::new(),
            banned: BTreeMap::new(),
            watchers: vec![],
            drought: 0,
        };
        let address = |account: &AccountId| subxt::utils::AccountId32(account.0).to_string();
        let accounts = accounts.iter().map(|account| (address(account), *account)).collect();
        Self { chain, genesis: at.hash, accounts, inner: Arc::new(Mutex::new(inner)) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn finalized(&self) -> Height {
        self.chain.tips().para
    }

    /// A block that is finalized.
    pub fn body(&self, height: Height) -> Body {
        self.inner().bodies[&self.chain.block_at(height).unwrap().hash].clone()
    }

    /// Transactions of the account in finalized blocks.
    pub fn nonce(&self, account: &AccountId) -> u32 {
        self.body(self.finalized()).nonces.get(account).copied().unwrap_or(0)
    }

    /// Time goes on by one relay block.
    pub fn step(&self, restless: bool) {
        let mut inner = self.inner();
        if restless {
            inner.trouble(self);
        }
        let authors = if restless { inner.dice.below(3) } else { 1 };
        for _ in 0..authors {
            if self.chain.best().height.since(self.finalized()) < UNFINALIZED {
                inner.author(self, restless);
            }
        }
        let before = self.finalized();
        self.chain.advance(1);
        for height in before.0 + 1..=self.finalized().0 {
            let at = self.chain.block_at(Height(height)).unwrap();
            let hashes: Vec<Hash> =
                inner.bodies[&at.hash].extrinsics.iter().map(|(extrinsic, _)| extrinsic.hash).collect();
            for hash in hashes {
                inner.say(hash, TxStatus::Finalized(at.hash));
                inner.watchers.retain(|(watched, _)| *watched != hash);
            }
        }
    }

    /// Takes an extrinsic into the pool, or refuses it as a node does.
    pub fn give(&self, bytes: &[u8]) -> Result<(), NodeError> {
        let mut inner = self.inner();
        let best = self.chain.best();
        let extrinsic = self.read(bytes, best.height.next()).map_err(|_| {
            // To the runtime an expired era means another birth, so that the signature does not hold.
            refusal(1010, "Transaction has a bad signature")
        })?;
        let place = (extrinsic.signer, extrinsic.nonce);
        let next = inner.nonce(&best.hash, &extrinsic.signer);
        match inner.pool.get(&place) {
            _ if extrinsic.nonce < next => Err(refusal(1010, "Transaction is outdated")),
            _ if inner.banned.get(&extrinsic.hash).is_some_and(|until| best.height < *until) => {
                Err(refusal(1012, "Transaction is temporarily banned"))
            }
            Some(held) if held.hash == extrinsic.hash => Err(refusal(1013, "Already imported")),
            Some(_) => Err(refusal(1014, "Priority is too low")),
            None => {
                inner.pool.insert(place, extrinsic);
                Ok(())
            }
        }
    }

    /// An extrinsic as it may be included in block `next`.
    pub fn read(&self, bytes: &[u8], next: Height) -> Result<Extrinsic, &'static str> {
        let hash_at = |height| self.chain.block_at(height).map(|block| block.hash);
        extrinsic::read(bytes, next, self.genesis, hash_at)
    }

    /// What becomes of an extrinsic, as a node tells it.
    pub fn watch(&self, hash: Hash) -> BoxStream<'static, TxStatus> {
        let (sender, statuses) = mpsc::unbounded();
        let mut inner = self.inner();
        inner.watchers.push((hash, sender));
        inner.say(hash, TxStatus::Ready);
        statuses.boxed()
    }

    /// Takes one out of the pool, as limits do.
    pub fn drop_pooled(&self, hash: Hash) {
        self.inner().drop_pooled(hash);
    }

    /// Answers a request as a node that is `lag` finalized blocks behind.
    pub fn answer(&self, method: &str, params: &Value, lag: u32) -> Result<Value, NodeError> {
        if method == "author_submitExtrinsic" {
            let bytes = bytes_in(&params[0]);
            return self.give(&bytes).map(|()| json!(Hash::of(&bytes).to_string()));
        }
        let inner = self.inner();
        let finalized = self.chain.block_at(Height(self.finalized().0.saturating_sub(lag))).unwrap();
        let best = if lag == 0 { self.chain.best() } else { finalized };
        // Blocks that this node has, and that were not taken back.
        let named = |param: &Value| {
            let hash: Hash = param.as_str()?.parse().ok()?;
            let at = inner.bodies.get(&hash)?.at;
            (at.height <= best.height && self.chain.block_at(at.height) == Some(at)).then_some(at)
        };
        let unknown = || refusal(4003, "UnknownBlock: Header was not found in the database");
        Ok(match method {
            "chain_getBlockHash" => match params[0].as_u64() {
                None => json!(best.hash.to_string()),
                Some(number) if number > best.height.0.into() => Value::Null,
                Some(number) => {
                    json!(self.chain.block_at(Height(number as u32)).map(|block| block.hash.to_string()))
                }
            },
            "chain_getFinalizedHead" => json!(finalized.hash.to_string()),
            "chain_getHeader" => named(&params[0]).map_or(Value::Null, |at| self.header(at)),
            "chain_getBlock" => named(&params[0]).map_or(Value::Null, |at| {
                let signed = inner.bodies[&at.hash].extrinsics.iter().map(|(one, _)| hexed(&one.bytes));
                let extrinsics: Vec<String> =
                    std::iter::once(hexed(&extrinsic::inherent(at.height))).chain(signed).collect();
                json!({"block": {"header": self.header(at), "extrinsics": extrinsics}})
            }),
            "state_getRuntimeVersion" => json!({
                "specVersion": para::VERSION.spec_version,
                "transactionVersion": para::VERSION.transaction_version,
            }),
            "state_getMetadata" => language().text.clone(),
            "state_getStorage" => {
                let at = named(&params[1]).ok_or_else(unknown)?;
                json!(self.value(&inner, &bytes_in(&params[0]), at).map(|value| hexed(&value)))
            }
            "state_queryStorageAt" => {
                let at = named(&params[1]).ok_or_else(unknown)?;
                let changes: Vec<(&Value, Option<String>)> = params[0]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|key| (key, self.value(&inner, &bytes_in(key), at).map(|value| hexed(&value))))
                    .collect();
                json!([{"block": at.hash.to_string(), "changes": changes}])
            }
            "system_accountNextIndex" => {
                let account = self.accounts[params[0].as_str().unwrap()];
                let first = inner.nonce(&best.hash, &account);
                json!((first..).find(|nonce| !inner.pool.contains_key(&(account, *nonce))))
            }
            _ => return Err(refusal(-32601, "Method not found")),
        })
    }

    fn header(&self, at: BlockRef) -> Value {
        let header = Header::decode_all(&mut &self.chain.header_of(at).unwrap()[..]).unwrap();
        let logs: Vec<String> = header.digest.iter().map(|item| hexed(&item.encode())).collect();
        json!({
            "parentHash": header.parent_hash.to_string(),
            "number": format!("0x{:x}", header.number),
            "stateRoot": header.state_root.to_string(),
            "extrinsicsRoot": header.extrinsics_root.to_string(),
            "digest": {"logs": logs},
        })
    }

    fn value(&self, inner: &Inner, key: &[u8], at: BlockRef) -> Option<Vec<u8>> {
        let body = &inner.bodies[&at.hash];
        if key == storage_key::system_events() {
            return Some(body.events.clone());
        }
        if let Some(account) = self.accounts.values().find(|who| key == storage_key::system_account(who)) {
            let nonce = body.nonces.get(account).copied().unwrap_or(0);
            return Some(([nonce, 0, 1, 0], 1u128 << 60, [0u128; 3]).encode());
        }
        self.chain.value_at(at, key).flatten().map(|value| value.to_vec())
    }
}

impl Inner {
    fn nonce(&self, block: &Hash, account: &AccountId) -> u32 {
        self.bodies[block].nonces.get(account).copied().unwrap_or(0)
    }

    fn say(&mut self, hash: Hash, status: TxStatus) {
        self.watchers.retain(|(watched, sender)| *watched != hash || sender.unbounded_send(status).is_ok());
    }

    /// What happens to a network between blocks.
    fn trouble(&mut self, node: &Node) {
        if self.dice.once_in(5) {
            self.fork(node);
        }
        if self.dice.once_in(12) && !self.pool.is_empty() {
            let pooled: Vec<Hash> = self.pool.values().map(|extrinsic| extrinsic.hash).collect();
            let hash = self.dice.pick(&pooled);
            self.drop_pooled(hash);
        }
        if self.dice.once_in(20)
            && let Some((hash, _)) = self.watchers.first()
        {
            // Hints may be wrong.
            let lies = [TxStatus::Invalid, TxStatus::Dropped, TxStatus::Usurped(Hash([9; 32]))];
            let (hash, lie) = (*hash, self.dice.pick(&lies));
            self.say(hash, lie);
            self.tally.count("status", "wrong");
        }
        if self.dice.once_in(15) && !self.watchers.is_empty() {
            self.watchers.clear();
            self.tally.count("status", "stream broke off");
        }
        if self.dice.once_in(60) {
            self.drought = 8 + self.dice.below(20) as u32;
            self.tally.count("block", "authors that leave everything out");
        }
    }

    /// Others build on an older block.
    fn fork(&mut self, node: &Node) {
        let depth = 1 + self.dice.below(UNFINALIZED.into()) as usize;
        let retracted = node.chain.retract(depth);
        if retracted.is_empty() {
            return;
        }
        self.tally.count("block", "fork");
        for block in retracted {
            for (extrinsic, _) in self.bodies[&block.hash].extrinsics.clone() {
                self.say(extrinsic.hash, TxStatus::Retracted(block.hash));
                self.tally.count("transaction", "taken back by a fork");
                if self.dice.once_in(4) {
                    self.tally.count("transaction", "lost in a fork");
                } else {
                    self.pool.entry((extrinsic.signer, extrinsic.nonce)).or_insert(extrinsic);
                }
            }
        }
    }

    fn drop_pooled(&mut self, hash: Hash) {
        let Some(place) = self.pool.iter().find(|(_, held)| held.hash == hash).map(|(place, _)| *place)
        else {
            return;
        };
        let dropped = self.pool.remove(&place).unwrap();
        self.tally.count("transaction", "dropped from the pool");
        if self.dice.once_in(3) {
            self.banned.insert(hash, Height(dropped.birth.0 + 6));
        }
        if self.dice.once_in(2) {
            self.say(hash, TxStatus::Dropped);
        }
    }

    fn author(&mut self, node: &Node, restless: bool) {
        let parent = node.chain.best();
        let number = parent.height.next();
        let mut nonces = self.bodies[&parent.hash].nonces.clone();
        let mut picked: Vec<Extrinsic> = vec![];
        let most = if restless { self.dice.below(5) as usize } else { usize::MAX };
        self.drought = self.drought.saturating_sub(1);
        if self.drought == 0 {
            let accounts: BTreeSet<AccountId> = self.pool.keys().map(|(account, _)| *account).collect();
            for account in accounts {
                let next = nonces.entry(account).or_default();
                while picked.len() < most
                    && let Some(extrinsic) =
                        self.pool.get(&(account, *next)).filter(|one| number <= one.last_valid)
                {
                    picked.push(extrinsic.clone());
                    *next += 1;
                }
            }
        }
        let calls: Vec<Vec<Call>> = picked.iter().map(|extrinsic| extrinsic.calls.clone()).collect();
        let (at, results) = node.chain.author(&calls);
        let mut events = Events::default();
        let mut extrinsics = vec![];
        for (index, (extrinsic, results)) in picked.into_iter().zip(results).enumerate() {
            // The inherent comes first.
            let results = events.apply(index as u32 + 1, &extrinsic, results);
            self.say(extrinsic.hash, TxStatus::InBlock(at.hash));
            extrinsics.push((extrinsic, results));
        }
        self.pool.retain(|(account, nonce), extrinsic| {
            let used = nonces.get(account).is_some_and(|next| nonce < next);
            let expired = number >= extrinsic.last_valid;
            if expired && !used {
                self.tally.count("transaction", "expired");
            }
            !expired && !used
        });
        self.bodies.insert(at.hash, Body { at, extrinsics, nonces, events: events.encoded() });
    }
}

pub fn refusal(code: i64, data: &str) -> NodeError {
    NodeError::Refused { code, message: "refused".to_owned(), data: data.to_owned() }
}

fn bytes_in(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().and_then(|text| text.strip_prefix("0x")).unwrap()).unwrap()
}
