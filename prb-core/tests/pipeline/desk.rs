//! The mail desk alone: what it offers, what it follows, what it learns after a restart.

use crate::world::{POOL, seconds};
use prb_core::{
    id::{Height, JobId, PoolId, WorkerKey},
    moment::Moment,
    outbox::OutboxLimits,
    pipeline::{
        CancellationToken, Event,
        events::{Announcer, Events},
        operate::{Desk, JobNumbers},
    },
    port::{Outcome, SinkError, TxSink},
    testkit::{FakeChain, FakeSink, JobFault, SinkCall, SinkFault, toy},
    tx::Call,
    types::message::{EgressMessages, Message, MessageOrigin, SignedMessage},
};
use std::{sync::Arc, time::Duration};

const SENDER: MessageOrigin = MessageOrigin::Worker(WorkerKey([7; 32]));

/// A desk, the sink and the chain behind it, and what it tells.
struct Post {
    chain: FakeChain,
    sink: FakeSink,
    desk: Arc<Desk>,
    events: Events,
    begun: tokio::time::Instant,
}

impl Post {
    fn new() -> Self {
        let chain = FakeChain::builder(1).para_every(1).pool(PoolId(9), FakeChain::OWNER).build();
        chain.advance(10);
        let sink = FakeSink::new(&chain);
        Self::open(chain, sink, 1)
    }

    fn open(chain: FakeChain, sink: FakeSink, era: u64) -> Self {
        let announcer = Announcer::default();
        let events = announcer.events();
        let desk =
            Desk::new(Arc::new(sink.clone()), JobNumbers::new(era), OutboxLimits::default(), announcer);
        Self { chain, sink, desk: Arc::new(desk), events, begun: tokio::time::Instant::now() }
    }

    /// The same chain and sink in the next life.
    async fn reopened(self, era: u64) -> Self {
        let next = Self::open(self.chain, self.sink, era);
        next.desk.recover().await.unwrap();
        next.following();
        next
    }

    fn following(&self) {
        let (desk, stop) = (self.desk.clone(), CancellationToken::new());
        tokio::spawn(async move { desk.run(Duration::from_secs(1), stop).await });
    }

    async fn post(&self, held: &EgressMessages) -> Result<(), SinkError> {
        self.desk.post(Moment(self.begun.elapsed()), POOL, held).await
    }

    /// A block, the desk's look at it, and the chain's next sequence.
    async fn block(&self) {
        self.chain.advance(1);
        tokio::time::sleep(seconds(3)).await;
        self.desk.chain_takes(&SENDER, self.chain.taken(&SENDER), self.chain.tips().para);
    }

    fn sent(&self) -> Vec<u64> {
        self.sink.sequences(&SENDER)
    }
}

fn held(sequences: std::ops::Range<u64>) -> EgressMessages {
    held_of(&SENDER, sequences)
}

fn held_of(sender: &MessageOrigin, sequences: std::ops::Range<u64>) -> EgressMessages {
    let message = |sequence| {
        let message = Message { sender: sender.clone(), destination: b"t".to_vec(), payload: vec![1] };
        let mut signed = SignedMessage { message, sequence, signature: Vec::new() };
        toy::sign(&mut signed);
        signed
    };
    vec![(sender.clone(), sequences.map(message).collect())]
}

fn is_submit(call: &SinkCall) -> bool {
    matches!(call, SinkCall::Submit(..))
}

#[tokio::test(start_paused = true)]
async fn held_messages_are_posted_once_however_often_they_are_shown() {
    let post = Post::new();
    post.following();
    for _ in 0..5 {
        post.post(&held(0..3)).await.unwrap();
    }
    post.block().await;
    post.post(&held(0..5)).await.unwrap();
    post.block().await;
    assert_eq!(post.sent(), [0, 1, 2, 3, 4]);
    assert_eq!(post.desk.status(&SENDER).accepted, 5);
}

