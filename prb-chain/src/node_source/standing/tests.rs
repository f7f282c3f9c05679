use super::*;
use prb_core::id::Hash;

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn head(height: u32) -> BlockRef {
    BlockRef { height: Height(height), hash: Hash([3; 32]) }
}

fn error(name: &str) -> SourceError {
    let (endpoint, what) = ("ws://a".to_owned(), "something".to_owned());
    match name {
        "unreachable" => SourceError::Unreachable { endpoint, what, cause: "gone".into() },
        "timeout" => SourceError::Timeout { endpoint, what, seconds: 30 },
        "pruned" => SourceError::Pruned { endpoint, what },
        "refused" => SourceError::Refused { endpoint, method: "m".into(), cause: "unsafe".into() },
        "too large" => SourceError::TooLarge { endpoint, what },
        "missing" => SourceError::Missing { endpoint, what },
        "bad" => SourceError::Bad { endpoint, what, cause: "nonsense".into() },
        "foreign" => SourceError::Foreign {
            endpoint,
            chain: "relay chain",
            found: Hash([1; 32]),
            expected: Hash([2; 32]),
        },
        other => panic!("{other}"),
    }
}

/// Its place for batches and for changes, a second after this error for changes.
fn places_after(name: &str) -> (&'static str, &'static str) {
    let mut standing = Standing::new(1);
    standing.failed(at(0), Kind::Changes, &error(name));
    let place = |kind| match standing.place(Moment(Duration::from_millis(500)), kind) {
        Place::Well => "well",
        Place::Shaky => "shaky",
        Place::Behind => "behind",
        Place::Rests(_) => "rests",
        Place::Foreign => "foreign",
    };
    (place(Kind::Batch), place(Kind::Changes))
}

#[test]
fn an_error_speaks_against_an_endpoint_for_what_it_is_about() {
    assert_eq!(places_after("unreachable"), ("rests", "rests"));
    assert_eq!(places_after("timeout"), ("well", "rests"));
    assert_eq!(places_after("bad"), ("well", "rests"));
    assert_eq!(places_after("pruned"), ("well", "rests"));
    assert_eq!(places_after("refused"), ("well", "rests"));
    assert_eq!(places_after("too large"), ("well", "rests"));
    assert_eq!(places_after("missing"), ("well", "well"));
    assert_eq!(places_after("foreign"), ("foreign", "foreign"));
}

/// How long it rests from changes in all, after so many failures in a row.
fn rests_for(name: &str, failures: u32) -> Duration {
    let mut standing = Standing::new(1);
    let mut now = at(0);
    for _ in 0..failures {
        standing.failed(now, Kind::Changes, &error(name));
        let Place::Rests(until) = standing.place(now, Kind::Changes) else { panic!("it does not rest") };
        now = until;
    }
    now.since(at(0))
}

#[test]
fn rests_fit_their_reason_and_grow() {
    // A pause is spread by a quarter.
    let about = |rest: Duration, seconds: u32| {
        let exact = Duration::from_secs(seconds.into());
        assert!(rest >= exact * 3 / 4 && rest <= exact * 5 / 4, "{rest:?} for {exact:?}");
    };
    about(rests_for("unreachable", 1), 1);
    about(rests_for("timeout", 1), 5);
    about(rests_for("bad", 1), 5);
    about(rests_for("pruned", 1), 600);
    about(rests_for("unreachable", 4), 1 + 2 + 4 + 8);
    about(rests_for("timeout", 3), 5 + 10 + 20);
}

#[test]
fn calls_that_fail_together_are_one_failure() {
    let (mut one, mut many) = (Standing::new(1), Standing::new(1));
    one.failed(at(0), Kind::Changes, &error("timeout"));
    for _ in 0..10 {
        many.failed(at(0), Kind::Changes, &error("timeout"));
    }
    assert_eq!(one.place(at(0), Kind::Changes), many.place(at(0), Kind::Changes));
}

#[test]
fn leaving_is_told_once_and_returning_once() {
    let mut standing = Standing::new(1);
    let left = standing.failed(at(0), Kind::Batch, &error("timeout"));
    let cause = error("timeout").to_string();
    assert_eq!(left, Some(Notice::Left { reason: Reason::Failing(Kind::Batch), cause }));
    assert_eq!(standing.failed(at(9), Kind::Batch, &error("timeout")), None);
    assert_eq!(standing.answered(at(10), Kind::Tip), [], "a zombie answers other questions");
    let after = Duration::from_secs(20);
    let returned = Notice::Returned { reason: Reason::Failing(Kind::Batch), after };
    assert_eq!(standing.answered(at(20), Kind::Batch), [returned]);
    assert_eq!(standing.answered(at(21), Kind::Batch), []);
    assert_eq!(standing.place(at(21), Kind::Batch), Place::Well);
}

#[test]
fn a_second_outage_soon_after_the_first_rests_longer() {
    let mut standing = Standing::new(1);
    standing.failed(at(0), Kind::Batch, &error("timeout"));
    standing.answered(at(6), Kind::Batch);
    standing.failed(at(10), Kind::Batch, &error("timeout"));
    let Place::Rests(until) = standing.place(at(10), Kind::Batch) else { panic!("it does not rest") };
    assert!(until.since(at(10)) >= Duration::from_millis(7500), "{until:?}");
    standing.answered(at(30), Kind::Batch);
    standing.answered(at(30 + 2000), Kind::Batch);
    standing.failed(at(3000), Kind::Batch, &error("timeout"));
    let Place::Rests(until) = standing.place(at(3000), Kind::Batch) else { panic!("it does not rest") };
    assert!(until.since(at(3000)) <= Duration::from_millis(6250), "forgotten: {until:?}");
}

