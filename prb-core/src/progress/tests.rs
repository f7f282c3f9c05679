use super::*;

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn waiting() -> Waiting {
    Waiting {
        endpoint: "ws://a".into(),
        there: None,
        what: "an answer".into(),
        cause: None,
        remedy: "restart it",
        patience: PATIENCE,
    }
}

/// What is said at each of these seconds of something that stands at a height and waits, or does not.
fn said(looks: &[(u64, u32, bool)]) -> Vec<(u64, Word)> {
    let (mut stall, waiting) = (Stall::default(), waiting());
    let look = |(second, height, waits): &(u64, u32, bool)| {
        let word = stall.observe(at(*second), Height(*height), waits.then_some(&waiting))?;
        Some((*second, word))
    };
    looks.iter().filter_map(look).collect()
}

#[test]
fn standing_still_is_told_once_it_has_lasted_and_again_after_minutes() {
    let looks: Vec<_> = (0..=700).step_by(2).map(|second| (second, 7, true)).collect();
    let told = [(10, 10), (310, 310), (610, 610)];
    assert_eq!(said(&looks), told.map(|(second, still)| (second, Word::Stalled(seconds(still)))));
}

#[test]
fn what_moves_or_waits_for_nothing_does_not_stand_still() {
    let moving: Vec<_> = (0..100).map(|second| (second, second as u32 / 9, true)).collect();
    assert_eq!(said(&moving), []);
    let idle: Vec<_> = (0..100).map(|second| (second, 7, false)).collect();
    assert_eq!(said(&idle), []);
}

#[test]
fn that_it_is_over_is_told_once_when_it_has_been_over_for_a_moment() {
    let looks = [(0, 7, true), (10, 7, true), (20, 8, true), (24, 9, false), (30, 9, false), (40, 9, false)];
    assert_eq!(said(&looks), [(10, Word::Stalled(seconds(10))), (30, Word::Over(seconds(20)))]);
}

#[test]
fn what_gets_on_for_a_moment_now_and_then_is_one_stall() {
    let halting: Vec<_> = (0..=600).map(|second| (second, second as u32 / 15, true)).collect();
    let words = said(&halting);
    let seconds: Vec<u64> = words.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [10, 310], "{words:?}");
    assert!(words.iter().all(|(_, word)| matches!(word, Word::Stalled(_))), "{words:?}");
}

#[test]
fn what_somebody_else_told_is_not_told_again_at_once() {
    let (mut stall, waiting) = (Stall::default(), waiting());
    assert!(stall.tell(at(3), at(3)));
    assert!(!stall.tell(at(5), at(5)));
    for second in (4..300).step_by(2) {
        assert_eq!(stall.observe(at(second), (), Some(&waiting)), None);
    }
    assert_eq!(stall.observe(at(304), (), Some(&waiting)), Some(Word::Stalled(seconds(300))));
    stall.forget();
    assert!(!stall.is_told());
    assert_eq!(stall.observe(at(306), (), None), None);
}

fn leg(here: u32, there: u32) -> Leg {
    Leg { here: Height(here), there: Height(there) }
}

