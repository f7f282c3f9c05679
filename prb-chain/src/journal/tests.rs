use super::*;
use prb_core::{
    id::{BlockRef, WorkerKey},
    port::{CallResult, JobState},
};
use std::fs;

fn id(number: u64) -> JobId {
    JobId { era: 7, number }
}

fn accepted(number: u64) -> Record {
    let calls = vec![Call::AddWorker { pool: PoolId(1), worker: WorkerKey([number as u8; 32]) }];
    Record::Accepted { job: id(number), pool: PoolId(1), calls }
}

fn sent(byte: u8, jobs: &[u64]) -> Record {
    Record::Sent(Sent {
        hash: Hash([byte; 32]),
        signer: AccountId([9; 32]),
        nonce: byte.into(),
        birth: Height(100),
        period: 32,
        bytes: vec![byte; 40],
        proxied: false,
        batched: true,
        jobs: jobs.iter().map(|&job| (id(job), 1)).collect(),
    })
}

fn ended(byte: u8, job: u64) -> Record {
    let outcome = Outcome::Finalized {
        block: BlockRef { height: Height(103), hash: Hash([3; 32]) },
        extrinsic: Hash([byte; 32]),
        results: vec![CallResult::Ok],
    };
    Record::Ended { extrinsic: Some(Hash([byte; 32])), outcomes: vec![(id(job), outcome)] }
}

fn waiting(journal: &Journal) -> Vec<u64> {
    journal.read(|image| image.waiting().map(|(job, _)| job.number).collect())
}

#[tokio::test(start_paused = true)]
async fn an_inline_journal_writes_the_same_file_and_takes_no_virtual_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let start = tokio::time::Instant::now();
    let timer = tokio::spawn(tokio::time::sleep(std::time::Duration::from_millis(1)));
    let journal = Journal::open_inline(&path).unwrap();
    assert_eq!(journal.write(vec![accepted(1), accepted(1)]).await.unwrap(), [true, false]);
    assert!(start.elapsed().is_zero() && !timer.is_finished());
    let lines = reopen(journal, &path);
    assert_eq!(waiting(&lines), [1]);
}

#[tokio::test]
async fn v2_f055_what_was_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    journal.write(vec![accepted(1), accepted(2), accepted(3)]).await.unwrap();
    journal.write(vec![sent(1, &[1])]).await.unwrap();
    journal.write(vec![sent(2, &[2])]).await.unwrap();
    journal.write(vec![ended(1, 1)]).await.unwrap();
    let lines = reopen(journal, &path);
    assert_eq!(waiting(&lines), [3]);
    lines.read(|image| {
        assert!(matches!(image.state(&id(1)), Some(JobState::Ended(Outcome::Finalized { .. }))));
        assert_eq!(image.state(&id(2)), Some(JobState::Pending));
        assert_eq!(image.state(&id(4)), None);
        assert_eq!(image.sent().map(|sent| sent.nonce).collect::<Vec<_>>(), [2]);
    });
}

/// The file is free as soon as its journal is gone.
fn reopen(journal: Arc<Journal>, path: &Path) -> Arc<Journal> {
    drop(journal);
    Journal::open(path).unwrap()
}

#[tokio::test]
async fn a_second_acceptance_and_a_second_outcome_tell_nothing() {
    let journal = Journal::memory();
    assert_eq!(journal.write(vec![accepted(1), accepted(1)]).await.unwrap(), [true, false]);
    let rejected = Record::Ended { extrinsic: None, outcomes: vec![(id(1), Outcome::Expired)] };
    assert_eq!(journal.write(vec![ended(1, 1), rejected]).await.unwrap(), [true, false]);
    assert_eq!(journal.write(vec![accepted(1)]).await.unwrap(), [false]);
}

#[tokio::test]
async fn a_withdrawn_extrinsic_gives_its_jobs_their_old_places_back() {
    let journal = Journal::memory();
    journal.write(vec![accepted(1), accepted(2), sent(1, &[1]), accepted(3)]).await.unwrap();
    assert_eq!(waiting(&journal), [2, 3]);
    journal.write(vec![Record::Withdrawn(Hash([1; 32]))]).await.unwrap();
    assert_eq!(waiting(&journal), [1, 2, 3]);
}

#[tokio::test]
async fn a_second_trader_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let _first = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Locked { .. })));
}

