//! Looks at ingest from beside it: whether it gets on, and how far it is; whether those it asks are of the stored chain.
//!
//! A step may wait for an answer for minutes and can say nothing meanwhile, so this is not done in between.

use super::{
    Ingest,
    waiting::{Here, Notes, View},
};
use crate::{
    id::{BlockRef, Hash, Height},
    moment::Moment,
    pipeline::{Clock, events::Announcer, stalled::Stalled},
    port::{
        BlobStore, BlockSource, Cursor, Stream, Tips,
        source::{Peer, Side},
    },
    progress::{CatchUp, Course, Following, LOOK, Leg, PATIENCE, Roughly, Waiting, Word},
    span::Span,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::sleep};
use tracing::{debug, info, warn};

/// How often finalized heads are asked for.
const POLL: Duration = Duration::from_secs(6);

/// Looks after one run of an ingest.
pub(super) struct Watch {
    source: Arc<dyn BlockSource>,
    store: Arc<dyn BlobStore>,
    notes: Arc<Mutex<Notes>>,
    announcer: Announcer,
    following: watch::Sender<Following>,
    clock: Clock,
    heard: Mutex<Heard>,
}

/// What the source has told of its finalized heads.
#[derive(Default)]
struct Heard {
    tips: Option<Tips>,
    at: Moment,
}

/// What is remembered from one look to the next.
struct Memory {
    parachain: Option<bool>,
    relay: Stalled<Option<Height>>,
    changes: Stalled<Option<Height>>,
    course: CatchUp<2>,
    /// By name and chain: the head that was compared last, and what shows that it is of another fork.
    judged: BTreeMap<(Side, String), (BlockRef, Option<String>)>,
}

impl Memory {
    fn new(announcer: &Announcer) -> Self {
        Self {
            parachain: None,
            relay: Stalled::new(RELAY, announcer.clone()),
            changes: Stalled::new(CHANGES, announcer.clone()),
            course: CatchUp::default(),
            judged: BTreeMap::new(),
        }
    }
}

const RELAY: &str = "relay headers";
const CHANGES: &str = "storage changes";

impl Watch {
    pub(super) fn of(ingest: &Ingest) -> Self {
        Self {
            source: ingest.source.clone(),
            store: ingest.store.clone(),
            notes: ingest.notes.clone(),
            announcer: ingest.announcer.clone(),
            following: ingest.following.clone(),
            clock: Clock::start(),
            heard: Mutex::default(),
        }
    }

    /// Watches for as long as it is awaited.
    pub(super) async fn run(&self) {
        tokio::join!(self.listen(), self.look_on());
    }

    /// Asks for finalized heads. While ingest gets no answers there are none for this either, and it has its pauses.
    async fn listen(&self) {
        loop {
            if !locked(&self.notes).away {
                match self.source.tips().await {
                    Ok(tips) => *self.heard() = Heard { tips: Some(tips), at: self.clock.now() },
                    // Ingest meets the same and tells it; if not, the silence is told.
                    Err(cause) => debug!(%cause, "finalized heads are not known"),
                }
            }
            sleep(POLL).await;
        }
    }

    async fn look_on(&self) {
        let mut memory = Memory::new(&self.announcer);
        loop {
            // What the store cannot tell, ingest cannot do; it says so.
            if let Ok(cursor) = self.store.cursor().await {
                self.look(&mut memory, cursor.as_ref()).await;
            }
            sleep(LOOK).await;
        }
    }

    async fn look(&self, memory: &mut Memory, cursor: Option<&Cursor>) {
        if memory.parachain.is_none() {
            memory.parachain = self.store.genesis().await.ok().flatten().map(|genesis| genesis.parachain);
        }
        let here = cursor.zip(memory.parachain).map(|(cursor, parachain)| Here {
            relay: cursor.relay.height,
            para: cursor.para.map(|para| para.height),
            changes: cursor.changes,
            parachain,
        });
        let now = self.clock.now();
        let peers = self.source.peers();
        if let Some(here) = here {
            self.judge(memory, &peers, here).await;
        }
        let (tips, silent) = {
            let heard = self.heard();
            (heard.tips, now.since(heard.at))
        };
        let view = View {
            here,
            tips,
            silent,
            endpoint: self.source.endpoint(),
            peers: &peers,
            fork: fork(&memory.judged, &peers),
            notes: locked(&self.notes).clone(),
        };
        let (relay, changes) = (view.relay(), view.changes());
        let position = here.map(|here| here.relay);
        tell(RELAY, position, &relay, memory.relay.observe(position, Some(&relay)));
        let position = here.map(|here| here.changes);
        let word = memory.changes.observe(position, changes.as_ref());
        tell(CHANGES, position, changes.as_ref().unwrap_or(&relay), word);
        let fresh = tips.filter(|_| silent < PATIENCE);
        if let Some((here, tips)) = here.zip(fresh) {
            self.tell_course(&mut memory.course, now, here, tips);
        }
        let stalled = [(&memory.relay, Some(&relay)), (&memory.changes, changes.as_ref())];
        let stalled = stalled.into_iter().find_map(|(stall, waiting)| waiting.filter(|_| stall.is_told()));
        let stalled = stalled.map(Waiting::to_string);
        let following = Following { tips, source: view.endpoint, peers, stalled };
        self.following.send_if_modified(|old| {
            let differs = *old != following;
            *old = following;
            differs
        });
    }

