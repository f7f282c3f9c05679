//! Where each worker was over time, and what happened to it. Pure: time is an argument.
//!
//! A point is 20 bytes and an event at most 288. A worker has at most 1,800 points and 64 events; queues that grow by doubling have
//! room for 2,560 points. So a worker takes at most 70 kB, 51 of them for points, and a thousand workers 70 MB.

use super::{
    answers::{History, HistoryEvent, HistoryPoint, WorkerHeights},
    v1,
};
use prb_core::pipeline::WorkerStatus;
use std::collections::{BTreeMap, VecDeque};

/// Points at full detail: one of each look (`pace::LOOK`, ten seconds), for an hour.
const FINE: usize = 360;
/// Points of a minute each beyond that: a day in all.
const COARSE: usize = 1440;
/// Seconds of a coarse point.
const MINUTE: u32 = 60;
/// Events that are kept.
const EVENTS: usize = 64;
/// Longest text of an event, bytes.
const TEXT: usize = 240;

/// What is not known, in a point: no chain is that high.
const NONE: u32 = u32::MAX;

/// One look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    /// Unix seconds.
    at: u32,
    relay: u32,
    para: u32,
    blocks: u32,
    tip: u32,
}

/// What is known of one worker.
#[derive(Debug, Default)]
struct Past {
    fine: VecDeque<Point>,
    coarse: VecDeque<Point>,
    events: VecDeque<HistoryEvent>,
    /// The stage and the message seen last, so that only what changes is an event.
    stage: Option<&'static str>,
    /// When it was told, Unix milliseconds.
    told: u64,
}

/// Of all workers, by name.
#[derive(Debug, Default)]
pub(super) struct Histories(BTreeMap<String, Past>);

impl Histories {
    /// Takes in where the workers are at `now` (Unix seconds); `tip` is the last block that there is for them. Those that are not
    /// named are forgotten.
    pub(super) fn look(&mut self, now: u32, tip: Option<u32>, workers: &[WorkerStatus]) {
        let mut before = std::mem::take(&mut self.0);
        for status in workers {
            let name = status.worker.name.to_string();
            let mut past = before.remove(&name).unwrap_or_default();
            past.hear(now, status);
            let heights = status.info.as_ref().map(v1::heights);
            past.push(Point::of(now, tip, heights.as_ref()));
            self.0.insert(name, past);
        }
    }

    /// Takes in what has happened to workers since, without points.
    pub(super) fn hear(&mut self, now: u32, workers: &[WorkerStatus]) {
        for status in workers {
            if let Some(past) = self.0.get_mut(status.worker.name.as_str()) {
                past.hear(now, status);
            }
        }
    }

    /// What is known of a worker.
    pub(super) fn of(&self, worker: &str) -> History {
        let Some(past) = self.0.get(worker) else { return History::default() };
        History {
            points: past.coarse.iter().chain(&past.fine).map(Point::view).collect(),
            events: past.events.iter().cloned().collect(),
        }
    }
}

impl Past {
    fn hear(&mut self, now: u32, status: &WorkerStatus) {
        let stage = status.stage.name();
        if self.stage != Some(stage) {
            let text = match self.stage {
                Some(before) => format!("{before} → {stage}"),
                None => format!("seen first, {stage}"),
            };
            self.stage = Some(stage);
            self.happened(HistoryEvent { at: now.into(), stage, text });
        }
        if let Some(message) = status.last_message.as_ref().filter(|message| message.at != self.told) {
            self.told = message.at;
            self.happened(HistoryEvent { at: message.at / 1000, stage, text: shortened(&message.text) });
        }
    }

    /// A change of stage is seen, and often told as a message, too, in the same words: it is one event.
    fn happened(&mut self, event: HistoryEvent) {
        if self.events.back().is_some_and(|last| last.text == event.text && last.stage == event.stage) {
            return;
        }
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn push(&mut self, point: Point) {
        // A clock that went back would mix up what is drawn.
        let last = self.fine.back().map_or(0, |last| last.at);
        self.fine.push_back(Point { at: point.at.max(last), ..point });
        if self.fine.len() <= FINE {
            return;
        }
        let Some(oldest) = self.fine.pop_front() else { return };
        if self.coarse.back().is_none_or(|last| oldest.at >= last.at.saturating_add(MINUTE)) {
            if self.coarse.len() == COARSE {
                self.coarse.pop_front();
            }
            self.coarse.push_back(oldest);
        }
    }
}

impl Point {
    fn of(at: u32, tip: Option<u32>, heights: Option<&WorkerHeights>) -> Self {
        let known = |height: Option<u32>| height.unwrap_or(NONE);
        Self {
            at,
            relay: known(heights.and_then(|heights| heights.relay)),
            para: known(heights.and_then(|heights| heights.para)),
            blocks: known(heights.and_then(|heights| heights.blocks)),
            tip: known(tip),
        }
    }

