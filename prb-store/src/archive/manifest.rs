//! What an archive holds.

use super::{ArchiveError, FORMAT, MAX_PLAIN, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES};
use prb_core::{
    id::{Hash, Height},
    port::{Stream, source::ChainIdentity},
    span::Span,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the archive.
    pub format: u32,
    /// Which chains.
    pub chain: Chain,
    /// Which form the storage changes have: `pha` (what blocks wrote), `diff` (what differs between states), `mixed`.
    /// They lead to the same state roots; their bytes differ.
    pub changes_form: String,
    /// Whether who exported had checked the storage changes against state roots. Who imports checks for itself.
    pub state_verified: bool,
    /// Wished size of a segment, bytes of frames.
    pub segment_bytes: u64,
    /// The genesis.
    pub genesis: Piece,
    /// By name of the stream: its segments in ascending order, without holes.
    pub streams: BTreeMap<String, Vec<Segment>>,
}

/// Which chains an archive is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Hash of relay block 0.
    #[serde(with = "text")]
    pub relay_chain: Hash,
    /// Hash of the start header.
    #[serde(with = "text")]
    pub start: Hash,
    /// Height of the start header.
    pub start_height: u32,
    /// Hash of parachain block 0.
    #[serde(with = "text")]
    pub para_genesis: Hash,
    /// Id of the parachain.
    pub para_id: u32,
    /// Whether blocks are finalized by a relay chain.
    pub parachain: bool,
}

impl Chain {
    /// As stores know it.
    pub fn identity(&self) -> ChainIdentity {
        ChainIdentity {
            relay_chain: self.relay_chain,
            start: self.start,
            para_genesis: self.para_genesis,
            para_id: self.para_id,
        }
    }
}

impl Chain {
    /// In what this is another chain than `expected`.
    pub(super) fn unlike(&self, expected: &Self) -> String {
        let hashes = [
            ("relay chain", self.relay_chain, expected.relay_chain),
            ("parachain", self.para_genesis, expected.para_genesis),
        ];
        if let Some((chain, found, expected)) = hashes.into_iter().find(|(_, one, other)| one != other) {
            return format!("block 0 of its {chain} is {found}, expected is {expected}");
        }
        let id = |chain: &Self| {
            let kind = if chain.parachain { "parachain" } else { "chain without relay chain" };
            format!(
                "{kind} {} that starts at relay block {} {}",
                chain.para_id, chain.start_height, chain.start
            )
        };
        format!("it is of {}, expected is {}", id(self), id(expected))
    }
}

/// A file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Bytes of content.
    pub plain: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE2b-256 of the file.
    #[serde(with = "text")]
    pub hash: Hash,
    /// Whether it is a zstd frame.
    pub packed: bool,
}

impl Piece {
    fn suffix(&self) -> &'static str {
        if self.packed { ".zst" } else { "" }
    }

    fn check(&self) -> Result<(), String> {
        let sound = self.plain <= MAX_PLAIN as u64
            && if self.packed { self.bytes < self.plain } else { self.bytes == self.plain };
        if sound {
            Ok(())
        } else {
            Err(format!("a file of {} bytes with {} of content", self.bytes, self.plain))
        }
    }
}

/// The items of a stream at a range of heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// First height.
    pub first: u32,
    /// Last height.
    pub last: u32,
    /// How many items: one per height, or fewer in streams that have items at some heights only.
    pub items: u64,
    /// Its file.
    #[serde(flatten)]
    pub piece: Piece,
}

impl Segment {
    /// Name of its file, relative to the archive.
    pub fn name(&self, stream: Stream) -> String {
        let hash = hex::encode(self.piece.hash.0);
        format!("{stream}/{:010}-{:010}-{hash}{}", self.first, self.last, self.piece.suffix())
    }

    /// Its heights.
    pub fn span(&self) -> Option<Span> {
        Span::new(Height(self.first), Height(self.last))
    }
}

impl Manifest {
    /// Reads a manifest, and checks everything that can be checked without its files; `place` is for errors.
    pub fn parse(place: &str, text: &[u8]) -> Result<Self, ArchiveError> {
        let malformed = |cause: String| ArchiveError::Malformed { place: place.to_owned(), cause };
        // A newer format may lay out the rest otherwise.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        if version.format > FORMAT {
            return Err(ArchiveError::NewerFormat { found: version.format });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        manifest.check().map_err(malformed)?;
        Ok(manifest)
    }