#[tokio::test]
async fn every_cut_of_the_last_write_loses_that_write_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    journal.write(vec![accepted(1)]).await.unwrap();
    let whole = fs::metadata(&path).unwrap().len() as usize;
    journal.write(vec![accepted(2)]).await.unwrap();
    drop(reopen(journal, &path));
    let bytes = fs::read(&path).unwrap();
    for len in whole..bytes.len() {
        for tail in [&[][..], &[0; 60][..]] {
            let cut = folder.path().join(format!("cut-{len}-{}", tail.len()));
            let mut torn = bytes[..len].to_vec();
            torn.extend(&tail[..tail.len().min(bytes.len() - len)]);
            fs::write(&cut, torn).unwrap();
            let journal = Journal::open(&cut).unwrap();
            assert_eq!(waiting(&journal), [1], "cut at {len}");
            journal.write(vec![accepted(3)]).await.unwrap();
            let journal = reopen(journal, &cut);
            assert_eq!(waiting(&journal), [1, 3]);
        }
    }
}

#[tokio::test]
async fn damage_before_the_last_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    journal.write(vec![accepted(1)]).await.unwrap();
    journal.write(vec![accepted(2)]).await.unwrap();
    drop(reopen(journal, &path));
    let bytes = fs::read(&path).unwrap();
    let hurt = folder.path().join("hurt");
    // Half of the file is the first frame: its head, whose length must not pass for a cut-off write, and its body.
    for bit in 8 * 8..8 * bytes.len() / 2 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&hurt, bytes).unwrap();
        assert!(matches!(Journal::open(&hurt), Err(JournalError::Damaged { at: 8, .. })), "bit {bit}");
    }
    fs::write(&hurt, b"something else entirely").unwrap();
    assert!(matches!(Journal::open(&hurt), Err(JournalError::Foreign { .. })));
}

#[tokio::test]
async fn a_file_that_a_crash_left_without_a_beginning_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for left in [&b""[..], b"prbj", &[0; 8]] {
        fs::write(&path, left).unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.write(vec![accepted(1)]).await.unwrap();
        assert_eq!(waiting(&reopen(journal, &path)), [1]);
    }
}

#[tokio::test]
async fn a_job_in_an_extrinsic_is_not_ended_by_anything_else() {
    let journal = Journal::memory();
    let rejected = |job| Record::Ended { extrinsic: None, outcomes: vec![(id(job), Outcome::Expired)] };
    journal.write(vec![accepted(1), sent(1, &[1]), accepted(2)]).await.unwrap();
    assert_eq!(journal.write(vec![rejected(1), rejected(2)]).await.unwrap(), [false, true]);
    assert_eq!(journal.read(|image| image.state(&id(1))), Some(JobState::Pending));
}

#[tokio::test]
async fn history_is_left_behind_when_the_file_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    let large = |number: u64| Record::Accepted {
        job: id(number),
        pool: PoolId(1),
        calls: vec![Call::RegisterWorker {
            worker: WorkerKey::default(),
            runtime_info: vec![1; 1 << 20],
            attestation: vec![],
        }],
    };
    journal.write(vec![accepted(100)]).await.unwrap();
    for number in 0..12 {
        journal.write(vec![large(number)]).await.unwrap();
        journal.write(vec![ended(1, number)]).await.unwrap();
    }
    let len = fs::metadata(&path).unwrap().len();
    assert!(len < 10 << 20, "{len} bytes");
    let journal = reopen(journal, &path);
    assert_eq!(waiting(&journal), [100]);
    assert_eq!(journal.read(|image| image.ended().count()), 12);
}

#[tokio::test]
async fn only_the_last_ended_jobs_are_remembered() {
    let journal = Journal::memory();
    let many = ENDED_KEPT as u64 + 5;
    journal.write((0..many).map(|number| ended(1, number)).collect()).await.unwrap();
    journal.read(|image| {
        assert_eq!(image.ended().count(), ENDED_KEPT);
        assert_eq!(image.state(&id(4)), None);
        assert!(image.state(&id(5)).is_some());
    });
}

#[tokio::test]
async fn x11_x15_what_is_unknown_has_a_block_that_decides_it_and_eras_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.read(Image::last_era), None);
    journal.write(vec![accepted(1), accepted(2), sent(1, &[1]), sent(2, &[2])]).await.unwrap();
    let outcomes = vec![(id(1), Outcome::Unknown("the node lost the block".into()))];
    let unknown = Record::Ended { extrinsic: Some(Hash([1; 32])), outcomes };
    journal.write(vec![unknown, ended(2, 2)]).await.unwrap();
    // Born at 100, mortal for 32 blocks.
    assert_eq!(journal.read(|image| image.decided_at(&id(1))), Some(Height(132)));
    assert_eq!(journal.read(|image| image.decided_at(&id(2))), None);
    assert_eq!(journal.read(Image::settled_at), Height(103), "this life knows what it waits for");
    let journal = reopen(journal, &path);
    assert_eq!(journal.read(Image::settled_at), Height(132), "the next one waits for the block that decides");
    assert_eq!(journal.read(|image| image.decided_at(&id(1))), Some(Height(132)));
    assert_eq!(journal.read(|image| image.decided_at(&id(2))), None);
    assert_eq!(journal.read(Image::last_era), Some(7));
}

