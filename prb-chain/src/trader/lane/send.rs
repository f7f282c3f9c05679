//! From waiting jobs to a sent extrinsic.

use super::{AccountLane, Trouble, settle::alike};
use crate::{
    calls::{self, CallError, Runtime, Terms, extrinsic},
    journal::{Job, Record, Sent},
    keys::Operator,
    trader::{NodeError, Shared, tips::Raised},
};
use prb_core::{
    id::{AccountId, JobId, PoolId},
    port::Outcome,
    tx::{Call, CallKey, Part, Refusal, Remedy, compose},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Waiting jobs that are looked at for one batch.
const LOOK_AHEAD: usize = 512;

/// A lane without work sleeps this long at a time; new work wakes it.
const IDLE: Duration = Duration::from_secs(60);

/// Most refusals that are remembered as told: a node may put anything into their texts.
const MOST_TOLD: usize = 64;

/// What a batch is about, until it is in the journal or given up.
pub(in crate::trader) struct Claim<'a> {
    claims: &'a Mutex<BTreeSet<CallKey>>,
    keys: Vec<CallKey>,
}

impl<'a> Claim<'a> {
    /// Keeps `keys` for whoever asks, none if a batch is about one of them.
    pub(in crate::trader) fn of(claims: &'a Mutex<BTreeSet<CallKey>>, keys: Vec<CallKey>) -> Option<Self> {
        let mut taken = claims.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.iter().any(|key| taken.contains(key)) {
            return None;
        }
        taken.extend(keys.iter().cloned());
        drop(taken);
        Some(Self { claims, keys })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        self.keys.iter().for_each(|key| {
            claims.remove(key);
        });
    }
}

/// A waiting job of this lane.
struct Candidate {
    id: JobId,
    operator: Operator,
    part: Part,
}

impl AccountLane {
    /// Sends what may be sent; answers how long nothing else will be.
    pub(super) async fn send(&mut self) -> Result<Duration, Trouble> {
        let poll = self.shared.config.poll;
        loop {
            let rest = if self.flights.is_empty() { IDLE } else { poll };
            if self.shared.rests().is_some() {
                return Ok(rest);
            }
            let now = Instant::now();
            if now < self.not_before {
                return Ok(rest.min(self.not_before - now));
            }
            if self.flights.len() >= self.shared.config.in_flight.max(1) {
                return Ok(poll);
            }
            let waiting = self.candidates();
            if waiting.is_empty() {
                self.first_seen = None;
                return Ok(rest);
            }
            let picked = compose(&parts(&waiting), &self.busy(), self.limits);
            if picked.is_empty() {
                return Ok(poll);
            }
            // Company is waited for once per batch, counted from when its first job was seen.
            let since = *self.first_seen.get_or_insert(now);
            let calls: usize = picked.iter().map(|&at| waiting[at].part.calls).sum();
            let due = since + self.shared.config.window;
            if calls < self.limits.calls && now < due {
                return Ok(rest.min(due - now));
            }
            self.first_seen = None;
            let shared = self.shared.clone();
            let Some((batch, claim)) = self.claim(waiting, &shared) else { return Ok(poll) };
            let outcome = self.dispatch(batch).await;
            drop(claim);
            outcome?;
        }
    }

    /// Waiting jobs whose pools this account signs for, oldest first.
    fn candidates(&self) -> Vec<Candidate> {
        let shared = &self.shared;
        shared.journal.read(|image| {
            let mine = image.waiting().filter_map(|(id, job)| {
                let operator = shared.operators.get(job.pool)?;
                (operator.signer.account() == self.account).then(|| candidate(*id, job, operator))
            });
            mine.take(LOOK_AHEAD).collect()
        })
    }

    /// What is under way, in whatever lane: nothing about it is sent a second time.
    fn busy(&self) -> BTreeSet<CallKey> {
        self.shared.journal.read(|image| {
            let under_way = image.open().filter(|(_, job)| job.extrinsic.is_some());
            under_way.flat_map(|(_, job)| job.keys.iter().cloned()).collect()
        })
    }