#[test]
fn who_is_behind_says_how_far_and_how_fast_twice_a_minute() {
    let mut course = CatchUp::default();
    let mut lines = Vec::new();
    // 10 blocks a second of 1000, and 2 of 400.
    for second in 0..=200 {
        let legs = [leg((10 * second as u32).min(1000), 1000), leg((2 * second as u32).min(400), 400)];
        lines.extend(course.observe(at(second), legs).map(|line| (second, line)));
    }
    let behind = |second, rates, left| (second, Course::Behind { rates, eta: Some(seconds(left)) });
    let expected = [
        behind(30, [10.0, 2.0], 170),
        behind(60, [10.0, 2.0], 140),
        behind(90, [10.0, 2.0], 110),
        // The first has 100 left at 90 s.
        behind(120, [100.0 / 30.0, 2.0], 80),
        behind(150, [0.0, 2.0], 50),
        behind(180, [0.0, 2.0], 20),
        (200, Course::Reached),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn that_everything_is_there_is_told_at_the_start_and_after_having_been_behind() {
    let mut course = CatchUp::default();
    assert_eq!(course.observe(at(0), [leg(5, 6)]), None);
    assert_eq!(course.observe(at(1), [leg(6, 6)]), Some(Course::Reached));
    // Who follows the tip is never behind for long.
    for second in 2..199 {
        let here = second as u32;
        assert_eq!(course.observe(at(second), [leg(here, here + here % 2)]), None);
    }
    assert_eq!(course.observe(at(200), [leg(200, 300)]), None);
    let stuck = Course::Behind { rates: [0.0], eta: None };
    assert_eq!(course.observe(at(230), [leg(200, 300)]), Some(stuck), "it does not end");
    assert_eq!(course.observe(at(240), [leg(300, 300)]), Some(Course::Reached));
    assert_eq!(course.observe(at(242), [leg(301, 300)]), None);
}

#[test]
fn times_are_said_as_people_say_them() {
    let said = [0, 45, 119, 120, 3700, 7200, 7500, 172_799, 172_800, 273_600]
        .map(|of| Roughly(seconds(of)).to_string());
    let expected = [
        "0 s",
        "45 s",
        "119 s",
        "2 min",
        "62 min",
        "2 h 0 min",
        "2 h 5 min",
        "2 d 0 h",
        "2 d 0 h",
        "3 d 4 h",
    ];
    assert_eq!(said, expected);
    assert_eq!(Roughly(Duration::from_millis(300)).to_string(), "1 s");
}

#[test]
fn a_cause_that_lasts_is_told_once_in_five_minutes_and_another_one_at_once() {
    let mut causes = Causes::default();
    let told = |causes: &mut Causes, second, cause: &str| causes.tell(at(second), cause);
    assert!(told(&mut causes, 0, "block 7 is not there"));
    for second in 1..300 {
        assert!(!told(&mut causes, second, &format!("block {} is not there", 7 + second)), "{second}");
    }
    assert!(told(&mut causes, 300, "block 9 is not there"));
    assert!(told(&mut causes, 301, "the disk is full") && !told(&mut causes, 302, "block 9 is not there"));
    causes.forget();
    assert!(told(&mut causes, 303, "block 9 is not there"));
    for number in 0..100_u8 {
        let word = char::from(b'!' + number % 90).to_string().repeat(1 + usize::from(number / 90));
        causes.tell(at(304), &word);
    }
    assert!(causes.0.len() <= KEPT_CAUSES);
}

#[test]
fn causes_are_told_apart_by_their_codes_and_not_by_heights_times_and_hashes() {
    for (one, other, is_same) in [
        ("block 1234567 is not there", "block 1234568 is not there", true),
        ("no state at 512: it is pruned", "no state at 513: it is pruned", true),
        ("#7000001 is not finalized", "#7000002 is not finalized", true),
        ("its block 12 is 0xab12, not 0x99fe", "its block 13 is 0x1234, not 0xffff", true),
        ("no answer for 12 s", "no answer for 300 s", true),
        ("no answer within 1.5s", "no answer within 30s", true),
        ("took 1200 ms", "took 1350 ms", true),
        ("its head is 1200 blocks behind", "its head is 1100 blocks behind", true),
        ("nonce 17 is taken", "nonce 118 is taken", true),
        ("answers 403 Forbidden", "answers 500 Internal Server Error", false),
        ("answers (403)", "answers (503)", false),
        ("node answers error 1010: invalid", "node answers error 1014: invalid", false),
        ("node answers error -32000: no", "node answers error -32603: no", false),
        ("the disk is full", "the disk is away", false),
    ] {
        assert_eq!(key(one) == key(other), is_same, "{one} / {other}");
    }
}

#[test]
fn a_long_cause_is_known_by_its_beginning_and_one_that_is_met_often_is_kept() {
    let long = "é".repeat(1000);
    assert!(key(&long).len() <= KEY_BYTES && key(&long).len() > KEY_BYTES - 2);
    let mut causes = Causes::default();
    assert!(causes.tell(at(0), "the disk is full"));
    for word in "abcdefghijklmnopqrstuvwxyz".chars() {
        assert!(causes.tell(at(1), &word.to_string()));
        assert!(!causes.tell(at(1), "the disk is full"), "{word}");
    }
    assert!(causes.tell(at(2), "a"), "the one that was met longest ago is forgotten");
}