#[tokio::test]
async fn the_chain_is_remembered_and_never_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    let chain = |byte| Record::Chain(Hash([byte; 32]));
    assert_eq!(journal.read(Image::chain), None);
    let told = journal.write(vec![chain(1), accepted(1), chain(2), chain(1)]).await.unwrap();
    assert_eq!(told, [true, true, false, false]);
    let journal = reopen(journal, &path);
    assert_eq!(journal.read(Image::chain), Some(Hash([1; 32])));
    let first = journal.read(|image| image.snapshot()).into_iter().next();
    assert_eq!(first, Some(chain(1)), "a rewritten file keeps it");
}

/// Records as releases without times wrote them.
#[tokio::test]
async fn v3_f36_a_journal_of_an_older_release_is_read_without_times() {
    let mut image = Image::default();
    image.apply_all(vec![accepted(1), accepted(2), sent(1, &[1]), ended(1, 1)]);
    let entries = image.entries();
    assert_eq!(entries.len(), 2);
    assert_eq!((entries[0].accepted, entries[0].sent, entries[0].ended), (None, None, None));
    assert_eq!((entries[0].stand, entries[0].pool), (Stand::Done, Some(PoolId(1))));
    assert_eq!(entries[1].stand, Stand::Waiting);
}

#[tokio::test]
async fn v3_f36_a_rewritten_file_tells_the_same() {
    let mut image = Image::default();
    let fee = |planck| Record::Fee { account: AccountId([9; 32]), planck, pools: vec![(PoolId(1), planck)] };
    image.apply_all(vec![
        Record::Name([4; 16]),
        Record::Now(1000),
        accepted(1),
        accepted(2),
        Record::Now(2000),
        sent(1, &[1]),
        Record::Now(3000),
        ended(1, 1),
        accepted(3),
        sent(2, &[2]),
        fee(5),
        fee(7),
        Record::Tip { day: 3, planck: 2 },
        Record::Paused(true),
        Record::Settled(Height(500)),
    ]);
    let mut again = Image::default();
    again.apply_all(image.snapshot());
    let entries = again.entries();
    assert_eq!(entries, image.entries());
    assert_eq!(
        (entries[0].accepted, entries[0].sent, entries[0].ended),
        (Some(1000), Some(2000), Some(3000))
    );
    assert_eq!((entries[1].accepted, entries[1].sent), (Some(1000), Some(3000)));
    assert_eq!(entries[0].description, format!("add worker {} to pool 1", WorkerKey([1; 32])));
    assert_eq!(again.fees(), image.fees());
    assert_eq!(again.fees().accounts[&AccountId([9; 32])], 12);
    assert_eq!((again.tips_on(3), again.tips_on(4)), (2, 0));
    assert!(again.paused());
    assert_eq!((again.settled_at(), again.name()), (Height(500), Some([4; 16])));
}

#[test]
fn a_tip_that_was_not_offered_is_free_on_its_day() {
    let mut image = Image::default();
    let tip = |day, planck| Record::Tip { day, planck };
    let returned = |day, planck| Record::TipReturned { day, planck };
    for (record, told, today, tomorrow) in [
        (tip(3, 5), true, 5, 0),
        (tip(3, 2), true, 7, 0),
        (returned(3, 5), true, 2, 0),
        // Whatever is returned, nothing more can be offered than on other days.
        (returned(3, 9), true, 0, 0),
        (tip(4, 6), true, 0, 6),
        (returned(3, 2), false, 0, 6),
    ] {
        assert_eq!(image.apply(record.clone()), told, "{record:?}");
        assert_eq!((image.tips_on(3), image.tips_on(4)), (today, tomorrow), "{record:?}");
    }
}

#[tokio::test]
async fn v3_f36_a_journal_is_looked_at_beside_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    assert!(Journal::look(&path).unwrap().is_none());
    let journal = Journal::open(&path).unwrap();
    assert_eq!(Journal::look(&path).unwrap().unwrap().entries(), []);
    journal.write(vec![accepted(1), sent(1, &[1])]).await.unwrap();
    let entries = Journal::look(&path).unwrap().unwrap().entries();
    assert_eq!(entries, journal.read(Image::entries));
    assert_eq!(entries[0].stand, Stand::Sent);
    // A frame that is being written.
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([9, 0]);
    fs::write(folder.path().join("copy"), bytes).unwrap();
    assert_eq!(Journal::look(folder.path().join("copy")).unwrap().unwrap().entries(), entries);
}

#[test]
fn v3_f36_descriptions_are_bounded() {
    let worker = WorkerKey([7; 32]);
    let many = vec![Call::StartComputing { pool: PoolId(u64::MAX), worker, stake: u128::MAX }; 900];
    let text = describe(&many);
    assert!(text.starts_with("900 calls: start worker 0x0707"), "{text}");
    assert!(text.len() <= 200, "{text}");
}