#[tokio::test(start_paused = true)]
async fn two_workers_that_speak_for_one_sender_do_not_post_twice() {
    let post = Post::new();
    post.following();
    let (first, second) = (held(0..4), held(0..6));
    let (a, b) = tokio::join!(post.post(&first), post.post(&second));
    a.unwrap();
    b.unwrap();
    post.block().await;
    // The one that lags behind shows what the chain has taken already.
    post.post(&held(0..4)).await.unwrap();
    post.post(&held(4..8)).await.unwrap();
    post.block().await;
    assert_eq!(post.sent(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(post.sink.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn jobs_of_an_earlier_life_are_followed_and_not_repeated() {
    let mut post = Post::new();
    post.sink.fate().times(1, is_submit, JobFault::Slow(3));
    post.post(&held(0..3)).await.unwrap();
    // A job about something else is none of the desk's business.
    let other = JobId { era: 1, number: 77 };
    let call = Call::CheckWithdraw { pool: PoolId(9) };
    post.sink.submit(other, PoolId(9), vec![call]).await.unwrap();
    post = post.reopened(2).await;
    post.post(&held(0..5)).await.unwrap();
    assert_eq!(post.sent(), [0, 1, 2, 3, 4], "only what was not under way");
    for _ in 0..6 {
        post.block().await;
        post.post(&held(0..5)).await.unwrap();
    }
    assert_eq!(post.chain.taken(&SENDER), 5);
    assert_eq!(post.sink.violations(), Vec::<String>::new());
    let mut ended = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(seconds(1), post.events.next()).await {
        match event {
            Event::JobEnded { job, pool: POOL, outcome: Outcome::Finalized { .. } } => ended.push(job),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended, [JobId { era: 1, number: 0 }, JobId { era: 2, number: 0 }]);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_acceptance_was_not_answered_is_never_doubled() {
    for fault in
        [SinkFault::LostReply, SinkFault::Unreachable, SinkFault::Journal, SinkFault::Hang(seconds(9))]
    {
        let post = Post::new();
        post.following();
        post.sink.hook().times(2, is_submit, fault);
        post.post(&held(0..3)).await.unwrap_err();
        for _ in 0..10 {
            // What is not known to be refused is not offered again under another job. The second fault may meet
            // what follows.
            let _ = post.post(&held(0..6)).await;
            post.block().await;
        }
        assert_eq!(post.sent(), [0, 1, 2, 3, 4, 5], "{fault:?}: in order, each once");
        assert_eq!(post.chain.taken(&SENDER), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_keeps_nothing_and_is_tried_again_later() {
    let post = Post::new();
    post.following();
    post.sink.hook().times(1, is_submit, SinkFault::Busy);
    assert!(matches!(post.post(&held(0..3)).await, Err(SinkError::Busy { .. })));
    assert_eq!(post.sink.jobs(), []);
    tokio::time::sleep(seconds(60)).await;
    post.post(&held(0..3)).await.unwrap();
    assert_eq!(post.sent(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_posted_again_after_everything_behind_it_ended() {
    for fault in [
        JobFault::Expire,
        JobFault::Reject("scripted".into()),
        JobFault::Fail(prb_core::port::sink::DispatchError { pallet: None, error: "Scripted".into() }),
    ] {
        let post = Post::new();
        post.following();
        post.sink.fate().times(1, is_submit, fault.clone());
        post.post(&held(0..2)).await.unwrap();
        post.post(&held(0..4)).await.unwrap();
        for _ in 0..30 {
            post.block().await;
            post.post(&held(0..4)).await.unwrap();
        }
        assert_eq!(post.chain.taken(&SENDER), 4, "{fault:?}");
        assert_eq!(post.sink.violations(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_followed_does_not_hide_the_others() {
    let mut post = Post::new();
    post.following();
    let stuck = JobId { era: 1, number: 0 };
    post.sink.hook().always(move |call| *call == SinkCall::Outcome(stuck), SinkFault::Unreachable);
    let other = MessageOrigin::Gatekeeper;
    post.post(&held(0..1)).await.unwrap();
    post.post(&held_of(&other, 0..1)).await.unwrap();
    post.block().await;
    let told = tokio::time::timeout(seconds(10), post.events.next()).await.unwrap();
    assert!(matches!(told, Some(Event::JobEnded { job, .. }) if job.number == 1), "{told:?}");
    assert_eq!(post.chain.tips().relay, Height(111));
}