    fn tell_course(&self, course: &mut CatchUp<2>, now: Moment, here: Here, tips: Tips) {
        let blocks = if here.parachain { tips.para } else { tips.relay };
        metrics::gauge!("prb_ingest_relay_target").set(tips.relay.0);
        metrics::gauge!("prb_ingest_changes_target").set(blocks.0);
        let legs = [
            Leg { here: here.relay, there: tips.relay },
            Leg { here: here.changes, there: blocks.max(here.blocks().unwrap_or_default()) },
        ];
        let [relay, changes] = legs.map(|leg| leg.here.0);
        match course.observe(now, legs) {
            None => {}
            Some(Course::Behind { rates, eta }) => {
                let [relay_target, changes_target] = legs.map(|leg| leg.there.0);
                let [relay_per_second, changes_per_second] = rates.map(|rate| format!("{rate:.1}"));
                let eta = eta.map_or_else(|| "unknown".to_owned(), |eta| Roughly(eta).to_string());
                info!(
                    relay,
                    relay_target,
                    relay_per_second,
                    changes,
                    changes_target,
                    changes_per_second,
                    eta,
                    "catching up"
                );
            }
            Some(Course::Reached) => info!(relay, changes, "at the tip: everything finalized is stored"),
        }
    }

    /// Compares the heads that were told with what is stored at their heights.
    async fn judge(&self, memory: &mut Memory, peers: &[Peer], here: Here) {
        memory
            .judged
            .retain(|(side, name), _| peers.iter().any(|peer| (peer.side, &peer.name) == (*side, name)));
        for peer in peers {
            let Some(head) = peer.head else { continue };
            let key = (peer.side, peer.name.clone());
            let before = memory.judged.get(&key);
            if before.is_some_and(|(judged, _)| *judged == head) {
                continue;
            }
            let Some(stored) = self.stored(peer.side, head.height, here).await else { continue };
            let found = (stored != head.hash)
                .then(|| format!("its block {} is {}, the store holds {stored}", head.height, head.hash));
            if found.is_some() || before.is_some_and(|(_, found)| found.is_some()) {
                self.source.judge(peer, found.as_deref());
            }
            memory.judged.insert(key, (head, found));
        }
    }

    /// Hash of the stored block, none where there is none.
    async fn stored(&self, side: Side, height: Height, here: Here) -> Option<Hash> {
        let (stream, last) = match side {
            Side::Para if here.parachain => (Stream::ParaHeaders, here.para?),
            _ => (Stream::RelayHeaders, here.relay),
        };
        if height > last {
            return None;
        }
        // Damage is told by whoever needs the block; what was pruned says nothing.
        let read = self.store.read(stream, Span::one(height), usize::MAX).await.ok()?;
        read.first().map(|blob| Hash::of(&blob.bytes))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        locked(&self.heard)
    }
}

/// Logs what there is to say of a stream.
fn tell(what: &'static str, height: Option<Height>, waiting: &Waiting, word: Option<Word>) {
    let height = height.map(|height| height.0);
    match word {
        None => {}
        Some(Word::Stalled(still)) => {
            let Waiting { endpoint, there, what: waiting_for, cause, remedy, .. } = waiting;
            let (there, seconds) = (there.map(|there| there.0), still.as_secs());
            warn!(endpoint, height, there, waiting_for, cause, seconds, remedy, "{what} stand still");
        }
        Some(Word::Over(after)) => info!(height, seconds = after.as_secs(), "{what} get on again"),
    }
}

/// Whoever is asked, or would be if there were nobody else, and is of another fork.
fn fork<'a>(
    judged: &'a BTreeMap<(Side, String), (BlockRef, Option<String>)>,
    peers: &'a [Peer],
) -> Option<(&'a Peer, &'a str)> {
    let found = |peer: &'a Peer| {
        let (_, found) = judged.get(&(peer.side, peer.name.clone()))?;
        Some((peer, found.as_deref()?))
    };
    let alone = |peer: &Peer| {
        peers.iter().filter(|other| other.side == peer.side).all(|other| found(other).is_some())
    };
    peers.iter().filter(|peer| peer.in_use || alone(peer)).find_map(found)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
