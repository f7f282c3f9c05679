use super::*;

const KEY: WorkerKey = WorkerKey([1; 32]);
const OTHER: WorkerKey = WorkerKey([2; 32]);
const START: Hash = Hash([7; 32]);

fn at_work() -> WorkerInfo {
    WorkerInfo {
        initialized: true,
        registered: true,
        genesis_block_hash: Some(START),
        public_key: Some(KEY),
        blocknum: Height(1_001),
        ..WorkerInfo::default()
    }
}

fn initialized() -> WorkerInfo {
    WorkerInfo { registered: false, public_key: Some(OTHER), blocknum: Height(1), ..at_work() }
}

fn methods(info: WorkerInfo, methods: &[&str]) -> WorkerInfo {
    WorkerInfo { supported_attestation_methods: methods.iter().map(|&one| one.to_owned()).collect(), ..info }
}

#[test]
fn v3_f89_a_key_moves_only_where_nothing_is_lost_by_it() {
    use CannotHandOver::{Behind, NewInUse, OldNotInitialized, OtherChain, SafeMode, SameKey};
    let fresh = WorkerInfo::default;
    let elsewhere = Hash([8; 32]);
    // Old worker, new worker, chain's last block, whether it knows the new one's key: what comes of it.
    for (old, new, tip, known, expected) in [
        (at_work(), fresh(), 1_000, false, Ok(Means::Ias)),
        (at_work(), initialized(), 1_000, false, Ok(Means::Ias)),
        // What has a key but shows none cannot be known.
        (at_work(), fresh(), 1_000, true, Ok(Means::Ias)),
        (WorkerInfo { registered: false, ..at_work() }, fresh(), 1_000, false, Ok(Means::Ias)),
        (fresh(), fresh(), 1_000, false, Err(OldNotInitialized)),
        (WorkerInfo { public_key: None, ..at_work() }, fresh(), 1_000, false, Err(OldNotInitialized)),
        (at_work(), at_work(), 1_000, true, Err(SameKey(KEY))),
        (at_work(), WorkerInfo { registered: true, ..initialized() }, 1_000, false, Err(NewInUse(OTHER))),
        (at_work(), initialized(), 1_000, true, Err(NewInUse(OTHER))),
        (
            at_work(),
            WorkerInfo { genesis_block_hash: Some(elsewhere), ..initialized() },
            1_000,
            false,
            Err(OtherChain { old: START, new: elsewhere }),
        ),
        (at_work(), fresh(), 1_150, false, Ok(Means::Ias)),
        (at_work(), fresh(), 1_151, false, Err(Behind { at: Height(1_000), tip: Height(1_151) })),
        (at_work(), fresh(), 900, false, Ok(Means::Ias)),
        (WorkerInfo { safe_mode_level: 1, ..at_work() }, fresh(), 1_000, false, Ok(Means::Ias)),
        (WorkerInfo { safe_mode_level: 2, ..at_work() }, fresh(), 1_000, false, Err(SafeMode(2))),
    ] {
        let situation = Situation { old: &old, new: &new, tip: Height(tip), new_is_registered: known };
        assert_eq!(means(situation), expected, "{situation:?}");
    }
}

#[test]
fn v3_f89_who_has_the_key_already_is_told_what_is_left_to_do() {
    let said = CannotHandOver::SameKey(KEY).to_string();
    assert!(said.contains("have the inventory name the new one's address"), "{said}");
}

#[test]
fn v3_f89_the_calls_follow_from_how_the_old_worker_attests() {
    let none = || Err(CannotHandOver::OtherPlatform(vec!["none".into()]));
    // Old worker's methods, whether its key was injected, new worker's methods: which calls.
    for (old, injected, new, expected) in [
        (&["none", "dcap"][..], false, &["none", "dcap"][..], Ok(Means::Dcap)),
        (&["none", "dcap"], true, &["none", "dcap"], Ok(Means::Ias)),
        (&["none", "dcap"], false, &["none"], none()),
        (&["none", "epid"], false, &["none", "epid"], Ok(Means::Ias)),
        (&["none"], false, &["none", "dcap"], Ok(Means::Ias)),
        (&[], false, &[], Ok(Means::Ias)),
    ] {
        let old = WorkerInfo { dev_mode: injected, ..methods(at_work(), old) };
        let new = methods(WorkerInfo::default(), new);
        let situation = Situation { old: &old, new: &new, tip: Height(1_000), new_is_registered: false };
        assert_eq!(means(situation), expected, "{situation:?}");
    }
}

#[test]
fn v3_f89_an_answer_is_to_the_challenge_that_was_given() {
    let challenge = Challenge { means: Means::Ias, encoded: Bytes::from_static(b"challenge") };
    let response = |means, encoded: &'static [u8]| ChallengeResponse {
        means,
        encoded: Bytes::from_static(encoded),
        evidence: None,
    };
    assert!(response(Means::Ias, b"challenge and a key").answers(&challenge));
    assert!(!response(Means::Ias, b"another challenge").answers(&challenge));
    assert!(!response(Means::Dcap, b"challenge and a key").answers(&challenge));
}

#[test]
fn v3_f89_a_key_on_its_way_is_not_shown() {
    let key = SealedKey {
        means: Means::Ias,
        encoded: Bytes::from_static(b"ciphertext"),
        evidence: Some(Bytes::from_static(b"report")),
    };
    let shown = format!("{key:?}");
    assert!(!shown.contains("ciphertext") && !shown.contains("report"), "{shown}");
}