#[test]
fn a_refused_answer_speaks_against_everything_and_no_answer_cures_it() {
    let mut standing = Standing::new(1);
    standing.refused(at(0), "justification at 7");
    standing.answered(at(1), Kind::Batch);
    assert!(matches!(standing.place(at(1), Kind::Changes), Place::Rests(_)));
    let returned = standing.pass(at(76));
    assert!(matches!(returned[..], [Notice::Returned { reason: Reason::Refused, .. }]), "{returned:?}");
    assert_eq!(standing.place(at(76), Kind::Changes), Place::Well);
}

/// It tells a height, and is compared with the best.
fn told(standing: &mut Standing, second: u64, height: u32, best: u32) -> Option<Notice> {
    standing.heard(head(height));
    standing.compared(at(second), Height(best), 10)
}

#[test]
fn one_that_is_behind_is_told_and_comes_back_by_catching_up() {
    let mut standing = Standing::new(1);
    assert_eq!(told(&mut standing, 0, 90, 100), None);
    let left = told(&mut standing, 6, 91, 102);
    assert!(matches!(left, Some(Notice::Left { reason: Reason::Behind, .. })), "{left:?}");
    assert_eq!(standing.place(at(600), Kind::Batch), Place::Behind);
    assert!(told(&mut standing, 606, 110, 111).is_some());
    assert_eq!(standing.place(at(606), Kind::Batch), Place::Well);
}

#[test]
fn one_that_claims_a_height_and_has_nothing_there_is_left() {
    let mut behind = Standing::new(1);
    told(&mut behind, 0, 5, 7);
    assert_eq!(behind.lacks(at(1), Kind::Batch, Height(6)), None, "it never said that it has it");
    let mut claims = Standing::new(1);
    told(&mut claims, 0, 9, 9);
    assert!(claims.lacks(at(1), Kind::Batch, Height(6)).is_some());
    assert!(matches!(claims.place(at(1), Kind::Batch), Place::Rests(_)));
    assert_eq!(claims.place(at(1), Kind::Head), Place::Well);
}

#[test]
fn one_that_fails_often_is_shaky_until_it_has_answered_often() {
    let mut standing = Standing::new(1);
    for second in 0..3 {
        standing.failed(at(second), Kind::Tip, &error("bad"));
    }
    assert_eq!((standing.score(), standing.place(at(3), Kind::Batch)), (42, Place::Shaky));
    standing.answered(at(4), Kind::Tip);
    standing.answered(at(5), Kind::Tip);
    assert_eq!(standing.place(at(6), Kind::Batch), Place::Well);
}

#[test]
fn an_endpoint_that_changes_its_chain_back_is_used_again() {
    let mut standing = Standing::new(1);
    standing.failed(at(0), Kind::Tip, &error("foreign"));
    assert_eq!(standing.place(at(9999), Kind::Batch), Place::Foreign);
    assert!(!standing.answered(at(10_000), Kind::Tip).is_empty());
    assert_eq!(standing.place(at(10_000), Kind::Batch), Place::Well);
}

#[test]
fn of_an_endpoint_of_another_chain_nothing_else_is_told() {
    let mut standing = Standing::new(1);
    let left = told(&mut standing, 0, 90, 200);
    assert!(matches!(left, Some(Notice::Left { reason: Reason::Behind, .. })), "{left:?}");
    let left = standing.failed(at(6), Kind::Tip, &error("foreign"));
    assert!(matches!(left, Some(Notice::Left { reason: Reason::Foreign, .. })), "{left:?}");
    for second in 7..600 {
        let silent = [
            told(&mut standing, second, if second % 3 == 0 { 200 } else { 5 }, 200),
            standing.failed(at(second), Kind::Changes, &error("timeout")),
            standing.failed(at(second), Kind::Tip, &error("unreachable")),
            standing.failed(at(second), Kind::Tip, &error("foreign")),
            standing.judged(at(second), Some("its block 5 is another")),
            standing.judged(at(second), None),
        ];
        assert!(silent.iter().all(Option::is_none), "{silent:?}");
    }
    assert!(standing.trouble(at(600)).unwrap().starts_with("of another chain for 594 s: ws://a: "));
    let after = Duration::from_secs(594);
    let returned = [Notice::Returned { reason: Reason::Foreign, after }];
    assert_eq!(standing.answered(at(600), Kind::Tip), returned);
    assert_eq!((standing.place(at(600), Kind::Batch), standing.trouble(at(600))), (Place::Shaky, None));
}

#[test]
fn an_endpoint_of_another_fork_is_not_asked_until_its_head_is_a_stored_block() {
    let mut standing = Standing::new(1);
    told(&mut standing, 0, 90, 200);
    let found = "its block 90 is 0x01, the store holds 0x02";
    let left = Notice::Left { reason: Reason::Forked, cause: found.to_owned() };
    assert_eq!(standing.judged(at(1), Some(found)), Some(left));
    assert_eq!(standing.judged(at(3), Some("its block 91 is 0x03, the store holds 0x04")), None);
    assert_eq!(standing.answered(at(4), Kind::Tip), [], "it answers as it did");
    assert_eq!(told(&mut standing, 4, 91, 200), None, "that it is behind matters no more");
    assert_eq!(standing.place(at(600), Kind::Batch), Place::Foreign);
    let returned = Notice::Returned { reason: Reason::Forked, after: Duration::from_secs(9) };
    assert_eq!(standing.judged(at(10), None), Some(returned));
    assert_eq!(standing.place(at(10), Kind::Batch), Place::Well);
}
