use super::*;
use crate::{
    id::{BlockRef, Hash, Height, WorkerKey},
    port::sink::DispatchError,
    types::message::Message,
};
use proptest::prelude::*;
use std::time::Duration;

const WORKER: MessageOrigin = MessageOrigin::Worker(WorkerKey([1; 32]));

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn job(number: u64) -> JobId {
    JobId { era: 1, number }
}

fn message(sequence: u64) -> SignedMessage {
    let message = Message { sender: WORKER, destination: b"topic".to_vec(), payload: vec![] };
    SignedMessage { message, sequence, signature: vec![0; 64] }
}

fn held(sequences: impl IntoIterator<Item = u64>) -> EgressMessages {
    vec![(MessageOrigin::Gatekeeper, vec![]), (WORKER, sequences.into_iter().map(message).collect())]
}

fn sequences(messages: &[SignedMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence).collect()
}

fn take(outbox: &mut Outbox, now: Moment, number: u64, held: &EgressMessages) -> Vec<u64> {
    let offered = sequences(&outbox.offer(now, held));
    for sequence in &offered {
        outbox.submitted(job(number), &WORKER, *sequence);
    }
    offered
}

fn end(outbox: &mut Outbox, now: Moment, number: u64, of: &[u64], outcome: &Outcome) {
    let messages: Vec<_> = of.iter().map(|sequence| Some((WORKER, *sequence))).collect();
    outbox.ended(now, job(number), &messages, outcome, None);
}

/// The chain takes `next` next, as of block `block`.
fn takes(outbox: &mut Outbox, now: Moment, next: u64, block: u32) -> Option<News> {
    outbox.chain_takes(now, &WORKER, next, Height(block))
}

fn refused(error: &str) -> CallResult {
    CallResult::Failed(DispatchError { pallet: Some("PhalaRegistry".into()), error: error.into() })
}

fn finalized(results: Vec<CallResult>) -> Outcome {
    let block = BlockRef { height: Height(1), hash: Hash::default() };
    Outcome::Finalized { block, extrinsic: Hash::default(), results }
}

fn bad_sequence() -> CallResult {
    CallResult::Failed(DispatchError { pallet: Some("PhalaMq".into()), error: "BadSequence".into() })
}

#[test]
fn messages_are_offered_in_sequence_and_only_once() {
    let mut outbox = Outbox::default();
    assert_eq!(take(&mut outbox, at(0), 1, &held(0..3)), [0, 1, 2]);
    assert_eq!(take(&mut outbox, at(0), 2, &held(0..5)), [3, 4]);
    assert!(outbox.offer(at(9), &held(0..5)).is_empty());
}

#[test]
fn what_the_chain_has_taken_is_not_offered() {
    let mut outbox = Outbox::default();
    takes(&mut outbox, at(0), 2, 1);
    assert_eq!(sequences(&outbox.offer(at(0), &held(0..4))), [2, 3]);
}

#[test]
fn nothing_is_offered_behind_a_hole() {
    let mut outbox = Outbox::default();
    takes(&mut outbox, at(0), 1, 1);
    assert!(outbox.offer(at(0), &held([2, 3])).is_empty());
}

#[test]
fn a_success_stays_under_way_until_the_chain_says_so() {
    let mut outbox = Outbox::default();
    take(&mut outbox, at(0), 1, &held(0..1));
    end(&mut outbox, at(1), 1, &[0], &finalized(vec![CallResult::Ok]));
    assert!(outbox.offer(at(1), &held(0..1)).is_empty());
    takes(&mut outbox, at(0), 1, 1);
    assert_eq!(outbox.status(&WORKER), SenderStatus { accepted: 1, ..SenderStatus::default() });
}

#[test]
fn a_failure_is_offered_again_after_its_pause_once_all_behind_it_ended() {
    let mut outbox = Outbox::default();
    take(&mut outbox, at(0), 1, &held(0..2));
    take(&mut outbox, at(0), 2, &held(0..3));
    end(&mut outbox, at(1), 1, &[0, 1], &Outcome::Expired);
    assert!(outbox.offer(at(60), &held(0..3)).is_empty(), "sequence 2 is still under way");
    end(&mut outbox, at(60), 2, &[2], &Outcome::Expired);
    assert!(outbox.offer(at(60), &held(0..3)).is_empty(), "pause");
    assert_eq!(take(&mut outbox, at(100), 3, &held(0..3)), [0, 1, 2]);
}

