//! Which peers there are: whom to ask next who it is, and who is listed, gone or forgotten. Decides only.

use super::{Limits, Peer, address};
use libp2p::{Multiaddr, PeerId};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

pub(super) struct Book {
    own: PeerId,
    pace: Pace,
    entries: BTreeMap<PeerId, Entry>,
}

/// How patient it is.
pub(super) struct Pace {
    room: usize,
    refresh: Duration,
    first_pause: Duration,
    longest_pause: Duration,
    forget: Duration,
}

struct Entry {
    /// Where it may be, what was heard last first.
    addresses: Vec<Multiaddr>,
    /// Where it was reached last.
    good: Option<Multiaddr>,
    /// What it answered last.
    told: Option<Peer>,
    /// Whether a question is under way.
    asking: bool,
    /// When it is asked next.
    next: Instant,
    failures: u32,
    /// When it last did not answer.
    failed: Instant,
    /// Since when it has not answered.
    silent: Instant,
    /// Whether it said it was another.
    lied: bool,
    /// Whether it takes part in the DHT.
    routes: bool,
    /// Whether it was met at the address of a boot node.
    is_boot: bool,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Found,
    Back,
    Changed,
    Same,
}

impl Pace {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            room: limits.peers,
            refresh: limits.refresh,
            first_pause: limits.first_pause,
            longest_pause: limits.longest_pause,
            forget: limits.forget,
        }
    }

    fn after(&self, failures: u32) -> Duration {
        self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest_pause)
    }
}

impl Book {
    pub(super) fn new(own: PeerId, pace: Pace) -> Self {
        Self { own, pace, entries: BTreeMap::new() }
    }

    /// Somebody says that this peer is at these addresses, which may be lies: names are not believed, as whoever is asked
    /// for them is told that this node wants to know. False if there is no room for it.
    pub(super) fn heard(&mut self, now: Instant, peer: PeerId, addresses: &[Multiaddr]) -> bool {
        self.note(now, peer, addresses.iter().filter_map(|told| address::numbered(told, &peer)).collect())
    }

    fn note(&mut self, now: Instant, peer: PeerId, addresses: Vec<Multiaddr>) -> bool {
        if peer == self.own || addresses.is_empty() {
            return true;
        }
        if !self.entries.contains_key(&peer) && !self.make_room() {
            return false;
        }
        let entry = self.entries.entry(peer).or_insert_with(|| Entry::new(now));
        let mut is_new = false;
        for told in addresses.into_iter().take(address::MOST).rev() {
            is_new |= !entry.addresses.contains(&told) && entry.good.as_ref() != Some(&told);
            entry.addresses.retain(|known| *known != told);
            entry.addresses.insert(0, told);
        }
        entry.addresses.truncate(address::MOST);
        // What it cannot be reached at may change; whether it tells the truth does not.
        if is_new && !entry.lied {
            // However often others say where it is, it is not dialled more often than after the first pause.
            let soonest =
                if entry.failures == 0 { now } else { now.max(entry.failed + self.pace.first_pause) };
            entry.next = entry.next.min(soonest);
        }
        true
    }

    /// A connection to it was opened there. That is a name for boot nodes only: no other name is dialled.
    pub(super) fn linked(&mut self, now: Instant, peer: PeerId, at: &Multiaddr) -> bool {
        let told = self.note(now, peer, address::of(at, &peer).into_iter().collect());
        if let Some(entry) = self.entries.get_mut(&peer)
            && !entry.lied
            && (entry.failures > 0 || entry.told.is_none())
        {
            entry.next = entry.next.min(now);
        }
        told
    }

    /// The last connection to it was closed.
    pub(super) fn unlinked(&mut self, now: Instant, peer: &PeerId) {
        if let Some(entry) = self.entries.get_mut(peer)
            && entry.failures == 0
            && !entry.lied
        {
            entry.next = entry.next.min(now + self.pace.first_pause / 2);
        }
    }

