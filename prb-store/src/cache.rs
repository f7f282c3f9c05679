//! Items that were read lately.

use bytes::Bytes;
use prb_core::{
    id::Height,
    port::{Blob, Stream},
    span::Span,
};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// What an entry costs besides its bytes.
const OVERHEAD: usize = 160;

type Key = (Stream, Height);

/// What is kept of an item.
pub(crate) trait Kept: Clone {
    /// The item itself.
    fn bytes(&self) -> &Bytes;
}

impl Kept for Bytes {
    fn bytes(&self) -> &Bytes {
        self
    }
}

/// Items, oldest out first, bounded by bytes and age.
pub(crate) struct Cache<K> {
    limit: usize,
    age: Duration,
    bytes: usize,
    items: HashMap<Key, K>,
    order: VecDeque<(Key, Instant)>,
}

impl<K: Kept> Cache<K> {
    pub(crate) fn new(limit: usize, age: Duration) -> Self {
        Self { limit, age, bytes: 0, items: HashMap::new(), order: VecDeque::new() }
    }

    /// The first items of `span` that are here and fit `max_bytes`, and what is left to ask for.
    pub(crate) fn prefix(
        &mut self,
        stream: Stream,
        span: Span,
        max_bytes: usize,
    ) -> (Vec<(Height, K)>, Option<Span>) {
        self.expire();
        let mut found = Vec::new();
        // Which heights a sparse stream has is not known here, unless one is asked for.
        if stream.is_sparse() && span.count() > 1 {
            return (found, Some(span));
        }
        let mut left = max_bytes;
        for height in span.heights() {
            let Some(item) = self.items.get(&(stream, height)) else {
                return (found, Span::new(height, span.last()));
            };
            match left.checked_sub(item.bytes().len()) {
                Some(rest) => left = rest,
                None if found.is_empty() => left = 0,
                None => break,
            }
            found.push((height, item.clone()));
        }
        (found, None)
    }

    pub(crate) fn insert(&mut self, stream: Stream, height: Height, item: K) {
        let cost = item.bytes().len() + OVERHEAD;
        let key = (stream, height);
        if cost > self.limit || self.items.contains_key(&key) {
            return;
        }
        while self.bytes + cost > self.limit && self.evict() {}
        self.bytes += cost;
        self.items.insert(key, item);
        self.order.push_back((key, Instant::now()));
        self.expire();
    }

    fn expire(&mut self) {
        while self.order.front().is_some_and(|(_, since)| since.elapsed() >= self.age) {
            self.evict();
        }
    }

    fn evict(&mut self) -> bool {
        let Some((key, _)) = self.order.pop_front() else { return false };
        if let Some(item) = self.items.remove(&key) {
            self.bytes -= item.bytes().len() + OVERHEAD;
        }
        true
    }
}

/// Appends those of `found` that fit the `left` bytes.
pub(crate) fn extend_within(blobs: &mut Vec<Blob>, found: Vec<Blob>, mut left: usize) {
    for blob in found {
        // The first of an answer may exceed its limit, which only counts if nothing came before it.
        match left.checked_sub(blob.bytes.len()) {
            Some(rest) => left = rest,
            None if blobs.is_empty() => left = 0,
            None => break,
        }
        blobs.push(blob);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &mut Cache<Bytes>, height: u32, len: usize) {
        cache.insert(Stream::Changes, Height(height), vec![0; len].into());
    }

    fn span(first: u32, last: u32) -> Span {
        Span::new(Height(first), Height(last)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn v2_f037_bytes_and_age_are_bounded() {
        let mut cache = Cache::new(10 * (100 + OVERHEAD), Duration::from_secs(60));
        for height in 0..100 {
            put(&mut cache, height, 100);
            assert!(cache.bytes <= cache.limit);
        }
        assert_eq!(cache.items.len(), 10);
        assert_eq!(cache.prefix(Stream::Changes, span(90, 99), usize::MAX).0.len(), 10);
        put(&mut cache, 100, 1 << 20);
        assert_eq!(cache.items.len(), 10, "what can never fit drives nothing out");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(cache.prefix(Stream::Changes, span(90, 99), usize::MAX).0, []);
        assert_eq!((cache.bytes, cache.items.len(), cache.order.len()), (0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_prefix_says_what_is_left() {
        let mut cache = Cache::new(1 << 20, Duration::from_secs(60));
        for height in [5, 6, 8] {
            put(&mut cache, height, 100);
        }
        let (blobs, rest) = cache.prefix(Stream::Changes, span(5, 9), usize::MAX);
        assert_eq!((blobs.len(), rest), (2, Some(span(7, 9))));
        let (blobs, rest) = cache.prefix(Stream::Changes, span(5, 9), 150);
        assert_eq!((blobs.len(), rest), (1, None), "the next would not fit");
        let (blobs, rest) = cache.prefix(Stream::Changes, span(5, 9), 0);
        assert_eq!((blobs.len(), rest), (1, None), "at least one");
        cache.insert(Stream::Justifications, Height(5), vec![0; 100].into());
        assert_eq!(cache.prefix(Stream::Justifications, span(5, 5), 0).0.len(), 1);
        assert_eq!(cache.prefix(Stream::Justifications, span(5, 9), 0), (vec![], Some(span(5, 9))));
    }
}
