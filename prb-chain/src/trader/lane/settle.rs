//! What became of what was sent, from finalized blocks.

use super::{AccountLane, Flight, REPEAT_AFTER, Trouble, rivals::Verdict};
use crate::{
    journal::{Record, Sent},
    trader::{chain::Unread, outcome::Wrapping},
};
use prb_core::{
    id::{BlockRef, Hash, Height, JobId, PoolId},
    port::{CallResult, Outcome},
    tx::{Fate, Seen, settle},
};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The kind of trouble that another program is.
const RIVAL: &str = "rival";

impl AccountLane {
    /// Searches the finalized blocks that are new to this lane and ends the jobs whose fate is known.
    pub(super) async fn settle(&mut self) -> Result<(), Trouble> {
        if self.flights.is_empty() {
            return Ok(());
        }
        let head = self.shared.chain.finalized(self.shared.config.poll / 2).await?;
        self.search(head.height).await?;
        if self.judged != Some(self.searched) {
            self.judge(head).await?;
            self.judged = Some(self.searched);
        }
        if self.shared.rests().is_none() {
            self.repeat(head.height).await;
        }
        Ok(())
    }

    /// Looks for the flights in finalized blocks up to `head`, as far as any of them may be included.
    async fn search(&mut self, head: Height) -> Result<(), Trouble> {
        let last = self.flights.values().map(|flight| flight.mortality.last_valid()).max().unwrap_or(head);
        while self.searched < head.min(last) {
            let height = self.searched.next();
            match self.shared.chain.block(height).await? {
                Some(block) => {
                    for (index, hash) in block.extrinsics.iter().enumerate() {
                        if let Some(flight) = self.flights.get_mut(hash) {
                            flight.found = Some((block.at, index as u32));
                        }
                    }
                }
                None => {
                    for flight in self.flights.values_mut() {
                        flight.blind |=
                            flight.mortality.birth() < height && height <= flight.mortality.last_valid();
                    }
                }
            }
            self.searched = height;
        }
        Ok(())
    }

    /// Ends what can be ended.
    async fn judge(&mut self, head: BlockRef) -> Result<(), Trouble> {
        // The nonce counts together with the blocks searched: it is read at the last of them.
        let at = match self.searched == head.height {
            true => head.hash,
            false => self.shared.chain.hash(self.searched).await?,
        };
        let nonce = self.shared.chain.nonce_after(&self.account, at).await?.unwrap_or(0);
        self.nonces.finalized(nonce);
        self.watch_rivals(nonce);
        let mut hashes: Vec<(u32, Hash)> =
            self.flights.iter().map(|(hash, flight)| (flight.sent.nonce, *hash)).collect();
        hashes.sort();
        for (_, hash) in hashes {
            let Some(flight) = self.flights.get(&hash) else { continue };
            let seen = Seen { found: flight.found.map(|(block, _)| block), searched: self.searched, nonce };
            let fate = settle(flight.sent.nonce, flight.mortality, seen);
            let mut fee = None;
            let outcomes = match fate {
                Fate::StillPossible => continue,
                Fate::Included(_) => {
                    let (outcomes, paid) = self.included(&hash).await?;
                    fee = paid;
                    outcomes
                }
                Fate::Expired | Fate::NonceTaken if flight.blind => alike(
                    &flight.sent,
                    &Outcome::Unknown(
                        "a block that may hold it is not kept by the node; ask an archive node for the account's nonce"
                            .into(),
                    ),
                ),
                Fate::Expired => alike(&flight.sent, &Outcome::Expired),
                Fate::NonceTaken => alike(
                    &flight.sent,
                    &Outcome::Rejected(format!(
                        "nonce {} of {} was used by another transaction: does another program sign with this account?",
                        flight.sent.nonce, self.account
                    )),
                ),
            };
            self.end(hash, outcomes, fate, fee).await?;
        }
        Ok(())
    }

    /// Outcomes of an extrinsic found in a finalized block, and its fee.
    async fn included(&self, hash: &Hash) -> Result<(Vec<(JobId, Outcome)>, Option<u128>), Trouble> {
        let Some((sent, (at, index))) =
            self.flights.get(hash).and_then(|flight| Some((&flight.sent, flight.found?)))
        else {
            return Ok((vec![], None));
        };
        let calls = sent.jobs.iter().map(|(_, calls)| *calls as usize).sum();
        let wrapping = Wrapping { proxied: sent.proxied, batched: sent.batched, calls };
        let Some(block) = self.shared.chain.block(at.height).await? else {
            let lost = Outcome::Unknown(format!("included in block {at}, which the node lost"));
            return Ok((alike(sent, &lost), None));
        };
        let (results, fee) = match self.shared.chain.results(&block, index, wrapping).await {
            Ok(results) => results,
            Err(Unread::Node(error)) => return Err(error.into()),
            Err(Unread::Never(why)) => return Ok((alike(sent, &Outcome::Unknown(why)), None)),
        };
        let mut results = results.into_iter();
        let share = |(job, calls): &(JobId, u32)| {
            let results: Vec<CallResult> = results.by_ref().take(*calls as usize).collect();
            (*job, Outcome::Finalized { block: at, extrinsic: *hash, results })
        };
        Ok((sent.jobs.iter().map(share).collect(), fee))
    }

