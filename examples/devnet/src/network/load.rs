//! Signed transactions of the parachain, and load made of them.

use sp_core::{Pair as _, sr25519};

use crate::chain::{Chain, StateError};
use crate::runtime::para::{Act, Edition, RuntimeCall, Signing};
use crate::runtime::{AccountId, UNIT, load_pair, para};

/// Most accounts that send.
const MAX_SENDERS: u32 = 32;

/// How many load accounts `per_block` transfers use.
fn senders(per_block: u32) -> u32 {
    per_block.min(MAX_SENDERS)
}

/// How many load accounts there must be for the transfers and a crowd.
pub(super) fn accounts(per_block: u32, crowd: u32) -> u32 {
    if crowd == 0 { senders(per_block) } else { MAX_SENDERS + crowd }
}

/// The senders.
#[derive(Default)]
pub(super) struct Load {
    senders: Vec<sr25519::Pair>,
}

impl Load {
    /// Transfers for the next block of `chain`, each to the sender's neighbour, so that money goes round.
    pub(super) fn transfers(&mut self, chain: &Chain, edition: &Edition, per_block: u32) -> Vec<Vec<u8>> {
        if per_block == 0 {
            return Vec::new();
        }
        let Ok(version) = chain.runtime_version(None) else { return Vec::new() };
        let senders = senders(per_block);
        while self.senders.len() < senders as usize {
            self.senders.push(load_pair(self.senders.len() as u32));
        }
        let who: Vec<_> = self.senders.iter().map(|pair| AccountId::new(pair.public().0)).collect();
        // Read anew for every block: a transfer that was left out must not stop the sender for good.
        let nonce = |who| chain.call_typed("AccountNonceApi_account_nonce", who, None).unwrap_or(0);
        let mut nonces: Vec<u32> = who.iter().map(nonce).collect();
        (0..per_block)
            .map(|index| {
                let sender = (index % senders) as usize;
                let act = Act::Transfer { dest: who[(sender + 1) % who.len()].clone(), value: UNIT };
                let signing = Signing {
                    version: &version,
                    genesis: chain.genesis_hash(),
                    signer: &self.senders[sender],
                    nonce: nonces[sender],
                    tip: 0,
                };
                nonces[sender] += 1;
                (edition.sign)(&signing, act)
            })
            .collect()
    }
}

/// Strangers whose transactions fill the pool: each always has one there, with a tip that puts it before others.
#[derive(Default)]
pub(super) struct Crowd {
    /// How many there are.
    pub(super) size: u32,
    pairs: Vec<sr25519::Pair>,
}

/// Tip of a stranger's transaction.
const CROWD_TIP: u128 = UNIT;

impl Crowd {
    /// So many strangers.
    pub(super) fn of(size: u32) -> Self {
        Self { size, pairs: Vec::new() }
    }

    /// Puts the next transaction of every stranger into the pool of `chain`. What the pool does not take is left.
    pub(super) fn fill(&mut self, chain: &Chain, edition: &Edition) {
        let Ok(version) = chain.runtime_version(None) else { return };
        while self.pairs.len() < self.size as usize {
            self.pairs.push(load_pair(MAX_SENDERS + self.pairs.len() as u32));
        }
        for signer in self.pairs.iter().take(self.size as usize) {
            let account = AccountId::new(signer.public().0);
            let Ok(nonce) = chain.call_typed("AccountNonceApi_account_nonce", &account, None) else { return };
            let genesis = chain.genesis_hash();
            let signing = Signing { version: &version, genesis, signer, nonce, tip: CROWD_TIP };
            let _ = chain.submit((edition.sign)(&signing, Act::Transfer { dest: account, value: UNIT }));
        }
    }
}

/// The complete extrinsic of a call to the first runtime: immortal, signed for the version of `chain`'s best block.
pub fn sign_para_call(
    chain: &Chain,
    signer: &sr25519::Pair,
    nonce: u32,
    tip: u128,
    call: impl Into<RuntimeCall>,
) -> Result<Vec<u8>, StateError> {
    let version = &chain.runtime_version(None)?;
    Ok(para::sign(&Signing { version, genesis: chain.genesis_hash(), signer, nonce, tip }, call.into()))
}