    /// Another one is there.
    pub(super) fn wrong(&mut self, peer: &PeerId, at: &Multiaddr) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.addresses.retain(|known| known != at);
            entry.good.take_if(|good| good == at);
        }
    }

    /// It takes part in the DHT.
    pub(super) fn routes(&mut self, peer: &PeerId) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.routes = true;
        }
    }

    /// Where it was reached last, if it takes part in the DHT and answers.
    pub(super) fn route(&self, peer: &PeerId) -> Option<&Multiaddr> {
        self.entries.get(peer).filter(|entry| entry.routes && entry.failures == 0)?.good.as_ref()
    }

    /// Where it may be: the address to try first, and all others.
    pub(super) fn addresses(&self, peer: &PeerId) -> Option<(Option<Multiaddr>, Vec<Multiaddr>)> {
        let entry = self.entries.get(peer)?;
        let others = entry.addresses.iter().filter(|address| entry.good.as_ref() != Some(address));
        Some((entry.good.clone(), others.cloned().collect()))
    }

    /// It is at the address of a boot node.
    pub(super) fn boots(&mut self, peer: &PeerId) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.is_boot = true;
        }
    }

    /// Whom to ask, those that are due for longest first, if at most so many are asked at once. Each is to be reported
    /// back as `answered`, `failed` or `lied`.
    ///
    /// A fourth of the seats is kept for peers that are known, and a fourth for others: neither those that never answer nor
    /// those that answer slowly keep the others waiting.
    pub(super) fn due(&mut self, now: Instant, seats: usize) -> Vec<PeerId> {
        let mut asking = [0; 2];
        let mut due = Vec::new();
        for (peer, entry) in &self.entries {
            if entry.asking {
                asking[usize::from(entry.is_known())] += 1;
            } else if entry.next <= now {
                due.push((entry.next, *peer));
            }
        }
        due.sort_unstable();
        let most = (seats * 3).div_ceil(4);
        let mut asked = Vec::new();
        for (_, peer) in due {
            let Some(entry) = self.entries.get_mut(&peer) else { continue };
            let kind = usize::from(entry.is_known());
            if asking[kind] < most && asking[0] + asking[1] < seats {
                asking[kind] += 1;
                entry.asking = true;
                asked.push(peer);
            }
        }
        asked
    }

    /// It said who it is.
    pub(super) fn answered(&mut self, now: Instant, told: Peer) -> News {
        let Some(entry) = self.entries.get_mut(&told.id) else { return News::Same };
        let news = match &entry.told {
            None => News::Found,
            Some(before) if !before.reachable => News::Back,
            Some(before) if *before != told => News::Changed,
            Some(_) => News::Same,
        };
        entry.good = address::of(&told.address, &told.id);
        entry.told = Some(told);
        (entry.asking, entry.failures, entry.lied) = (false, 0, false);
        (entry.next, entry.silent) = (now + self.pace.refresh, now);
        news
    }

    /// It did not say. True if it is lost by this.
    pub(super) fn failed(&mut self, now: Instant, peer: &PeerId) -> bool {
        let Some(entry) = self.entries.get_mut(peer) else { return false };
        if entry.failures == 0 {
            entry.silent = now;
        }
        (entry.asking, entry.failed) = (false, now);
        entry.failures = entry.failures.saturating_add(1);
        entry.next = now + self.pace.after(entry.failures);
        entry.told.as_mut().is_some_and(|told| std::mem::replace(&mut told.reachable, false))
    }

    /// It says it is another. True if that is told for the first time.
    pub(super) fn lied(&mut self, now: Instant, peer: &PeerId) -> bool {
        let Some(entry) = self.entries.get_mut(peer) else { return false };
        (entry.asking, entry.told) = (false, None);
        entry.next = now + self.pace.forget;
        // Kept for as long as it is heard of, so that it is told once.
        entry.silent = now;
        !std::mem::replace(&mut entry.lied, true)
    }

    /// How often in a row it has not answered.
    pub(super) fn failures(&self, peer: &PeerId) -> u32 {
        self.entries.get(peer).map_or(0, |entry| entry.failures)
    }

    /// Whether a peer was reached on this machine.
    pub(super) fn has_local(&self) -> bool {
        self.entries.values().any(|entry| entry.good.as_ref().is_some_and(address::is_local))
    }

    /// Forgets who has been silent for long: who, and whether one of them was listed.
    pub(super) fn forget(&mut self, now: Instant) -> (Vec<PeerId>, bool) {
        let forget = self.pace.forget;
        let is_over = |entry: &Entry| {
            // A liar is asked again after that time, which is told no second time.
            let patience = if entry.lied { forget * 2 } else { forget };
            !entry.asking
                && (entry.failures > 0 || entry.lied)
                && now.saturating_duration_since(entry.silent) >= patience
        };
        let over: Vec<PeerId> =
            self.entries.iter().filter(|(_, entry)| is_over(entry)).map(|(peer, _)| *peer).collect();
        let mut listed = false;
        for peer in &over {
            listed |= self.entries.remove(peer).is_some_and(|entry| entry.told.is_some());
        }
        (over, listed)
    }

    /// All that said who they are, ordered by id.
    pub(super) fn peers(&self) -> Vec<Peer> {
        self.entries.values().filter_map(|entry| entry.told.clone()).collect()
    }

    /// Those that never answered make room, those that failed most first, then those that would wait for longest.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.pace.room {
            return true;
        }
        let silent = self.entries.iter().filter(|(_, entry)| {
            let is_kept = entry.told.is_some() || entry.is_boot;
            !is_kept && !entry.asking
        });
        let worst = silent.max_by_key(|(_, entry)| (!entry.lied, entry.failures, entry.next));
        let worst = worst.map(|(peer, _)| *peer);
        worst.is_some_and(|peer| self.entries.remove(&peer).is_some())
    }
}

impl Entry {
    fn new(now: Instant) -> Self {
        Self {
            addresses: Vec::new(),
            good: None,
            told: None,
            asking: false,
            next: now,
            failures: 0,
            failed: now,
            silent: now,
            lied: false,
            routes: false,
            is_boot: false,
        }
    }

    /// Whether it answered when it was asked last, or is a boot node.
    fn is_known(&self) -> bool {
        self.is_boot || (self.told.is_some() && self.failures == 0)
    }
}

#[cfg(test)]
mod tests;
