//! How fast workers get on, from looks at them now and then. Pure: time is an argument.

use prb_core::{id::Height, moment::Moment, progress::Leg};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// How often they are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(10);

/// Looks that are remembered: a minute.
const KEPT: usize = 7;

/// Where each worker was lately, by name.
#[derive(Debug, Default)]
pub(super) struct Pace(BTreeMap<String, VecDeque<(Moment, Height)>>);

impl Pace {
    /// Takes in where the workers are; those that are not named are forgotten.
    pub(super) fn look(&mut self, now: Moment, workers: impl IntoIterator<Item = (String, Height)>) {
        let mut before = std::mem::take(&mut self.0);
        for (name, height) in workers {
            let mut looks = before.remove(&name).unwrap_or_default();
            // One that began anew says nothing of its pace before.
            if looks.back().is_some_and(|(_, last)| *last > height) {
                looks.clear();
            }
            if looks.len() == KEPT {
                looks.pop_front();
            }
            looks.push_back((now, height));
            self.0.insert(name, looks);
        }
    }

    /// How long a worker needs for what is left, none if that is not to be seen.
    pub(super) fn eta(&self, name: &str, leg: Leg) -> Option<Duration> {
        if leg.left() == 0 {
            return Some(Duration::ZERO);
        }
        let looks = self.0.get(name)?;
        let ((since, from), (until, to)) = (looks.front()?, looks.back()?);
        let passed = until.since(*since).as_secs_f64();
        leg.eta(f64::from(to.since(*from)) / passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn what_is_left_takes_as_long_as_the_pace_of_the_last_minute_says() {
        let leg = |here, there| Leg { here: Height(here), there: Height(there) };
        let mut pace = Pace::default();
        assert_eq!(pace.eta("w", leg(10, 10)), Some(Duration::ZERO), "nothing is left");
        assert_eq!(pace.eta("w", leg(0, 10)), None, "nobody has looked");
        for (second, height) in [(0, 0), (10, 100), (20, 200)] {
            pace.look(at(second), [("w".to_owned(), Height(height)), ("slow".to_owned(), Height(5))]);
        }
        assert_eq!(pace.eta("w", leg(200, 1200)), Some(Duration::from_secs(100)));
        assert_eq!(pace.eta("slow", leg(5, 10)), None, "it stands still");
        pace.look(at(30), [("w".to_owned(), Height(0))]);
        assert_eq!(
            (pace.eta("w", leg(0, 10)), pace.eta("slow", leg(5, 10))),
            (None, None),
            "began anew, and gone"
        );
        for second in 4..100 {
            pace.look(at(10 * second), [("w".to_owned(), Height(second as u32))]);
        }
        assert_eq!(pace.0["w"].len(), KEPT);
    }
}