    /// Its text. Equal manifests have equal texts.
    pub fn text(&self) -> Result<String, ArchiveError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|error| ArchiveError::Backend(error.to_string()))
    }

    /// Segments of a stream.
    pub fn segments(&self, stream: Stream) -> &[Segment] {
        self.streams.get(stream.name()).map_or(&[], Vec::as_slice)
    }

    /// Heights that the segments of a stream cover.
    pub fn span(&self, stream: Stream) -> Option<Span> {
        let segments = self.segments(stream);
        Span::new(Height(segments.first()?.first), Height(segments.last()?.last))
    }

    /// The segment that `height` falls into.
    pub fn segment(&self, stream: Stream, height: Height) -> Option<&Segment> {
        let segments = self.segments(stream);
        let index = segments.partition_point(|segment| segment.last < height.0);
        segments.get(index).filter(|segment| segment.first <= height.0)
    }

    /// Name of the file with the genesis.
    pub fn genesis_name(&self) -> String {
        format!("genesis/{}{}", hex::encode(self.genesis.hash.0), self.genesis.suffix())
    }

    /// Names of all files but the manifest.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        let segments = Stream::ALL
            .into_iter()
            .flat_map(|stream| self.segments(stream).iter().map(move |segment| segment.name(stream)));
        std::iter::once(self.genesis_name()).chain(segments)
    }

    /// Bytes of all files but the manifest.
    pub fn bytes(&self) -> u64 {
        let segments = self.streams.values().flatten().map(|segment| segment.piece.bytes);
        self.genesis.bytes + segments.sum::<u64>()
    }

    fn check(&self) -> Result<(), String> {
        self.genesis.check()?;
        let wished = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&wished) {
            return Err(format!(
                "segments of {wished} bytes, allowed are {MIN_SEGMENT_BYTES} to {MAX_SEGMENT_BYTES}"
            ));
        }
        for (name, segments) in &self.streams {
            let stream =
                prb_core::wire::stream_named(name).ok_or_else(|| format!("unknown stream {name:?}"))?;
            let mut expected = first_height(stream, self.chain.start_height);
            for segment in segments {
                let span = segment.span().filter(|span| span.first() == expected);
                let span = span.ok_or_else(|| format!("{stream}: no segment begins at {expected}"))?;
                let whole = segment.items == span.count();
                if !whole && (!stream.is_sparse() || segment.items > span.count()) {
                    return Err(format!("{stream}: {} items at {span}", segment.items));
                }
                segment.piece.check()?;
                expected = span.last().0.checked_add(1).map(Height).ok_or("heights end")?;
            }
        }
        Ok(())
    }
}

/// Where a stream begins.
pub(super) fn first_height(stream: Stream, start: u32) -> Height {
    match stream {
        Stream::ParaHeaders => Height(0),
        Stream::Changes => Height(1),
        _ => Height(start).next(),
    }
}

/// Hashes as text with 0x.
mod text {
    use super::Hash;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(hash)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(plain: u64) -> Piece {
        Piece { plain, bytes: plain, hash: Hash([7; 32]), packed: false }
    }

    fn manifest() -> Manifest {
        let chain = Chain {
            relay_chain: Hash([1; 32]),
            start: Hash([2; 32]),
            start_height: 100,
            para_genesis: Hash([3; 32]),
            para_id: 2004,
            parachain: true,
        };
        let segment = |first, last, items| Segment { first, last, items, piece: piece(50) };
        let streams = BTreeMap::from([
            ("changes".to_owned(), vec![segment(1, 9, 9), segment(10, 11, 2)]),
            ("justifications".to_owned(), vec![segment(101, 200, 3)]),
        ]);
        Manifest {
            format: FORMAT,
            chain,
            changes_form: "pha".to_owned(),
            state_verified: true,
            segment_bytes: 4096,
            genesis: piece(10),
            streams,
        }
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> String {
        let mut bent = manifest();
        change(&mut bent);
        Manifest::parse("here", bent.text().unwrap().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let text = manifest().text().unwrap();
        assert_eq!(Manifest::parse("here", text.as_bytes()).unwrap(), manifest());
        assert!(text.contains("\"start\": \"0x0202"), "{text}");
    }

    #[test]
    fn what_is_another_chain_is_named_in_plain_words() {
        let one = manifest().chain;
        let cases = [
            (Chain { relay_chain: Hash([9; 32]), ..one }, "block 0 of its relay chain is 0x0909"),
            (Chain { para_genesis: Hash([9; 32]), ..one }, "block 0 of its parachain is 0x0909"),
            (Chain { para_id: 2035, ..one }, "it is of parachain 2035"),
            (Chain { start: Hash([9; 32]), ..one }, "starts at relay block 100 0x0909"),
        ];
        for (other, words) in cases {
            let error = ArchiveError::ForeignChain { found: Box::new(other), expected: Box::new(one) };
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("expected") && !text.contains('{'), "{text}");
        }
    }

    #[test]
    fn segments_are_found_by_height() {
        let manifest = manifest();
        let first = |height| manifest.segment(Stream::Changes, Height(height)).map(|segment| segment.first);
        assert_eq!([0, 1, 9, 10, 11, 12].map(first), [None, Some(1), Some(1), Some(10), Some(10), None]);
        assert_eq!(manifest.segment(Stream::ParaHeads, Height(101)), None);
        assert_eq!(manifest.span(Stream::Changes), Span::new(Height(1), Height(11)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        type Case = (&'static str, fn(&mut Manifest));
        let cases: [Case; 9] = [
            ("upgrade prb", |bent| bent.format += 1),
            ("unknown stream", |bent| drop(bent.streams.insert("../x".to_owned(), Vec::new()))),
            ("no segment begins at 10", |bent| bent.streams.get_mut("changes").unwrap()[1].first = 11),
            ("no segment begins at 1", |bent| bent.streams.get_mut("changes").unwrap()[0].first = 2),
            ("8 items", |bent| bent.streams.get_mut("changes").unwrap()[0].items = 8),
            ("101 items", |bent| bent.streams.get_mut("justifications").unwrap()[0].items = 101),
            ("segments of 1 bytes", |bent| bent.segment_bytes = 1),
            ("content", |bent| bent.genesis.plain = 1 << 40),
            ("content", |bent| bent.genesis.packed = true),
        ];
        for (why, change) in cases {
            let error = refused(change);
            assert!(error.contains(why) && error.lines().count() == 1, "{why}: {error}");
        }
        assert!(Manifest::parse("here", b"{").is_err());
        assert!(Manifest::parse("here", &b"[".repeat(1 << 20)).is_err(), "deep JSON");
    }
}