    /// Writes the end of an extrinsic down and forgets it.
    async fn end(
        &mut self,
        hash: Hash,
        outcomes: Vec<(JobId, Outcome)>,
        fate: Fate,
        fee: Option<u128>,
    ) -> Result<(), Trouble> {
        let jobs = outcomes.len();
        let mut records: Vec<Record> = fee.and_then(|planck| self.paid(&hash, planck)).into_iter().collect();
        records.push(Record::Ended { extrinsic: Some(hash), outcomes });
        self.shared.journal.write(records).await?;
        self.nonces.release(&hash);
        self.flights.remove(&hash);
        let name = match fate {
            Fate::Included(_) => "finalized",
            Fate::Expired => "expired",
            Fate::NonceTaken => "nonce_taken",
            Fate::StillPossible => "open",
        };
        metrics::counter!("prb_tx_ended_total", "fate" => name).increment(1);
        match fate {
            Fate::Included(block) => {
                tracing::info!(account = %self.account, extrinsic = %hash, height = %block.height, jobs, "finalized")
            }
            _ => {
                tracing::warn!(account = %self.account, extrinsic = %hash, jobs, fate = name, "not included")
            }
        }
        Ok(())
    }

    /// What was paid for an extrinsic, shared by the calls of its pools; counted as well.
    fn paid(&self, hash: &Hash, planck: u128) -> Option<Record> {
        let jobs = &self.flights.get(hash)?.sent.jobs;
        let calls: u128 = jobs.iter().map(|(_, calls)| u128::from(*calls)).sum();
        let mut pools: BTreeMap<PoolId, u128> = BTreeMap::new();
        self.shared.journal.read(|image| {
            for (id, count) in jobs {
                let Some(job) = image.job(id) else { continue };
                *pools.entry(job.pool).or_default() += planck / calls.max(1) * u128::from(*count);
            }
        });
        // What division leaves over.
        let shared: u128 = pools.values().sum();
        if let Some(mut first) = pools.first_entry() {
            *first.get_mut() += planck.saturating_sub(shared);
        }
        for (pool, share) in &pools {
            let share = u64::try_from(*share).unwrap_or(u64::MAX);
            metrics::counter!("prb_tx_fees_planck_total", "pool" => pool.to_string()).increment(share);
        }
        Some(Record::Fee { account: self.account, planck, pools: pools.into_iter().collect() })
    }

    /// Looks for nonces that nothing of this lane used, and rests if they are many.
    fn watch_rivals(&mut self, nonce: u32) {
        let found = |flight: &&Flight| flight.found.is_some();
        let own: Vec<u32> = self.flights.values().filter(found).map(|flight| flight.sent.nonce).collect();
        let (now, rules) = (Instant::now(), self.shared.config.rivalry);
        let seen = self.rivals.observe(now, nonce, &own, rules);
        if seen.taken > 0 {
            metrics::counter!("prb_tx_nonces_taken_total").increment(seen.taken.into());
            tracing::info!(account = %self.account, nonces = seen.taken, "others signed with this account");
        }
        match seen.verdict {
            Verdict::Nothing => {}
            Verdict::Rest(rest) => {
                let text = format!("account {} is used by another program; stop one of them", self.account);
                tracing::warn!(account = %self.account, rest_seconds = rest.as_secs_f64(), "{text}");
                metrics::counter!("prb_tx_rests_total").increment(1);
                self.shared.trouble(self.account, RIVAL, Some(text));
                self.not_before = self.not_before.max(now + rest);
            }
            Verdict::Alone => {
                tracing::info!(account = %self.account, "nobody else signs with this account any more");
                self.shared.trouble(self.account, RIVAL, None);
            }
        }
    }

    /// Gives bytes that were not included for some blocks to the node again. The same bytes are the same extrinsic:
    /// this cannot make it happen twice.
    async fn repeat(&mut self, head: Height) {
        let mut due: Vec<(u32, Hash)> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.found.is_none() && head.since(flight.given) >= REPEAT_AFTER)
            .filter(|(_, flight)| head < flight.mortality.last_valid())
            .map(|(hash, flight)| (flight.sent.nonce, *hash))
            .collect();
        due.sort();
        for (nonce, hash) in due {
            let Some(flight) = self.flights.get_mut(&hash) else { continue };
            flight.given = head;
            let bytes = format!("0x{}", hex::encode(&flight.sent.bytes));
            let answer = self.shared.chain.ask("author_submitExtrinsic", json!([bytes])).await;
            // Whatever it says, blocks decide. "Already imported" is what is hoped for.
            tracing::debug!(account = %self.account, extrinsic = %hash, nonce, ?answer, "given to the node again");
        }
    }
}

/// The same outcome for all jobs of an extrinsic.
pub(super) fn alike(sent: &Sent, outcome: &Outcome) -> Vec<(JobId, Outcome)> {
    sent.jobs.iter().map(|(job, _)| (*job, outcome.clone())).collect()
}
