//! Random justifications: a sound one as the base, and what is then done to it.

#[path = "build.rs"]
mod build;

use prb_devnet::finality::Signing;
use proptest::prelude::*;
use proptest::sample::Index;

pub use build::{Case, SMALL_POINTS};

/// Keys that sign. Members are the first ones, outsiders those from [`FIRST_OUTSIDER`] on.
const KEYS: u8 = 24;
const FIRST_OUTSIDER: u8 = 16;
/// Members and outsiders with this number or a higher one have a small-order point as their id, under which
/// signatures can be made for anything without a secret, and several for one vote.
const SMALL_ORDER: u8 = 100;

/// Round and set id of all votes that are not meant to be wrong.
const ROUND: u64 = 9;
const SET_ID: u64 = 5;

#[derive(Clone, Debug)]
pub struct Recipe {
    /// Number of the first block.
    first: u32,
    /// Each block: how far back its parent is (1 = the one before), and what its digest holds.
    blocks: Vec<(usize, Vec<Item>)>,
    target: Index,
    /// Key (none: that of the position) and weight of each entry of the authority list.
    members: Vec<(Option<u8>, u64)>,
    spread: Spread,
    /// Per member: what it votes for where the spread lets it, and its place in the order of votes.
    choices: Vec<(Choice, u8)>,
    tricks: Vec<Trick>,
}

/// What members vote for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// The target, all of them.
    None,
    /// The target and its descendants.
    Above,
    /// Now and then any block, over the first one that somebody votes for.
    Wide,
}

#[derive(Clone, Debug)]
enum Choice {
    Target,
    Above(Index),
    Any(Index),
    Absent,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Other,
    PreRuntime,
    Seal,
    Updated,
    /// A GRANDPA item with no scheduled change.
    Forced,
    Garbage,
    /// A scheduled change with this delay; a byte too many follows it where `true`.
    Change(u32, bool),
}

/// What is done to the sound justification. Some of it is harmless.
#[derive(Clone, Debug)]
enum Trick {
    // Votes.
    Equivocate(Index, Index),
    Repeat(Index),
    SignAgain(Index, u8),
    Absent(Index),
    Retarget(Index, Index),
    Shift(Index, i8),
    Sign(Index, Signing),
    Claim(Index, u8),
    Outsider(u8, Index, bool),
    SmallOutsider(u8, Index),
    NoVotes,
    // Ancestries.
    Missing(Index),
    Extra(Index),
    Twice(Index),
    NoHeaders,
    Reversed,
    // What is asked.
    OtherBlock(Index),
    OtherNumber(i8),
    OtherRound,
    OtherSet,
    Weightless,
    Overflow,
    // Bytes.
    Truncate(Index),
    Flip(Index, u8),
    Insert(Index, u8),
    Append(u8),
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        3 => Just(Item::Other),
        3 => Just(Item::PreRuntime),
        3 => Just(Item::Seal),
        1 => Just(Item::Updated),
        2 => Just(Item::Forced),
        2 => Just(Item::Garbage),
        3 => any::<bool>().prop_map(|more| Item::Change(0, more)),
        1 => (1..4u32).prop_map(|delay| Item::Change(delay, false)),
    ]
}

fn trick() -> impl Strategy<Value = Trick> {
    let at = any::<Index>;
    let signing = prop_oneof![
        Just(Signing::Corrupt),
        Just(Signing::Set(SET_ID + 1)),
        Just(Signing::Round(ROUND + 1)),
        Just(Signing::Prevote)
    ];
    let shift = prop_oneof![Just(-3i8), Just(-1), Just(1), Just(2)];
    let votes = prop_oneof![
        6 => (at(), at()).prop_map(|(vote, block)| Trick::Equivocate(vote, block)),
        3 => at().prop_map(Trick::Repeat),
        2 => (at(), 1..5u8).prop_map(|(vote, point)| Trick::SignAgain(vote, point)),
        2 => at().prop_map(Trick::Absent),
        3 => (at(), at()).prop_map(|(vote, block)| Trick::Retarget(vote, block)),
        2 => (at(), shift.clone()).prop_map(|(vote, by)| Trick::Shift(vote, by)),
        3 => (at(), signing).prop_map(|(vote, signing)| Trick::Sign(vote, signing)),
        1 => (at(), 0..KEYS).prop_map(|(vote, key)| Trick::Claim(vote, key)),
        7 => (FIRST_OUTSIDER..KEYS, at(), prop::bool::weighted(0.25))
            .prop_map(|(key, block, bad)| Trick::Outsider(key, block, bad)),
        1 => (0..5u8, at()).prop_map(|(point, block)| Trick::SmallOutsider(point, block)),
    ];
    let rest = prop_oneof![
        1 => Just(Trick::NoVotes),
        2 => at().prop_map(Trick::Missing),
        3 => at().prop_map(Trick::Extra),
        2 => at().prop_map(Trick::Twice),
        1 => Just(Trick::NoHeaders),
        2 => Just(Trick::Reversed),
        2 => at().prop_map(Trick::OtherBlock),
        1 => shift.prop_map(Trick::OtherNumber),
        1 => Just(Trick::OtherRound),
        1 => Just(Trick::OtherSet),
        1 => Just(Trick::Weightless),
        1 => Just(Trick::Overflow),
        2 => at().prop_map(Trick::Truncate),
        4 => (at(), 0..8u8).prop_map(|(byte, bit)| Trick::Flip(byte, bit)),
        1 => (at(), any::<u8>()).prop_map(|(byte, value)| Trick::Insert(byte, value)),
        2 => any::<u8>().prop_map(Trick::Append),
    ];
    prop_oneof![3 => votes, 2 => rest]
}

pub fn recipe() -> impl Strategy<Value = Recipe> {
    let back = prop_oneof![5 => Just(1usize), 3 => 2..5usize];
    let digest = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(item(), 1..4)];
    let key = prop_oneof![
        12 => Just(None),
        2 => (0..8u8).prop_map(Some),
        1 => (SMALL_ORDER..SMALL_ORDER + 5).prop_map(Some)
    ];
    let weight = prop_oneof![10 => Just(1u64), 4 => 1..6u64, 1 => Just(0), 1 => Just(u64::MAX / 9)];
    let spread = prop_oneof![3 => Just(Spread::None), 4 => Just(Spread::Above), 3 => Just(Spread::Wide)];
    let choice = prop_oneof![
        8 => Just(Choice::Target),
        5 => any::<Index>().prop_map(Choice::Above),
        3 => any::<Index>().prop_map(Choice::Any),
        1 => Just(Choice::Absent),
    ];
    let tricks = prop_oneof![
        2 => prop::collection::vec(trick(), 0..=0),
        5 => prop::collection::vec(trick(), 1..=1),
        2 => prop::collection::vec(trick(), 2..=3),
    ];
    (
        prop_oneof![6 => 1..u32::MAX / 2, 1 => Just(1), 1 => Just(u32::MAX - 12)],
        prop::collection::vec((back, digest), 2..10),
        any::<Index>(),
        prop::collection::vec((key, weight), 1..9),
        spread,
        prop::collection::vec((choice, any::<u8>()), 8),
        tricks,
    )
        .prop_map(|(first, blocks, target, members, spread, choices, tricks)| Recipe {
            first,
            blocks,
            target,
            members,
            spread,
            choices,
            tricks,
        })
}