/// A message that the chain refuses, for a day: what is sent, and when.
#[test]
fn x12_a_poison_message_costs_one_fee_ever_more_rarely_and_is_told_once() {
    let mut outbox = Outbox::default();
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    for second in 0..24 * 3600 {
        let of = take(&mut outbox, at(second), second, &held(0..50));
        if of.is_empty() {
            continue;
        }
        let mut results = vec![bad_sequence(); of.len()];
        results[0] = refused("InvalidSignature");
        let messages: Vec<_> = of.iter().map(|sequence| Some((WORKER, *sequence))).collect();
        told.extend(outbox.ended(at(second), job(second), &messages, &finalized(results), None));
        sent.push((second, of.len()));
    }
    assert_eq!(sent[0], (0, 50));
    assert_eq!(sent[1], (4, 1), "after 4 s, and only the message that fails");
    assert!(sent[1..].iter().all(|(_, messages)| *messages == 1), "each try is one fee: {sent:?}");
    assert!(sent.len() < 110, "{} tries in a day", sent.len());
    assert!(sent.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 900), "never given up: {sent:?}");
    assert!(
        matches!(&told[..], [News::Trouble { sequence: 0, cause, .. }] if cause.contains("InvalidSignature")),
        "{told:?}"
    );
    assert_eq!(takes(&mut outbox, at(100_000), 1, 9), Some(News::Recovered { sender: WORKER }));
    assert_eq!(take(&mut outbox, at(100_000), 1, &held(0..50)).len(), 49, "all that waited, at once");
}

#[test]
fn x12_a_bad_sequence_is_no_failure_and_is_followed_by_a_look_at_the_chain() {
    let mut outbox = Outbox::default();
    take(&mut outbox, at(0), 1, &held(0..3));
    end(&mut outbox, at(1), 1, &[0, 1, 2], &finalized(vec![bad_sequence(); 3]));
    let status = outbox.status(&WORKER);
    assert_eq!((status.failures, status.paid_failures, status.trouble), (0, 0, None));
    assert!(outbox.offer(at(99), &held(0..3)).is_empty(), "the sequence of block 1 is not known yet");
    takes(&mut outbox, at(99), 0, 0);
    assert!(outbox.offer(at(99), &held(0..3)).is_empty(), "that is older than the failure");
    takes(&mut outbox, at(99), 2, 1);
    assert_eq!(sequences(&outbox.offer(at(99), &held(0..3))), [2], "somebody else relayed two");
}

#[test]
fn x09_who_is_outrun_by_another_program_says_so_and_pays_ever_more_rarely() {
    let mut outbox = Outbox::default();
    let (mut paid, mut told) = (Vec::new(), Vec::new());
    for second in 0..3600u64 {
        // The other program has taken whatever we send by the time it lands.
        told.extend(takes(&mut outbox, at(second), second, second as u32 + 1));
        let of = take(&mut outbox, at(second), second, &held(second..second + 1));
        if !of.is_empty() {
            let messages = [Some((WORKER, of[0]))];
            told.extend(outbox.ended(
                at(second),
                job(second),
                &messages,
                &finalized(vec![bad_sequence()]),
                None,
            ));
            paid.push(second);
        }
    }
    assert!(paid.len() < 15, "{} fees in an hour", paid.len());
    assert!(
        matches!(&told[..], [News::Trouble { cause, .. }] if cause.contains("another program")),
        "{told:?}"
    );
    // It is gone: the next message of ours is taken, and the trouble is over.
    let now = at(10_000);
    takes(&mut outbox, now, 4000, 4001);
    assert_eq!(take(&mut outbox, now, 9999, &held(4000..4001)), [4000]);
    end(&mut outbox, now, 9999, &[4000], &finalized(vec![CallResult::Ok]));
    assert_eq!(takes(&mut outbox, now, 4001, 4002), Some(News::Recovered { sender: WORKER }));
}