    /// Picks the batch once more while no other lane does, and keeps what it is about for this lane.
    fn claim<'a>(&self, waiting: Vec<Candidate>, shared: &'a Shared) -> Option<(Vec<Candidate>, Claim<'a>)> {
        let mut claims = shared.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = self.busy();
        busy.extend(claims.iter().cloned());
        let picked = compose(&parts(&waiting), &busy, self.limits);
        if picked.is_empty() {
            return None;
        }
        let batch = pick(waiting, &picked);
        let keys: Vec<CallKey> = batch.iter().flat_map(|job| job.part.keys.iter().cloned()).collect();
        claims.extend(keys.iter().cloned());
        Some((batch, Claim { claims: &shared.claims, keys }))
    }

    /// Encodes, signs, journals and sends one batch.
    async fn dispatch(&mut self, batch: Vec<Candidate>) -> Result<(), Trouble> {
        let shared = self.shared.clone();
        let chain = &shared.chain;
        let runtime = chain.runtime().await?;
        let genesis = chain.genesis()?;
        let head = chain.finalized(self.shared.config.poll / 2).await?;
        let index = chain.next_index(&self.account).await?;

        let mut jobs = Vec::new();
        let mut encoded = Vec::new();
        let mut first = None;
        let mut messages = false;
        for candidate in &batch {
            let job = self.shared.journal.read(|image| image.job(&candidate.id).map(|job| job.calls.clone()));
            let Some(calls) = job else { continue };
            match encode_all(&calls, &runtime) {
                Ok(bytes) => {
                    jobs.push((candidate.id, bytes.len() as u32));
                    encoded.extend(bytes);
                    messages |= calls.iter().any(|call| matches!(call, Call::SyncMessage(_)));
                    first.get_or_insert(candidate);
                }
                Err(error) => self.reject(candidate.id, candidate.part.pool, error.to_string()).await?,
            }
        }
        let Some(first) = first else { return Ok(()) };
        let Some(nonce) = self.nonces.next(index) else {
            for (id, _) in jobs {
                self.reject(id, first.part.pool, "the account's nonces are used up".into()).await?;
            }
            return Ok(());
        };
        let mortality = prb_core::tx::Mortality::at(head.height, self.shared.config.period);
        let birth_hash = match mortality.birth() == head.height {
            true => head.hash,
            false => chain.hash(mortality.birth()).await?,
        };
        // Until it is written down what is offered: no two lanes spend the same rest of a day's budget.
        let tipping = match self.may_outbid() {
            true => Some(shared.tipping.lock().await),
            false => None,
        };
        let raised = self.raised_tip();
        let tip = shared.config.tip.saturating_add(raised.planck);
        let terms = Terms { nonce, mortality, birth_hash, genesis, tip };
        // A queue message sent bare is ordered by tags in the pool: one out of turn would be parked there and hold up
        // every nonce behind it. In a batch it fails on its own.
        let batched = encoded.len() > 1 || messages;
        let signed = wrap(encoded, batched, first.part.via, &runtime)
            .and_then(|call| extrinsic::sign(&call, &first.operator.signer, &runtime, &terms));
        let signed = match signed {
            Ok(signed) => signed,
            Err(error) => {
                for (id, _) in jobs {
                    self.reject(id, first.part.pool, error.to_string()).await?;
                }
                return Ok(());
            }
        };
        let sent = Sent {
            hash: signed.hash,
            signer: self.account,
            nonce,
            birth: mortality.birth(),
            period: mortality.period().blocks(),
            bytes: signed.bytes,
            proxied: first.part.via.is_some(),
            batched,
            jobs,
        };
        if self.shared.rests().is_some() {
            // Ordered while the node was asked.
            return Ok(());
        }
        let records = [Record::Sent(sent.clone())].into_iter().chain(raised.offered());
        shared.journal.write(records.collect()).await?;
        drop(tipping);
        self.board(sent.clone());
        if let Some(flight) = self.flights.get_mut(&sent.hash) {
            flight.given = head.height;
        }
        self.submit(sent, raised).await
    }

    /// Refusals that a higher tip may turn.
    fn outbid(&self) -> u32 {
        let met = |kind: &str| self.refusals.get(kind).copied().unwrap_or_default();
        met(Refusal::PriorityTooLow.kind()) + met(Refusal::PoolFull.kind())
    }

    /// Whether more than the usual tip may be offered.
    fn may_outbid(&self) -> bool {
        self.shared.config.budget.is_some() && self.outbid() > 0
    }

    /// What is offered on top of the usual tip.
    fn raised_tip(&self) -> Raised {
        let spent = |day| self.shared.journal.read(|image| image.tips_on(day));
        Raised::today(self.shared.config.budget, self.outbid(), spent)
    }

    /// Gives a journaled extrinsic to the node for the first time.
    async fn submit(&mut self, sent: Sent, raised: Raised) -> Result<(), Trouble> {
        let (hash, nonce, jobs) = (sent.hash, sent.nonce, sent.jobs.len());
        metrics::counter!("prb_tx_sent_total").increment(1);
        let answer = self.shared.chain.submit(&sent.bytes).await;
        let refusal = match &answer {
            Err(NodeError::Refused { code, message, data }) => Some(Refusal::classify(*code, message, data)),
            _ => None,
        };
        // What may have arrived counts as offered.
        if raised.planck > 0 && !refusal.as_ref().is_some_and(Refusal::proves_absence) {
            tracing::info!(account = %self.account, extrinsic = %hash, planck = raised.planck, "a higher tip is offered");
            metrics::counter!("prb_tx_tips_planck_total")
                .increment(u64::try_from(raised.planck).unwrap_or(u64::MAX));
        }
        match answer {
            Ok(statuses) => {
                tracing::info!(account = %self.account, extrinsic = %hash, nonce, jobs, "sent");
                self.listen(hash, statuses);
                self.refusals.clear();
                self.told.clear();
                self.limits = self.shared.config.limits;
                Ok(())
            }
            Err(NodeError::Refused { code, message, data }) => {
                self.refused(sent, raised, Refusal::classify(code, &message, &data)).await
            }
            // It may have arrived: blocks decide.
            Err(error) => {
                metrics::counter!("prb_tx_lost_answers_total").increment(1);
                tracing::warn!(account = %self.account, extrinsic = %hash, nonce, %error, "sent, without an answer");
                Err(error.into())
            }
        }
    }

    /// Acts on the refusal of something that no node had before.
    async fn refused(&mut self, sent: Sent, raised: Raised, refusal: Refusal) -> Result<(), Trouble> {
        let before = self.refusals.entry(refusal.kind()).or_default();
        let remedy = refusal.remedy(*before);
        *before += 1;
        metrics::counter!("prb_tx_refused_total", "reason" => refusal.kind()).increment(1);
        self.tell(&sent, &refusal, &remedy);
        if !refusal.proves_absence() && remedy != Remedy::Watch {
            // An error about something else than the extrinsic, such as a limit of the connection: it may have
            // arrived all the same.
            self.pause();
            return Ok(());
        }
        match remedy {
            Remedy::Watch => return Ok(()),
            Remedy::RefreshRuntime => {
                self.withdraw(&sent, raised).await?;
                self.shared.chain.forget_runtimes();
            }
            Remedy::RefreshNonce => {
                self.withdraw(&sent, raised).await?;
                self.shared.chain.finality_moved();
                if self.refusals.values().sum::<u32>() > 1 {
                    self.pause();
                }
            }
            Remedy::SignAgain => {
                self.withdraw(&sent, raised).await?;
                self.shared.chain.finality_moved();
                self.pause();
            }
            Remedy::BackOff => {
                self.withdraw(&sent, raised).await?;
                self.pause();
            }
            Remedy::Split => match self.limits.halved().filter(|_| sent.jobs.len() > 1) {
                Some(half) => {
                    self.withdraw(&sent, raised).await?;
                    let calls: u32 = sent.jobs.iter().map(|(_, calls)| calls).sum();
                    self.limits = half;
                    self.limits.calls = half.calls.min((calls as usize / 2).max(1));
                }
                None => self.give_up(&sent, raised, &refusal.advice()).await?,
            },
            Remedy::GiveUp(why) => self.give_up(&sent, raised, &why).await?,
        }
        Ok(())
    }

    /// Tells a refusal, and only those who look closely if it was told before.
    fn tell(&mut self, sent: &Sent, refusal: &Refusal, remedy: &Remedy) {
        const WHAT: &str = "the node refuses a transaction";
        let (account, extrinsic, nonce) = (&self.account, &sent.hash, sent.nonce);
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        if self.told.insert(format!("{refusal}: {remedy}")) {
            tracing::warn!(%account, %extrinsic, nonce, %refusal, %remedy, "{WHAT}");
        } else {
            tracing::debug!(%account, %extrinsic, nonce, %refusal, %remedy, "{WHAT}");
        }
    }

    /// Takes back what was refused: its jobs wait again, its nonce and its tip are free.
    async fn withdraw(&mut self, sent: &Sent, raised: Raised) -> Result<(), Trouble> {
        let records = [Record::Withdrawn(sent.hash)].into_iter().chain(raised.returned());
        self.shared.journal.write(records.collect()).await?;
        self.nonces.release(&sent.hash);
        self.flights.remove(&sent.hash);
        Ok(())
    }

    /// Ends the jobs of what was refused.
    async fn give_up(&mut self, sent: &Sent, raised: Raised, why: &str) -> Result<(), Trouble> {
        let outcomes = alike(sent, &Outcome::Rejected(why.to_owned()));
        let ended = Record::Ended { extrinsic: Some(sent.hash), outcomes };
        self.shared.journal.write([ended].into_iter().chain(raised.returned()).collect()).await?;
        self.nonces.release(&sent.hash);
        self.flights.remove(&sent.hash);
        self.refusals.clear();
        self.limits = self.shared.config.limits;
        Ok(())
    }

    /// Ends a job that cannot become an extrinsic.
    async fn reject(&self, job: JobId, pool: PoolId, why: String) -> Result<(), Trouble> {
        tracing::warn!(account = %self.account, %job, %pool, why, "job rejected");
        let outcomes = vec![(job, Outcome::Rejected(why))];
        self.shared.journal.write(vec![Record::Ended { extrinsic: None, outcomes }]).await?;
        Ok(())
    }

    /// Sends nothing for a while, each time longer.
    fn pause(&mut self) {
        let again = self.refusals.values().sum::<u32>().min(20);
        let pace = self.shared.config.pace;
        let until = Instant::now() + pace.first.saturating_mul(1 << again).min(pace.longest);
        self.not_before = self.not_before.max(until);
    }
}

