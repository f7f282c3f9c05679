use super::*;
use crate::port::source::ChainIdentity;
use crate::types::sync::ChangesForm;
use proptest::prelude::*;

const START: Hash = Hash([7; 32]);

fn coverage(relay: (u32, u32), para: Option<(u32, u32)>, changes: Option<(u32, u32)>) -> Coverage {
    let span = |(first, last)| Span::new(Height(first), Height(last)).unwrap();
    Coverage {
        identity: ChainIdentity {
            relay_chain: Hash([1; 32]),
            start: START,
            para_genesis: Hash([2; 32]),
            para_id: 2035,
        },
        parachain: true,
        relay: Some(span(relay)),
        para: para.map(span),
        changes: changes.map(span),
        state_verified: true,
        changes_form: changes.map(|_| ChangesForm::Written),
    }
}

fn at(header: u32, para: u32, block: u32, waiting: bool) -> Position {
    Position { header: Height(header), para: Height(para), block: Height(block), waiting }
}

fn rung(at: u32, para: Option<u32>) -> Rung {
    Rung { at: Height(at), para: para.map(Height), closes_set: false }
}

fn span(first: u32, last: u32) -> Span {
    Span::new(Height(first), Height(last)).unwrap()
}

fn decide(position: Position, coverage: &Coverage, rungs: &[Rung]) -> Plan {
    plan(Some(START), position, Some(coverage), Rungs::around(position.header, rungs))
}

#[test]
fn an_empty_store_makes_the_worker_wait() {
    assert_eq!(plan(None, at(0, 0, 0, false), None, Rungs::default()), Plan::Wait(Wait::Empty));
}

#[test]
fn who_lacks_little_is_near_the_tip() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 9)));
    for (header, block, near, is_near) in [
        (31, 10, 0, true),
        (31, 9, 0, false),
        (30, 10, 0, false),
        (29, 8, 2, true),
        (28, 8, 2, false),
        (29, 7, 2, false),
        (99, 99, 0, true),
    ] {
        assert_eq!(
            is_near_tip(at(header, block, block, false), &stored, near),
            is_near,
            "{header} {block} {near}"
        );
    }
}

#[test]
fn a_worker_of_another_network_gets_nothing() {
    let stored = coverage((11, 20), Some((0, 5)), Some((1, 5)));
    let worker = Hash([9; 32]);
    assert_eq!(
        plan(Some(worker), at(11, 0, 1, false), Some(&stored), Rungs::default()),
        Plan::Cannot(Cannot::ForeignChain { worker, store: START })
    );
}

#[test]
fn a_fresh_worker_gets_headers_up_to_the_first_rung_with_the_proven_parachain_headers() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 9)));
    assert_eq!(
        decide(at(11, 0, 1, false), &stored, &[rung(20, Some(4)), rung(30, Some(9))]),
        Plan::Combined { relay: span(11, 20), para: span(0, 4) }
    );
}

#[test]
fn blocks_come_before_headers_and_end_where_parachain_headers_do() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 9)));
    assert_eq!(decide(at(21, 5, 1, false), &stored, &[rung(20, Some(4))]), Plan::Blocks(span(1, 4)));
}

#[test]
fn blocks_end_where_the_store_does() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 3)));
    assert_eq!(decide(at(21, 5, 1, false), &stored, &[]), Plan::Blocks(span(1, 3)));
    assert_eq!(decide(at(21, 5, 4, false), &stored, &[]), Plan::Wait(Wait::Changes(Height(4))));
}

#[test]
fn parachain_headers_are_sent_alone_where_the_worker_waits_for_them() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 9)));
    let rungs = [rung(20, Some(4)), rung(30, Some(9))];
    assert_eq!(
        decide(at(21, 0, 1, true), &stored, &rungs),
        Plan::ParaHeaders { headers: span(0, 4), at: Height(20) }
    );
    assert_eq!(
        decide(at(21, 0, 1, false), &stored, &rungs),
        Plan::Combined { relay: span(21, 30), para: span(0, 9) }
    );
}

#[test]
fn headers_go_alone_where_the_head_did_not_advance() {
    let stored = coverage((11, 30), Some((0, 4)), Some((1, 4)));
    assert_eq!(decide(at(21, 5, 5, false), &stored, &[rung(30, Some(4))]), Plan::Headers(span(21, 30)));
}

#[test]
fn a_worker_inside_a_batch_is_served_from_its_own_position() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 9)));
    assert_eq!(
        decide(at(25, 5, 5, false), &stored, &[rung(30, Some(9))]),
        Plan::Combined { relay: span(25, 30), para: span(5, 9) }
    );
}

#[test]
fn a_worker_with_everything_is_at_the_tip() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 9)));
    assert_eq!(decide(at(31, 10, 10, false), &stored, &[rung(30, Some(9))]), Plan::AtTip);
}

#[test]
fn a_worker_ahead_of_the_store_waits_for_it() {
    let stored = coverage((11, 30), Some((0, 9)), Some((1, 9)));
    assert_eq!(
        decide(at(35, 10, 10, false), &stored, &[]),
        Plan::Wait(Wait::Store { worker: Height(35), store: Height(30) })
    );
}