#[test]
fn x12_a_bad_sequence_behind_a_failure_is_part_of_it() {
    let mut outbox = Outbox::default();
    take(&mut outbox, at(0), 1, &held(0..1));
    take(&mut outbox, at(0), 2, &held(0..2));
    end(&mut outbox, at(1), 1, &[0], &finalized(vec![refused("UnknownContract")]));
    end(&mut outbox, at(1), 2, &[1], &finalized(vec![bad_sequence()]));
    let status = outbox.status(&WORKER);
    assert_eq!(status.paid_failures, 1);
    assert!(status.trouble.unwrap().contains("UnknownContract"));
}

#[test]
fn failures_for_nothing_are_told_when_they_last() {
    let mut outbox = Outbox::default();
    let mut told = Vec::new();
    for number in 0..4 {
        let now = at(100 * number);
        take(&mut outbox, now, number, &held(0..1));
        let rejected = Outcome::Rejected("no operator".into());
        told.push(outbox.ended(now, job(number), &[Some((WORKER, 0))], &rejected, None).len());
    }
    assert_eq!(told, [0, 0, 1, 0]);
}

#[test]
fn x12_a_message_can_be_set_aside_and_offered_again_but_not_left_out() {
    let mut outbox = Outbox::default();
    assert_eq!(outbox.set_aside(&WORKER, 0), Err(NotNext::Unknown(WORKER)));
    takes(&mut outbox, at(0), 3, 1);
    assert_eq!(outbox.set_aside(&WORKER, 2), Err(NotNext::Taken { sender: WORKER, sequence: 2 }));
    assert_eq!(outbox.set_aside(&WORKER, 4), Err(NotNext::Later { sender: WORKER, sequence: 4, next: 3 }));
    outbox.set_aside(&WORKER, 3).unwrap();
    assert!(outbox.status(&WORKER).is_set_aside);
    assert!(
        outbox.offer(at(9), &held(3..6)).is_empty(),
        "neither it nor what the chain would refuse behind it"
    );
    outbox.offer_again(&WORKER, 3).unwrap();
    assert_eq!(sequences(&outbox.offer(at(9), &held(3..6))), [3, 4, 5]);
    // Taken from somebody else.
    outbox.set_aside(&WORKER, 3).unwrap();
    takes(&mut outbox, at(9), 4, 2);
    assert_eq!(sequences(&outbox.offer(at(9), &held(3..6))), [4, 5]);
}

#[test]
fn a_job_that_fails_counts_once_however_many_messages_it_holds() {
    let mut outbox = Outbox::default();
    take(&mut outbox, at(0), 1, &held(0..100));
    end(&mut outbox, at(0), 1, &(0..100).collect::<Vec<_>>(), &Outcome::Expired);
    assert_eq!(outbox.status(&WORKER).failures, 1);
    assert_eq!(sequences(&outbox.offer(at(1), &held(0..2))), [0, 1]);
}

#[test]
fn an_unknown_fate_holds_the_sender_until_the_chain_has_passed_it() {
    let mut outbox = Outbox::default();
    take(&mut outbox, at(0), 1, &held(0..1));
    end(&mut outbox, at(1), 1, &[0], &Outcome::Unknown("immortal".into()));
    assert_eq!(outbox.status(&WORKER).unknown, 1);
    takes(&mut outbox, at(999), 0, 999);
    assert!(outbox.offer(at(999), &held(0..2)).is_empty(), "neither 0 again nor what is behind it");
    takes(&mut outbox, at(999), 1, 999);
    assert_eq!(outbox.status(&WORKER).unknown, 0);
    assert_eq!(sequences(&outbox.offer(at(999), &held(0..2))), [1]);
}

#[test]
fn x11_an_unknown_fate_is_decided_by_the_state_of_the_last_block_it_can_be_in() {
    for (next, offered) in [(0, 0), (1, 1)] {
        let mut outbox = Outbox::default();
        take(&mut outbox, at(0), 1, &held(0..1));
        let unknown = Outcome::Unknown("the node lost the block".into());
        outbox.ended(at(1), job(1), &[Some((WORKER, 0))], &unknown, Some(Height(20)));
        takes(&mut outbox, at(50), 0, 19);
        assert!(outbox.offer(at(99), &held(0..1)).is_empty(), "it may be in block 20");
        takes(&mut outbox, at(100), next, 20);
        assert_eq!(sequences(&outbox.offer(at(105), &held(0..2))), [offered], "the chain takes {next} next");
    }
}