    fn view(&self) -> HistoryPoint {
        let known = |height: u32| (height != NONE).then_some(height);
        HistoryPoint {
            at: self.at,
            relay: known(self.relay),
            para: known(self.para),
            blocks: known(self.blocks),
            tip: known(self.tip),
        }
    }
}

fn shortened(text: &str) -> String {
    let mut end = TEXT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v3::tests::seen;
    use prb_core::{id::Height, lifecycle::Stage, pipeline::Message, port::WorkerInfo};

    /// A worker whose last block is this one.
    fn at_block(block: u32) -> WorkerStatus {
        let info = WorkerInfo {
            headernum: Height(block + 101),
            para_headernum: Height(0),
            blocknum: Height(block + 1),
            ..WorkerInfo::default()
        };
        WorkerStatus { info: Some(info), ..seen("w", Stage::Syncing) }
    }

    #[test]
    fn points_are_kept_for_an_hour_and_one_a_minute_for_a_day() {
        let mut histories = Histories::default();
        let looks = 12_000;
        for look in 0..looks {
            histories.look(1000 + look * 10, Some(99_999), &[at_block(look)]);
        }
        let points = histories.of("w").points;
        let last = points.last().unwrap();
        let expected = HistoryPoint {
            at: 1000 + (looks - 1) * 10,
            relay: Some(looks + 99),
            para: None,
            blocks: Some(looks - 1),
            tip: Some(99_999),
        };
        assert_eq!(*last, expected);
        assert_eq!(points.len(), FINE + COARSE, "no more, however long it runs");
        let gap = |at: usize| points[at + 1].at - points[at].at;
        assert_eq!((gap(0), gap(COARSE - 2), gap(COARSE), gap(points.len() - 2)), (60, 60, 10, 10));
        assert!(last.at - points[0].at >= 24 * 3600, "a day and an hour");
        // A worker that is away has points without heights, and one that is gone none.
        histories.look(999_999, None, &[seen("w", Stage::Syncing)]);
        let away = histories.of("w").points.pop().unwrap();
        assert_eq!((away.blocks, away.tip), (None, None));
        histories.look(1_000_009, None, &[]);
        assert_eq!(histories.of("w"), History::default());
    }

    #[test]
    fn stages_and_messages_are_events_once_each_and_bounded() {
        let mut histories = Histories::default();
        let at = |stage, told: u32, text: &str| WorkerStatus {
            last_message: Some(Message { at: u64::from(told) * 1000, text: text.to_owned() }),
            ..seen("w", stage)
        };
        histories.hear(1, &[seen("w", Stage::Syncing)]);
        assert_eq!(histories.of("w").events, [], "nobody has looked at it");
        for (second, status) in [
            (10, seen("w", Stage::Syncing)),
            (20, at(Stage::Syncing, 19, "checkpoint taken")),
            (30, at(Stage::Syncing, 19, "checkpoint taken")),
            (40, at(Stage::Working, 19, "checkpoint taken")),
            (50, at(Stage::Working, 39, "Syncing → Working")),
        ] {
            histories.look(second, None, &[status]);
        }
        let event = |at, stage, text: &str| HistoryEvent { at, stage, text: text.to_owned() };
        assert_eq!(
            histories.of("w").events,
            [
                event(10, "Syncing", "seen first, Syncing"),
                event(19, "Syncing", "checkpoint taken"),
                event(40, "Working", "Syncing → Working"),
            ]
        );
        for second in 0..1000 {
            let text = format!("{second} {}", "ä".repeat(1000));
            histories.hear(second, &[at(Stage::Working, 100 + second, &text)]);
        }
        let events = histories.of("w").events;
        assert!(events.len() == EVENTS && events.iter().all(|event| event.text.len() <= TEXT), "{events:?}");
    }
}
