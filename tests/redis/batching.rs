//! Concurrent decisions are sent together, and each gets its own answer.

use std::time::{Duration, Instant};

use tests::limit;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use traffik::{
    backend::{Backend, BackendError},
    client::Key,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow, SlidingWindowCounter},
};
use traffik_redis::RedisBackend;

use crate::{Client, Result, builder, own::Leases, server::Server};

const AT_ONCE: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_decisions_get_their_own_answers() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut asked = JoinSet::new();
    for n in 0..AT_ONCE {
        let backend = backend.clone();
        asked.spawn(async move {
            let strategy: AnyStrategy = if n % 3 == 0 { SlidingWindowCounter.into() } else { FixedWindow.into() };
            let key = Key::from(format!("client-{n}"));
            let rate = format!("{}/30d", 1000 + n).parse()?;
            // Every second decision checks two limits.
            let hit = |uid| Hit::new(limit(uid, &strategy), &key, rate, n + 1);
            let hits = [hit("one"), hit("other")];
            let decision = backend.decide(&hits[..1 + usize::from(n % 2 == 0)]).await?;
            for outcome in decision.outcomes() {
                let past = outcome.past.as_ref().ok_or("nothing was charged")?;
                assert_eq!((past.state.words()[1], past.rate), (n + 1, rate));
            }
            Result::Ok(decision.outcomes().len())
        });
    }
    let mut outcomes = 0;
    while let Some(answered) = asked.join_next().await {
        outcomes += answered??;
    }
    assert_eq!(outcomes as u64, AT_ONCE * 3 / 2);

    let stats = backend.stats();
    assert_eq!(stats.decisions, AT_ONCE);
    assert!(stats.calls < AT_ONCE / 4, "{stats:?}");
    let run = server.raw()?.commands_run()?;
    let programs: u64 = run.iter().filter(|(name, _)| name.starts_with("eval")).map(|(_, calls)| calls).sum();
    // Programs that the server did not know were sent twice.
    assert!((stats.calls..stats.calls + 20).contains(&programs), "{programs} for {stats:?}");
    Ok(())
}

/// Consecutive decisions do not wait to be batched.
#[tokio::test]
async fn single_decision_is_one_call() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = Client::new("alice", FixedWindow, "100/30d")?;
    let before = backend.stats();
    for _ in 0..10 {
        client.decide(&backend, 1).await?;
    }
    let after = backend.stats();
    assert_eq!((after.calls - before.calls, after.decisions - before.decisions), (10, 10));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_about_an_unreadable_state_fails_alone() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let spoilt = Client::new("spoilt", FixedWindow, "5/30d")?;
    spoilt.decide(&backend, 1).await?;
    let key = server.raw()?.keys()?.pop().ok_or("no key")?;
    server.raw()?.call(&["SET", &key, "\u{7f}what a later version stores"])?;

    let mut asked = JoinSet::new();
    for n in 0..200 {
        let backend = backend.clone();
        asked.spawn(async move {
            let name = if n % 10 == 0 { "spoilt" } else { "alice" };
            let answer = Client::new(name, FixedWindow, "1000/30d")?.decide(&backend, 1).await;
            assert_eq!(answer.is_ok(), name == "alice", "{answer:?}");
            Result::Ok(())
        });
    }
    while let Some(answered) = asked.join_next().await {
        answered??;
    }
    let alice = Client::new("alice", FixedWindow, "1000/30d")?.decide(&backend, 0).await?;
    assert_eq!(alice.past.map(|past| past.state.words()[1]), Some(180));
    Ok(())
}

