//! Ranges of heights.

use crate::id::Height;
use codec::{Decode, Encode};
use std::fmt;

/// A non-empty range of heights, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Span {
    first: Height,
    last: Height,
}

impl Span {
    /// `first..=last`, none if that is empty.
    pub const fn new(first: Height, last: Height) -> Option<Self> {
        if first.0 <= last.0 { Some(Self { first, last }) } else { None }
    }

    /// The range of one block.
    pub const fn one(height: Height) -> Self {
        Self { first: height, last: height }
    }

    /// Lowest height of the range.
    pub const fn first(self) -> Height {
        self.first
    }

    /// Highest height of the range.
    pub const fn last(self) -> Height {
        self.last
    }

    /// How many blocks it holds, at least one.
    pub const fn count(self) -> u64 {
        (self.last.0 - self.first.0) as u64 + 1
    }

    /// Whether `height` lies in it.
    pub fn contains(self, height: Height) -> bool {
        self.first <= height && height <= self.last
    }

    /// Whether all of `other` lies in it.
    pub fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// At most the first `count` blocks of it (at least one).
    pub fn take(self, count: u32) -> Self {
        Self { first: self.first, last: self.last.min(self.first + count.saturating_sub(1)) }
    }

    /// Its heights in ascending order.
    pub fn heights(self) -> impl DoubleEndedIterator<Item = Height> {
        (self.first.0..=self.last.0).map(Height)
    }

    /// The part of it after its first `count` blocks, if any is left.
    pub fn skip(self, count: u32) -> Option<Self> {
        Self::new(Height(self.first.0.checked_add(count)?), self.last)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}