#[test]
fn a_worker_before_the_store_is_told_so() {
    let stored = coverage((11, 30), Some((0, 9)), Some((5, 9)));
    assert_eq!(
        decide(at(8, 0, 1, false), &stored, &[]),
        Plan::Cannot(Cannot::BehindStore { needed: Height(8), first: Height(11) })
    );
    assert_eq!(
        decide(at(31, 10, 2, false), &stored, &[]),
        Plan::Cannot(Cannot::BehindStore { needed: Height(2), first: Height(5) })
    );
    let pruned = coverage((21, 30), Some((5, 9)), Some((5, 9)));
    for waiting in [true, false] {
        assert_eq!(
            decide(at(21, 3, 3, waiting), &pruned, &[rung(20, Some(6)), rung(30, Some(9))]),
            Plan::Cannot(Cannot::BehindStore { needed: Height(3), first: Height(5) })
        );
    }
    assert_eq!(
        decide(at(21, 5, 5, false), &pruned, &[rung(20, Some(4)), rung(30, Some(9))]),
        Plan::Combined { relay: span(21, 30), para: span(5, 9) }
    );
}

#[test]
fn a_standalone_worker_gets_blocks_up_to_its_headers_and_never_parachain_headers() {
    let mut stored = coverage((0, 30), None, Some((1, 30)));
    stored.parachain = false;
    assert_eq!(decide(at(0, 0, 1, false), &stored, &[rung(30, None)]), Plan::Headers(span(0, 30)));
    assert_eq!(decide(at(31, 0, 1, false), &stored, &[rung(30, None)]), Plan::Blocks(span(1, 30)));
    assert_eq!(decide(at(31, 0, 31, false), &stored, &[rung(30, None)]), Plan::AtTip);
}

/// A chain with justified blocks, and a model worker that enforces pRuntime's rules on every request.
#[derive(Clone, Debug)]
struct World {
    coverage: Coverage,
    rungs: Vec<Rung>,
}

fn world() -> impl Strategy<Value = World> {
    (
        0u32..1000,
        prop::collection::vec((1u32..20, 0u32..6, any::<bool>()), 1..12),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(start, steps, changes)| {
            let (mut relay, mut para) = (start, None::<u32>);
            let mut rungs = Vec::new();
            for (blocks, heads, closes_set) in steps {
                relay += blocks;
                if heads > 0 {
                    para = Some(para.map_or(heads - 1, |head| head + heads));
                }
                rungs.push(Rung { at: Height(relay), para: para.map(Height), closes_set });
            }
            // Only the last rung may be open: others are kept because they close a set.
            let last = rungs.len() - 1;
            rungs[..last].iter_mut().for_each(|rung| rung.closes_set = true);
            let changes =
                para.filter(|head| *head > 0).map(|head| (1, 1 + changes.index(head as usize) as u32));
            World { coverage: coverage((start + 1, relay), para.map(|head| (0, head)), changes), rungs }
        })
}

/// Applies a plan as a worker would; `Err` names the broken rule.
fn apply(world: &World, position: &mut Position, plan: Plan) -> Result<bool, String> {
    let relay = |position: &mut Position, relay: Span| {
        if relay.first() != position.header {
            return Err(format!("gap: {relay} at {}", position.header));
        }
        if !world.rungs.iter().any(|rung| rung.at == relay.last()) {
            return Err(format!("{relay} does not end at a justified block"));
        }
        if world
            .rungs
            .iter()
            .any(|rung| rung.closes_set && relay.contains(rung.at) && rung.at != relay.last())
        {
            return Err(format!("{relay} crosses a set change"));
        }
        position.header = relay.last().next();
        position.waiting = true;
        Ok(())
    };
    let para = |position: &mut Position, headers: Span| {
        let head =
            world.rungs.iter().find(|rung| rung.at.next() == position.header).and_then(|rung| rung.para);
        if !position.waiting {
            return Err("no relay state root".to_owned());
        }
        if headers.first() != position.para || Some(headers.last()) != head {
            return Err(format!("{headers} at {} with head {head:?}", position.para));
        }
        position.para = headers.last().next();
        position.waiting = false;
        Ok(())
    };
    match plan {
        Plan::Blocks(span) => {
            if span.first() != position.block || span.last() >= position.para {
                return Err(format!("blocks {span} at {} before {}", position.block, position.para));
            }
            position.block = span.last().next();
        }
        Plan::ParaHeaders { headers, .. } => para(position, headers)?,
        Plan::Headers(span) => relay(position, span)?,
        Plan::Combined { relay: span, para: headers } => {
            relay(position, span)?;
            para(position, headers)?;
        }
        Plan::AtTip | Plan::Wait(_) => return Ok(false),
        Plan::Cannot(cannot) => return Err(cannot.to_string()),
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_request_is_acceptable_and_the_worker_gets_all_there_is(world in world(), skip in 0u32..40) {
        let first = world.coverage.relay.unwrap();
        // A worker may stand anywhere inside a batch.
        let header = Height(first.first().0 + skip % first.count() as u32);
        let mut position = Position { header, para: Height(0), block: Height(1), waiting: skip % 2 == 0 };
        let mut requests = 0;
        loop {
            let around = Rungs::around(position.header, &world.rungs);
            let step = plan(Some(START), position, Some(&world.coverage), around);
            prop_assert!(requests < 200, "no progress at {position:?}");
            match apply(&world, &mut position, step) {
                Ok(true) => requests += 1,
                Ok(false) => {
                    // It may stop only where the store ends.
                    let dispatched = position.block == position.para.max(Height(1));
                    let blocked = world.coverage.changes.is_none_or(|stored| position.block > stored.last());
                    let tip = position.header == first.last().next();
                    prop_assert!((dispatched && tip) || (blocked && !dispatched), "{step:?} at {position:?}");
                    break;
                }
                Err(broken) => prop_assert!(false, "{broken}: {step:?} at {position:?} in {world:?}"),
            }
        }
    }
}