#[test]
fn jobs_and_senders_are_bounded() {
    let limits = OutboxLimits { per_sender: 5, per_job: 3, ..OutboxLimits::default() };
    let mut outbox = Outbox::new(limits);
    assert_eq!(take(&mut outbox, at(0), 1, &held(0..9)), [0, 1, 2]);
    assert_eq!(take(&mut outbox, at(0), 2, &held(0..9)), [3, 4]);
    assert!(outbox.offer(at(0), &held(0..9)).is_empty());
}

#[derive(Clone, Debug)]
enum Happening {
    Poll,
    Land(prop::sample::Index),
    Fail(prop::sample::Index),
    Lose(prop::sample::Index),
    /// Nobody knows what became of it; it does nothing.
    Forget(prop::sample::Index),
    /// The next message is refused so many times more.
    Poison(u32),
    Facts,
    Time(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => Just(Happening::Poll),
        3 => any::<prop::sample::Index>().prop_map(Happening::Land),
        1 => any::<prop::sample::Index>().prop_map(Happening::Fail),
        1 => any::<prop::sample::Index>().prop_map(Happening::Lose),
        1 => any::<prop::sample::Index>().prop_map(Happening::Forget),
        1 => (1u32..4).prop_map(Happening::Poison),
        2 => Just(Happening::Facts),
        1 => (1u64..60).prop_map(Happening::Time),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A chain that takes sequences in order, a worker with 20 messages, and a sink that lands, fails or expires jobs.
    #[test]
    fn v3_f34_no_message_is_under_way_twice_and_all_arrive(happenings in prop::collection::vec(happening(), 0..120)) {
        let mut outbox = Outbox::default();
        let (mut now, mut chain, mut number, mut block, mut poison) = (0u64, 0u64, 0u64, 0u32, 0u32);
        let mut jobs: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        // In the end everything works, so everything must arrive.
        let ending = (0..80).flat_map(|_| {
            [Happening::Time(901), Happening::Poll, Happening::Land(any_index()), Happening::Facts]
        });
        for happening in happenings.into_iter().chain(ending) {
            block += 1;
            match happening {
                Happening::Time(seconds) => now += seconds,
                Happening::Poison(times) => poison = (poison + times).min(20),
                Happening::Facts => drop(takes(&mut outbox, at(now), chain, block)),
                Happening::Poll => {
                    number += 1;
                    let offered = take(&mut outbox, at(now), number, &held(chain.saturating_sub(2)..20));
                    for sequence in &offered {
                        prop_assert!(!jobs.values().flatten().any(|other| other == sequence), "{} twice", sequence);
                        prop_assert!(*sequence >= outbox.status(&WORKER).accepted);
                    }
                    if !offered.is_empty() {
                        jobs.insert(number, offered);
                    }
                }
                Happening::Land(index) if !jobs.is_empty() => {
                    let number = *jobs.keys().nth(index.index(jobs.len())).unwrap();
                    let of = jobs.remove(&number).unwrap();
                    let results = of.iter().map(|sequence| match *sequence == chain {
                        true if poison > 0 => { poison -= 1; refused("InvalidSignature") }
                        true => { chain += 1; CallResult::Ok }
                        false => bad_sequence(),
                    }).collect();
                    let here = BlockRef { height: Height(block), hash: Hash::default() };
                    let outcome = Outcome::Finalized { block: here, extrinsic: Hash::default(), results };
                    end(&mut outbox, at(now), number, &of, &outcome);
                }
                Happening::Fail(index) | Happening::Lose(index) if !jobs.is_empty() => {
                    let number = *jobs.keys().nth(index.index(jobs.len())).unwrap();
                    let of = jobs.remove(&number).unwrap();
                    end(&mut outbox, at(now), number, &of, &Outcome::Expired);
                }
                Happening::Forget(index) if !jobs.is_empty() => {
                    let number = *jobs.keys().nth(index.index(jobs.len())).unwrap();
                    let of: Vec<_> = jobs.remove(&number).unwrap().into_iter().map(|of| Some((WORKER, of))).collect();
                    outbox.ended(at(now), job(number), &of, &Outcome::Unknown("scripted".into()), Some(Height(block)));
                }
                _ => {}
            }
        }
        prop_assert_eq!(chain, 20);
    }
}

/// Always the first of any collection.
fn any_index() -> prop::sample::Index {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    any::<prop::sample::Index>().new_tree(&mut TestRunner::deterministic()).unwrap().current()
}