/// A caller waits for a slot at most until its deadline, and a cancelled caller is not charged.
#[tokio::test]
async fn wait_for_a_slot_counts_and_a_cancelled_caller_is_not_charged() -> Result {
    const DEADLINE: Duration = Duration::from_millis(100);
    let server = Server::start()?;
    let backend = RedisBackend::builder(server.url()).namespace("test").command_timeout(DEADLINE).connect().await?;
    Client::new("alice", FixedWindow, "1000/30d")?.decide(&backend, 1).await?;
    server.raw()?.call(&["CLIENT", "PAUSE", "400", "ALL"])?;
    let asked = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..2_000 {
        let backend = backend.clone();
        all.spawn(async move { Result::Ok(Client::new("alice", FixedWindow, "1000/30d")?.decide(&backend, 1).await) });
    }
    let mut not_run = 0;
    while let Some(answered) = all.join_next().await {
        let error = answered??.err().ok_or("a server that sleeps answered")?;
        // A few calls were sent. All others were not, and may be retried.
        assert!(matches!(error, BackendError::Timeout(_) | BackendError::NotRun(_)), "{error}");
        not_run += u64::from(matches!(error, BackendError::NotRun(_)));
    }
    assert!(asked.elapsed() < DEADLINE + Duration::from_millis(900), "{:?}", asked.elapsed());
    let stats = backend.stats();
    assert_eq!(stats.timed_out, 2_000);
    assert!(not_run > 1_800, "{not_run}");

    // The sent calls run late, or are lost with their connection. No other client is charged.
    let used = loop {
        match Client::new("alice", FixedWindow, "1000/30d")?.decide(&backend, 0).await {
            Ok(outcome) => break outcome.past.map_or(0, |past| past.state.words()[1]),
            Err(_) => assert!(asked.elapsed() < Duration::from_secs(20), "it does not come back"),
        }
    };
    let unheard = backend.stats().late + backend.stats().in_doubt;
    assert!(used - 1 <= unheard && (1..300).contains(&unheard), "{used} of {:?}", backend.stats());
    Ok(())
}

/// Cancelled requests: sent calls run and are counted, unsent ones are never sent, and other callers continue.
#[tokio::test]
async fn cancelled_caller_blocks_no_other_call() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = Client::new("alice", FixedWindow, "1000/30d")?;
    client.decide(&backend, 1).await?;
    server.raw()?.call(&["CLIENT", "PAUSE", "100", "ALL"])?;
    for _ in 0..10 {
        assert!(
            timeout(Duration::from_millis(1), client.decide(&backend, 1)).await.is_err(),
            "a server that sleeps answered"
        );
    }
    let after = client.decide(&backend, 1).await?;
    let unheard = after.past.map_or(0, |past| past.state.words()[1]) - 2;
    assert!((1..10).contains(&unheard), "{unheard} were charged");

    let asked = Instant::now();
    while backend.stats().late < unheard {
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?} and not {unheard}", backend.stats());
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((backend.stats().late, backend.stats().decisions), (unheard, unheard + 2));
    Ok(())
}

#[test]
fn call_outside_of_a_runtime_is_an_error() -> Result {
    let server = Server::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let backend = runtime.block_on(builder(&server).connect())?;
    let client = Client::new("alice", FixedWindow, "5/min")?;
    let deciding = client.decide(&backend, 1);
    let error = std::pin::pin!(deciding).poll_once().ok_or("it waits")?.err().ok_or("it was decided")?;
    assert!(error.to_string().contains("runtime"), "{error}");

    let own = Client::new("alice", AnyStrategy::custom(Leases), "5/min")?;
    let deciding = own.decide(&backend, 1);
    let error = std::pin::pin!(deciding).poll_once().ok_or("it waits")?.err().ok_or("it was decided")?;
    assert!(error.to_string().contains("runtime"), "{error}");
    let error =
        std::pin::pin!(backend.clear().into_future()).poll_once().ok_or("it waits")?.err().ok_or("it was cleared")?;
    assert!(error.to_string().contains("runtime"), "{error}");
    let connecting = builder(&server).connect();
    let error = std::pin::pin!(connecting).poll_once().ok_or("it waits")?.err().ok_or("it connected")?;
    assert!(error.to_string().contains("runtime"), "{error}");
    Ok(())
}

trait PollOnce: Future + Sized {
    fn poll_once(self) -> Option<Self::Output>;
}

impl<F: Future + Unpin> PollOnce for F {
    fn poll_once(mut self) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(&mut self).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
