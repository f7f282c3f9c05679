//! Runs with faults from a seed. Each ends with everything working and every invariant held.

use crate::world::{BLOCK, POOL, World, all_working, goal, is_at_tip, name_of, own, seconds};
use prb_core::{
    id::{AccountId, PoolId, WorkerName},
    lifecycle::Goal,
    pipeline::Bridge,
    testkit::{Dice, FakeChain, FakeWorker, Faults, Meddling, eventually},
    tx::Call,
};
use tokio::time::Instant;

/// What a worker may refuse after it lost its state or an answer got lost: our view of it was stale. Never data.
const STALE: [&str; 5] = [
    "BlockNumberMismatch",
    "NoStateRoot",
    "RelaychainHeaderNotSynced",
    "Runtime not initialized",
    "Runtime already initialized",
];

// Four tests, so that they run side by side.

#[test]
fn seeds_0_to_49_end_with_all_workers_working() {
    each(0..50);
}

#[test]
fn seeds_50_to_99_end_with_all_workers_working() {
    each(50..100);
}

#[test]
fn seeds_100_to_149_end_with_all_workers_working() {
    each(100..150);
}

#[test]
fn seeds_150_to_199_end_with_all_workers_working() {
    each(150..200);
}

fn each(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(live(seed));
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}

async fn live(seed: u64) {
    let mut dice = Dice::new(seed);
    let chain = FakeChain::builder(seed)
        .rotate_every(3 + dice.below(12) as u32)
        .para_every(1 + dice.below(3) as u32)
        .para_after(dice.below(8) as u32)
        .pool(ELSEWHERE, OTHER)
        .build();
    chain.advance(dice.below(60) as u32);
    let world = World::new(chain);
    world.source.limit_batches(1 + dice.below(20) as u32);
    let versions = ["2.2.0", "2.0.1", "2.3.0"];
    let fakes: Vec<FakeWorker> = (0..1 + dice.below(4))
        .map(|number| FakeWorker::new(&format!("w{number}")).version(versions[dice.below(3) as usize]))
        .collect();
    let all: Vec<&FakeWorker> = fakes.iter().collect();

    let mut faults = Faults::seeded(seed).once_in(4 + dice.below(30)).lasting(seconds(900));
    faults.plague_source(&world.source);
    faults.plague_store(&world.store);
    faults.plague_state(&world.state);
    let pulse = world.chain.pulse(BLOCK);
    let meddling = meddle(dice.roll(), world.chain.clone(), fakes.clone());

    // Two lives in trouble, cut at any time; the third sees the end of it.
    let mut last = None;
    for (era, length) in [(1, dice.below(400)), (2, dice.below(400)), (3, 900)] {
        faults.plague_sink(&world.sink);
        fakes.iter().for_each(|fake| faults.plague_worker(fake));
        let bridge = world.bridge(era, &all).await;
        wish(&mut dice, &bridge, &all, length).await;
        if era < 3 {
            bridge.stop().await;
        } else {
            last = Some(bridge);
        }
    }
    let bridge = last.unwrap();
    meddling.await.unwrap();
    all_working(&bridge, &all, seconds(4 * 3600)).await;
    let stakes = || all.iter().all(|fake| world.chain.stake(POOL, &fake.key()) >= Some(goal().stake));
    eventually("all have the stake that is wanted", seconds(3600), stakes).await;

    // Working also means: messages get through, and everybody is at the tip.
    let before: Vec<u64> = fakes.iter().map(|fake| world.chain.taken(&own(fake))).collect();
    fakes.iter().for_each(|fake| world.chain.prompt(own(fake), 7));
    eventually("messages get through", seconds(3600), || {
        fakes.iter().zip(&before).all(|(fake, before)| world.chain.taken(&own(fake)) >= before + 7)
    })
    .await;
    drop(pulse);
    eventually("all are at the tip", seconds(120), || fakes.iter().all(|fake| is_at_tip(&world.chain, fake)))
        .await;
    assert_eq!(bridge.failure(), None);
    bridge.stop().await;
    world.assert_stored_is_honest().await;
    assert_eq!(world.sink.violations(), Vec::<String>::new());
    for fake in &fakes {
        for refusal in fake.refused() {
            assert!(STALE.iter().any(|stale| refusal.contains(stale)), "sent bad data: {refusal}");
        }
    }
}

/// A pool that is none of ours, and its owner.
const ELSEWHERE: PoolId = PoolId(2);
const OTHER: AccountId = AccountId([0xbb; 32]);

/// Until everything is to be well again.
const UNREST: u64 = 900;

/// For the length of a life the operator changes his mind about stakes and scores; in the end he wants the usual.
async fn wish(dice: &mut Dice, bridge: &Bridge, fakes: &[&FakeWorker], length: u64) {
    let end = Instant::now() + seconds(length);
    while Instant::now() < end {
        let left = end - Instant::now();
        tokio::time::sleep(seconds(30 + dice.below(200)).min(left)).await;
        let fake = dice.pick(fakes);
        let wanted = match dice.below(4) {
            0 => Goal { stake: 500 + u128::from(dice.below(1000)), ..goal() },
            1 => Goal { min_score: Some(dice.below(1200) as u32), ..goal() },
            2 => Goal { disabled: true, ..goal() },
            _ => Goal { sync_only: true, ..goal() },
        };
        bridge.change_worker(&WorkerName::new(name_of(fake)).unwrap(), wanted).unwrap();
    }
    for fake in fakes {
        bridge.change_worker(&WorkerName::new(name_of(fake)).unwrap(), goal()).unwrap();
    }
}

/// Others do what they can: register workers for themselves, have them in their pool, stop them, mark them as silent,
/// and messages are refused. In the end they leave everybody alone.
fn meddle(seed: u64, chain: FakeChain, fakes: Vec<FakeWorker>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut dice = Dice::new(seed);
        let end = Instant::now() + seconds(UNREST);
        while Instant::now() < end {
            tokio::time::sleep(seconds(20 + dice.below(150))).await;
            let fake = &fakes[dice.below(fakes.len() as u64) as usize];
            let worker = fake.key();
            match dice.below(6) {
                0 => fake.registration(OTHER).into_iter().for_each(|call| chain.meddle(Meddling::Call(call))),
                1 => chain.meddle(Meddling::Call(Call::AddWorker { pool: ELSEWHERE, worker })),
                2 => chain.meddle(Meddling::Call(Call::StopComputing { pool: POOL, worker })),
                3 => chain.meddle(Meddling::Silent { pool: POOL, worker, silent: true }),
                4 => chain.meddle(Meddling::Score { worker, score: 10 + dice.below(1000) as u32 }),
                _ => chain.poison(own(fake), chain.taken(&own(fake)) + dice.below(4)),
            }
        }
        chain.heal();
        for fake in &fakes {
            let worker = fake.key();
            chain.meddle(Meddling::Call(Call::RemoveWorker { pool: ELSEWHERE, worker }));
            chain.meddle(Meddling::Silent { pool: POOL, worker, silent: false });
        }
    })
}
