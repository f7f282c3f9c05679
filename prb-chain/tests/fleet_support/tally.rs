//! How often what went wrong.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

/// Faults by who met them and what they were. Clones count together.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<(&'static str, &'static str), u64>>>);

impl Tally {
    pub fn count(&self, who: &'static str, what: &'static str) {
        *self.0.lock().unwrap().entry((who, what)).or_default() += 1;
    }

    pub fn add(&self, other: &Self) {
        let mut counts = self.0.lock().unwrap();
        for (kind, count) in other.0.lock().unwrap().iter() {
            *counts.entry(*kind).or_default() += count;
        }
    }

    pub fn of(&self, who: &str, what: &str) -> u64 {
        self.0.lock().unwrap().iter().filter(|(kind, _)| **kind == (who, what)).map(|(_, count)| count).sum()
    }

    pub fn total(&self) -> u64 {
        self.0.lock().unwrap().values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for ((who, what), count) in self.0.lock().unwrap().iter() {
            let join = if before == *who { ", " } else { "\n  " };
            let name = if before == *who { String::new() } else { format!("{who}: ") };
            write!(f, "{join}{name}{what} {count}")?;
            before = who;
        }
        Ok(())
    }
}