fn candidate(id: JobId, job: &Job, operator: Operator) -> Candidate {
    let through = job.calls.iter().all(Call::through_proxy);
    let via = operator.proxied.filter(|_| through);
    let part = Part { pool: job.pool, via, calls: job.calls.len(), bytes: job.bytes, keys: job.keys.clone() };
    Candidate { id, operator, part }
}

fn parts(waiting: &[Candidate]) -> Vec<Part> {
    waiting.iter().map(|candidate| candidate.part.clone()).collect()
}

fn pick(waiting: Vec<Candidate>, picked: &[usize]) -> Vec<Candidate> {
    let chosen = waiting.into_iter().enumerate().filter(|(at, _)| picked.binary_search(at).is_ok());
    chosen.map(|(_, candidate)| candidate).collect()
}

fn encode_all(calls: &[Call], runtime: &Runtime) -> Result<Vec<Vec<u8>>, CallError> {
    calls.iter().map(|call| calls::encode(call, &runtime.metadata)).collect()
}

/// The call of an extrinsic.
fn wrap(
    mut calls: Vec<Vec<u8>>,
    batched: bool,
    via: Option<AccountId>,
    runtime: &Runtime,
) -> Result<Vec<u8>, CallError> {
    let inner = match batched {
        true => calls::force_batch(&calls, &runtime.metadata)?,
        false => calls.swap_remove(0),
    };
    match via {
        Some(real) => calls::proxy(&real, inner, &runtime.metadata),
        None => Ok(inner),
    }
}
