//! Something that may stand still, as everybody is told of it. Whoever looks at it logs that in its own words.

use super::{
    Clock,
    events::{Announcer, Event},
};
use crate::progress::{Stall, Waiting, Word};
use tracing::info;

/// What stands still, or does not, where `P` is how far it is. Gone, it stands still no longer: nobody is left who would
/// find out that it is over.
pub(super) struct Stalled<P: Copy + Default + PartialEq> {
    what: &'static str,
    stall: Stall<P>,
    announcer: Announcer,
    clock: Clock,
}

impl<P: Copy + Default + PartialEq> Stalled<P> {
    pub(super) fn new(what: &'static str, announcer: Announcer) -> Self {
        Self { what, stall: Stall::default(), announcer, clock: Clock::start() }
    }

    /// How far it is, and what it waits for, none where it has what there is. What to log now; all others are told.
    pub(super) fn observe(&mut self, position: P, waiting: Option<&Waiting>) -> Option<Word> {
        let word = self.stall.observe(self.clock.now(), position, waiting)?;
        match (word, waiting) {
            (Word::Stalled(_), Some(waiting)) => {
                self.announcer.tell(Event::Stalled { what: self.what, cause: waiting.to_string() });
                metrics::gauge!("prb_stalled", "what" => self.what).set(1.0);
            }
            _ => self.tell_over(),
        }
        Some(word)
    }

    /// Whether it was told, and its end was not.
    pub(super) const fn is_told(&self) -> bool {
        self.stall.is_told()
    }

    fn tell_over(&self) {
        self.announcer.tell(Event::Resumed { what: self.what });
        metrics::gauge!("prb_stalled", "what" => self.what).set(0.0);
    }
}

impl<P: Copy + Default + PartialEq> Drop for Stalled<P> {
    fn drop(&mut self) {
        if let Some(after) = self.stall.end(self.clock.now()) {
            info!(what = self.what, seconds = after.as_secs(), "nobody waits for it any longer");
            self.tell_over();
        }
    }
}
