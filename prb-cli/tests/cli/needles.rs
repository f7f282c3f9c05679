//! Looks for secrets in whatever a program has left behind, however they are written there.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

/// A form of a piece of a secret.
struct Needle {
    secret: &'static str,
    form: &'static str,
    bytes: Vec<u8>,
}

/// Secrets to look for.
#[derive(Default)]
pub struct Needles {
    needles: Vec<Needle>,
    /// By their first bytes.
    starts: HashMap<[u8; START], Vec<usize>>,
    /// Which hashes of first bytes there are.
    hashes: Vec<bool>,
}

const START: usize = 4;

/// Secrets are looked for in pieces of this length, so that half of one is found as well.
const PIECE: usize = 16;

impl Needles {
    /// A secret that is a text.
    pub fn text(&mut self, secret: &'static str, text: &str) {
        self.bytes(secret, text.as_bytes());
    }

    /// A secret that is bytes.
    pub fn bytes(&mut self, secret: &'static str, bytes: &[u8]) {
        assert!(bytes.len() >= PIECE, "{secret}: what is short is found everywhere");
        for piece in bytes.chunks_exact(PIECE) {
            self.add(secret, "as it is", piece.to_vec());
            self.add(secret, "hex", hex::encode(piece).into_bytes());
            self.add(secret, "hex", hex::encode_upper(piece).into_bytes());
            let listed = format!("{piece:?}");
            self.add(secret, "numbers", listed.as_bytes()[1..listed.len() - 1].to_vec());
            let listed = format!("{piece:02x?}");
            self.add(secret, "hex numbers", listed.as_bytes()[1..listed.len() - 1].to_vec());
            for shift in 0..3 {
                for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                    self.add(secret, "base 64", base64_within(engine, piece, shift));
                }
            }
        }
    }

    fn add(&mut self, secret: &'static str, form: &'static str, bytes: Vec<u8>) {
        let start = *bytes.first_chunk().unwrap();
        self.hashes.resize(1 << 16, false);
        self.hashes[hash(start)] = true;
        self.starts.entry(start).or_default().push(self.needles.len());
        self.needles.push(Needle { secret, form, bytes });
    }

    /// The secrets in `hay`: how they are written there, and what is before them.
    pub fn found(&self, hay: &[u8]) -> BTreeMap<&'static str, String> {
        let mut found = BTreeMap::new();
        for (at, window) in hay.windows(START).enumerate() {
            let start: [u8; START] = window.try_into().unwrap();
            if !self.hashes[hash(start)] {
                continue;
            }
            for &index in self.starts.get(&start).into_iter().flatten() {
                let Needle { secret, form, bytes } = &self.needles[index];
                if hay[at..].starts_with(bytes) {
                    let before = String::from_utf8_lossy(&hay[at.saturating_sub(200)..at]);
                    found.entry(*secret).or_insert_with(|| format!("{form}, after {before:?}"));
                }
            }
        }
        found
    }
}

fn hash(start: [u8; START]) -> usize {
    (u32::from_le_bytes(start).wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// What a base 64 text holds of `piece` alone, where so many bytes (modulo 3) stand before it.
fn base64_within(engine: &impl Engine, piece: &[u8], shift: usize) -> Vec<u8> {
    let text = engine.encode([&[0; 3][..shift], piece].concat());
    let (from, to) = ((8 * shift).div_ceil(6), 8 * (shift + piece.len()) / 6);
    text.as_bytes()[from..to].to_vec()
}

/// Everything that was seen, by what it is.
#[derive(Default)]
pub struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    pub fn add(&mut self, what: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.push((what.into(), content.into()));
    }

    pub fn debug(&mut self, what: &str, value: &impl Debug) {
        self.add(what, format!("{value:?} {value:#?}"));
    }

    /// Fails where a secret is, but for the places (by the end of what they are) where it belongs. There it must be, or
    /// nothing says that the search would find it.
    pub fn judge(&self, needles: &Needles, belongs: &[(&str, &str)]) {
        let mut missing = belongs.to_vec();
        for (what, content) in &self.0 {
            for (secret, how) in needles.found(content) {
                let is_here = |(place, of): &(&str, &str)| what.ends_with(place) && *of == secret;
                missing.retain(|belongs| !is_here(belongs));
                assert!(belongs.iter().any(is_here), "{what} shows {secret}: {how}");
            }
        }
        assert_eq!(missing, [], "not found where it is");
    }

    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, content)| content.len()).sum()
    }
}

#[test]
fn a_planted_secret_is_found_however_it_is_written_and_nothing_else_is() {
    let half = |byte: u8| prb_core::id::Hash::of(&[byte]).0;
    let key = [half(1), half(2)].concat();
    let word = "swordfish of the deep";
    let mut needles = Needles::default();
    needles.bytes("key", &key);
    needles.text("word", word);
    let noise: Vec<u8> = (3..=255).flat_map(half).collect();
    for text in [noise.clone(), hex::encode(&noise).into_bytes(), format!("{noise:?}").into_bytes()] {
        assert_eq!(needles.found(&text), BTreeMap::new());
    }

    for (secret, content) in
        [("key", &key[..]), ("key", &key[..16]), ("key", &key[32..]), ("word", word.as_bytes())]
    {
        for before in 0..4 {
            let message = [&b"pre-"[..before], content, b"more"].concat();
            let written = [
                message.clone(),
                hex::encode(&message).into_bytes(),
                hex::encode_upper(&message).into_bytes(),
                format!("{message:?}").into_bytes(),
                format!("{message:02x?}").into_bytes(),
                base64::engine::general_purpose::STANDARD.encode(&message).into_bytes(),
                base64::engine::general_purpose::URL_SAFE.encode(&message).into_bytes(),
            ];
            for text in written {
                let hay = [&noise[..3000], &text, &noise[..3000]].concat();
                let found = needles.found(&hay);
                assert_eq!(found.keys().collect::<Vec<_>>(), [&secret], "{}", String::from_utf8_lossy(&text));
            }
        }
    }
}

#[test]
#[should_panic(expected = "the log shows word: as it is")]
fn a_secret_in_the_wrong_place_is_told() {
    let mut needles = Needles::default();
    needles.text("word", "swordfish of the deep");
    let mut seen = Seen::default();
    seen.add("prb.toml", "it is swordfish of the deep");
    seen.judge(&needles, &[("prb.toml", "word")]);
    seen.add("the log", "it is swordfish of the deep");
    seen.judge(&needles, &[("prb.toml", "word")]);
}

#[test]
#[should_panic(expected = "not found where it is")]
fn a_search_that_finds_nothing_where_something_is_fails() {
    let mut needles = Needles::default();
    needles.text("word", "swordfish of the deep");
    Seen::default().judge(&needles, &[("prb.toml", "word")]);
}
