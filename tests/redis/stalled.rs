//! Calls that were polled once and then kept do not delay other calls.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::{Duration, Instant},
};

use axum::extract::ws;
use futures_util::{Stream, StreamExt, stream};
use tests::admits;
use tokio::{
    runtime::Runtime,
    sync::broadcast,
    time::{sleep, timeout},
};
use traffik::{
    DefaultIdentity, Rate, Settings, Throttle, Traffik,
    backend::{Backend, BackendError, MemoryBackend},
    breaker::{BreakerState, CircuitBreaker},
    clock::Timestamp,
    decision::Charge,
    on_error::Failover,
    strategy::{AnyStrategy, Concurrency, FixedWindow},
};
use traffik_redis::RedisBackend;

use crate::{Client, PLENTY, Result, builder, cluster::Cluster, link::Link, own::Leases, rig, server::Server};

throttles! {
    Mails: "kept:mails", "100000/30d", Settings::new();
}

/// Longer than a call takes on a busy machine. A call that waits for a kept call takes this long.
const DEADLINE: Duration = Duration::from_secs(3);

/// Slack for a busy machine, added to the time of a call.
const SLACK: Duration = Duration::from_millis(1500);

pub(crate) type Call = Pin<Box<dyn Future<Output = std::result::Result<(), BackendError>> + Send>>;

/// The calls of a backend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Decide,
    DecideByCustomStrategy,
    Peek,
    Refund,
    Renew,
    Reset,
}

const OPERATIONS: [Operation; 6] = [
    Operation::Decide,
    Operation::DecideByCustomStrategy,
    Operation::Peek,
    Operation::Refund,
    Operation::Renew,
    Operation::Reset,
];

impl Operation {
    pub(crate) fn start(self, backend: &RedisBackend) -> Call {
        let backend = backend.clone();
        Box::pin(async move {
            let strategy = match self {
                Self::DecideByCustomStrategy => AnyStrategy::custom(Leases),
                Self::Renew => Concurrency.into(),
                _ => FixedWindow.into(),
            };
            let client = Client::new("alice", strategy, "100/30d").map_err(BackendError::unavailable)?;
            let charge = Charge::new(client.hit(1), Timestamp::from_micros(1));
            match self {
                Self::Decide | Self::DecideByCustomStrategy => client.decide(&backend, 1).await.map(drop),
                Self::Peek => backend.peek(&[client.hit(1)]).await.map(drop),
                Self::Refund => backend.adjust(&[charge.refund()]).await.map(drop),
                Self::Renew => backend.renew(&[charge]).await.map(drop),
                Self::Reset => backend.reset(&[client.hit(1)]).await,
            }
        })
    }
}

/// Polls a call once, and returns it.
async fn polled_once<T>(mut call: Pin<Box<T>>) -> Pin<Box<T>>
where
    T: Future + ?Sized,
{
    poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending(), "the call was answered without waiting");
        Poll::Ready(())
    })
    .await;
    call
}

pub(crate) async fn kept(count: usize, start: impl Fn() -> Call) -> Vec<Call> {
    let mut calls = Vec::new();
    for _ in 0..count {
        calls.push(polled_once(start()).await);
    }
    calls
}

async fn answered_in_normal_time(call: impl Future<Output = std::result::Result<(), BackendError>>) -> Result {
    let asked = Instant::now();
    call.await?;
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    Ok(())
}

#[tokio::test]
async fn kept_calls_delay_no_other_call() -> Result {
    let server = Server::start()?;
    for count in [1, 2, 100] {
        for operation in OPERATIONS {
            let backend = builder(&server).command_timeout(DEADLINE).connect().await?;
            let calls = kept(count, || operation.start(&backend)).await;
            for other in OPERATIONS {
                for _ in 0..3 {
                    let answered = answered_in_normal_time(other.start(&backend)).await;
                    answered.map_err(|error| format!("{other:?} after {count} of {operation:?}: {error}"))?;
                }
            }
            assert_eq!(calls.len(), count);
        }
    }
    Ok(())
}

#[tokio::test]
async fn kept_calls_do_not_look_like_a_dead_connection() -> Result {
    let server = Server::start()?;
    for operation in OPERATIONS {
        let backend = builder(&server).command_timeout(DEADLINE).connect().await?;
        let calls = kept(3, || operation.start(&backend)).await;
        sleep(Duration::from_secs(1)).await;
        let stats = backend.stats();
        assert_eq!((stats.given_up, stats.connected), (0, 1), "{operation:?}");
        answered_in_normal_time(Operation::Decide.start(&backend)).await?;
        drop(calls);
    }
    Ok(())
}

#[tokio::test]
async fn kept_call_has_its_answer_when_it_is_polled_again() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).command_timeout(DEADLINE).connect().await?;
    for operation in OPERATIONS {
        let calls = kept(1, || operation.start(&backend)).await;
        // Longer than the deadline, which applies until the answer arrives, not until the caller polls.
        sleep(DEADLINE + Duration::from_millis(100)).await;
        for call in calls {
            call.await.map_err(|error| format!("{operation:?}: {error}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn slow_consumer_of_buffered_decisions_delays_no_other_decision() -> Result {
    let server = Server::start()?;
    let traffik = Traffik::builder(builder(&server).command_timeout(DEADLINE).connect().await?);
    let traffik = traffik.backend_timeout(DEADLINE).build()?;
    let decisions = stream::iter(0..32_u64).map(|client| traffik.limiter::<Mails>(client).check()).buffer_unordered(8);
    let mut decisions = std::pin::pin!(decisions);
    let mut admitted = 0;
    poll_fn(|context| {
        assert!(decisions.as_mut().poll_next(context).is_pending(), "a decision was made without waiting");
        Poll::Ready(())
    })
    .await;
    assert!(admits::<Mails>(&traffik, "other").await?);
    while let Some(permit) = decisions.next().await {
        drop(permit?);
        admitted += 1;
        // The buffered decisions are not polled while this one is.
        let asked = Instant::now();
        assert!(admits::<Mails>(&traffik, "other").await?);
        assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    }
    assert_eq!(admitted, 32);
    Ok(())
}

/// A handler that selects between receiving and a broadcast, and peers that do not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_of_peers_that_do_not_read_delay_no_other_decision() -> Result {
    let server = Server::start()?;
    let backend = RedisBackend::builder(server.url()).namespace("test").command_timeout(PLENTY).connect().await?;
    let traffik = Traffik::builder(backend.clone()).backend_timeout(PLENTY).build()?;
    let (news, _) = broadcast::channel::<()>(1);
    let (handler_news, blocked) = (news.clone(), std::sync::Arc::new(AtomicUsize::new(0)));
    let handler_blocked = std::sync::Arc::clone(&blocked);
    let (address, _ends) = rig::serve::<Mails, _, _>(&traffik, move |socket, messages| {
        let (mut news, blocked) = (handler_news.subscribe(), std::sync::Arc::clone(&handler_blocked));
        async move {
            let mut socket = messages.throttle(socket);
            loop {
                tokio::select! {
                    message = socket.recv() => if message.is_none() { break },
                    _ = news.recv() => {
                        blocked.fetch_add(1, Ordering::SeqCst);
                        let large = ws::Message::Binary(vec![7; 100_000_000].into());
                        if socket.send(large).await.is_err() { break }
                    }
                }
            }
        }
    })
    .await;

    let mut peers = [rig::Client::connect(address).await, rig::Client::connect(address).await];
    let before = backend.stats().decisions;
    server.hang()?;
    for peer in &mut peers {
        peer.send("hello").await;
    }
    until(|| backend.stats().decisions >= before + 2).await?;
    news.send(())?;
    until(|| blocked.load(Ordering::SeqCst) == 2).await?;
    server.go_on()?;
    for _ in 0..10 {
        let asked = Instant::now();
        assert!(admits::<Mails>(&traffik, "other").await?);
        assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    }
    drop(peers);
    Ok(())
}

async fn until(is_so: impl Fn() -> bool) -> Result {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > PLENTY {
            return Err("it does not come to be so".into());
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// Two runtimes that share a backend, whose server hangs. The runtime that ends has both calls in flight, one after the
/// other.
struct TwoRuntimes {
    server: Server,
    stays: Runtime,
    ends: Runtime,
    backend: RedisBackend,
}

impl TwoRuntimes {
    fn start() -> Result<Self> {
        let (server, stays, ends) = (Server::start()?, runtime()?, runtime()?);
        let backend = stays.block_on(builder(&server).connect())?;
        stays.block_on(Operation::Decide.start(&backend))?;
        server.hang()?;
        Ok(Self { server, stays, ends, backend })
    }

    /// Decisions in flight in the runtime that ends.
    fn in_flight(&self) -> Result<Vec<Call>> {
        let mut calls = Vec::new();
        self.ends.block_on(async {
            for _ in 0..2 {
                let before = self.backend.stats().calls;
                calls.push(polled_once(Operation::Decide.start(&self.backend)).await);
                until(|| self.backend.stats().calls > before).await?;
            }
            Result::Ok(())
        })?;
        Ok(calls)
    }
}

#[test]
fn runtime_that_ends_during_a_call_does_not_affect_others() -> Result {
    let two = TwoRuntimes::start()?;
    let mut lost = two.in_flight()?;
    for operation in OPERATIONS {
        lost.extend(two.ends.block_on(kept(2, || operation.start(&two.backend))));
    }
    // These decisions wait behind those in flight in the other runtime.
    let mut others = Vec::new();
    for operation in OPERATIONS {
        others.extend(two.stays.block_on(kept(20, || operation.start(&two.backend))));
    }
    two.ends.shutdown_timeout(PLENTY);
    two.server.go_on()?;
    for other in others {
        two.stays.block_on(async { timeout(PLENTY, other).await })??;
    }
    for (place, lost) in lost.into_iter().enumerate() {
        let error = two.stays.block_on(async { timeout(PLENTY, lost).await })?.err().ok_or("its runtime has ended")?;
        let was_sent = place < 2;
        assert!(matches!(error, BackendError::Unavailable(_)) || !was_sent, "it may have run: {error}");
    }
    Ok(())
}

#[test]
fn call_unsent_when_its_runtime_ends_did_not_run() -> Result {
    let two = TwoRuntimes::start()?;
    let _in_flight = two.in_flight()?;
    let waiting = two.ends.block_on(polled_once(Operation::Decide.start(&two.backend)));
    two.ends.shutdown_timeout(PLENTY);
    two.server.go_on()?;
    let error = two.stays.block_on(waiting).err().ok_or("it was decided")?;
    assert!(matches!(error, BackendError::NotRun(_)), "{error}");
    Ok(())
}

/// Every operation is answered after the runtime of the connections has ended.
fn answered_after_its_runtime(backend: &RedisBackend, ends: Runtime) -> Result {
    let stays = runtime()?;
    ends.block_on(Operation::Decide.start(backend))?;
    ends.shutdown_timeout(PLENTY);
    stays.block_on(async {
        for operation in OPERATIONS {
            // The first call may still be sent on the lost connection.
            let began = Instant::now();
            while let Err(error) = operation.start(backend).await {
                assert!(began.elapsed() < PLENTY, "{operation:?}: {error}");
            }
            answered_in_normal_time(operation.start(backend)).await?;
        }
        Ok(())
    })
}

#[test]
fn connection_is_made_again_when_its_runtime_has_ended() -> Result {
    let (server, ends) = (Server::start()?, runtime()?);
    let backend = ends.block_on(builder(&server).connect())?;
    answered_after_its_runtime(&backend, ends)
}

#[test]
fn connections_to_a_cluster_are_made_again_when_their_runtime_has_ended() -> Result {
    let (cluster, ends) = (Cluster::start()?, runtime()?);
    let backend = ends.block_on(cluster.builder().connect())?;
    answered_after_its_runtime(&backend, ends)
}

/// Returns a runtime that nothing drives, with two calls of an operation in flight.
fn runtime_that_stands_still(backend: &RedisBackend, operation: Operation) -> Result<(Runtime, Vec<Call>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let calls = runtime.block_on(async {
        let mut calls = Vec::new();
        while calls.len() < 2 {
            let mut call = operation.start(backend);
            // On a busy machine the server may answer earlier, since another runtime drives the connection.
            let is_pending = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
            calls.extend(is_pending.then_some(call));
            tests::until_idle().await;
        }
        calls
    });
    Ok((runtime, calls))
}

#[test]
fn runtime_that_is_not_driven_delays_no_other() -> Result {
    let (server, stays) = (Server::start()?, runtime()?);
    let deadline = Duration::from_millis(200);
    for operation in OPERATIONS {
        let backend = stays.block_on(builder(&server).command_timeout(deadline).connect())?;
        let still = runtime_that_stands_still(&backend, operation)?;
        stays.block_on(async {
            // Until the slots of its calls are found abandoned.
            let began = Instant::now();
            for other in OPERATIONS {
                while let Err(error) = other.start(&backend).await {
                    assert!(began.elapsed() < SLACK, "{other:?} during {operation:?}: {error}");
                }
                answered_in_normal_time(other.start(&backend)).await?;
            }
            // A connection on which only such calls wait is not dead.
            sleep(Duration::from_secs(2)).await;
            let before = backend.stats().given_up;
            sleep(Duration::from_millis(500)).await;
            assert_eq!(backend.stats().given_up, before, "during {operation:?}");
            Result::Ok(())
        })?;
        drop(still);
    }
    Ok(())
}

#[tokio::test]
async fn kept_decisions_of_an_outage_delay_no_later_call() -> Result {
    let mut server = Server::start()?;
    let backend = RedisBackend::builder(server.url()).namespace("test").connect().await?;
    server.hang()?;
    let mut hung = Vec::new();
    for operation in OPERATIONS {
        hung.extend(kept(20, || operation.start(&backend)).await);
    }
    server.go_on()?;
    answered_again(&backend).await?;
    server.kill()?;
    let lost: Vec<Call> = OPERATIONS.iter().cycle().take(120).map(|operation| operation.start(&backend)).collect();
    let mut lost_calls = Vec::new();
    for mut call in lost {
        // Without a connection some calls are answered without waiting.
        let is_pending = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        lost_calls.extend(is_pending.then_some(call));
    }
    server.start_again()?;
    answered_again(&backend).await?;
    drop((hung, lost_calls));
    Ok(())
}

/// Every operation is answered as soon as the connection is back.
async fn answered_again(backend: &RedisBackend) -> Result {
    let began = Instant::now();
    for operation in OPERATIONS {
        while let Err(error) = operation.start(backend).await {
            assert!(began.elapsed() < SLACK + Duration::from_millis(500), "kept calls delay {operation:?}: {error}");
        }
    }
    Ok(())
}

/// The trials of a half-open breaker are kept: others make trials once the recovery timeout has passed.
#[tokio::test]
async fn kept_trials_do_not_pin_the_app_on_its_fallback() -> Result {
    let server = Server::start()?;
    let redis = RedisBackend::builder(server.url()).namespace("test").connect().await?;
    let recovery = Duration::from_millis(200);
    let breaker =
        CircuitBreaker::builder().failure_threshold(1).success_threshold(3).recovery_timeout(recovery).build()?;
    let traffik = Traffik::builder(redis)
        .on_error(Failover::to(MemoryBackend::new("fallback")).breaker(breaker.clone()))
        .build()?;
    server.hang()?;
    while breaker.state() == BreakerState::Closed {
        let _ = traffik.limiter::<Mails>("alice").check().await?;
    }
    server.go_on()?;
    sleep(2 * recovery).await;
    let mut trials = Vec::new();
    for _ in 0..3 {
        trials.push(polled_once(Box::pin(traffik.limiter::<Mails>("alice").check())).await);
    }
    let began = Instant::now();
    while breaker.state() != BreakerState::Closed {
        assert!(began.elapsed() < PLENTY, "{:?}", breaker.status());
        let _ = traffik.limiter::<Mails>("bob").check().await?;
        sleep(Duration::from_millis(5)).await;
    }
    assert!(!traffik.limiter::<Mails>("bob").check().await?.is_from_fallback());
    drop(trials);
    Ok(())
}

/// A group of slots has at most sixteen calls in flight.
#[tokio::test]
async fn kept_calls_delay_no_other_call_in_a_cluster() -> Result {
    let cluster = Cluster::start()?;
    let backend = cluster.builder().command_timeout(DEADLINE).connect().await?;
    for operation in OPERATIONS {
        let calls = kept(100, || operation.start(&backend)).await;
        for other in OPERATIONS {
            let answered = answered_in_normal_time(other.start(&backend)).await;
            answered.map_err(|error| format!("{other:?} after {operation:?}: {error}"))?;
        }
        drop(calls);
    }
    assert_eq!(backend.stats().given_up, 0);
    Ok(())
}

/// Calls before the first connection are not sent once it exists, if their deadline has passed.
#[tokio::test]
async fn call_that_waits_for_the_first_connection_is_not_sent_after_its_deadline() -> Result {
    let server = Server::start()?;
    let link = Link::to(server.port()).await?;
    link.cut();
    let backend = RedisBackend::builder(link.url()).namespace("test:redis").connect_lazy()?;
    for _ in 0..3 {
        let alice = Client::new("alice", FixedWindow, "1000/30d")?;
        let error = alice.decide(&backend, 1).await.err().ok_or("the call was answered without a connection")?;
        assert!(matches!(error, BackendError::NotRun(_)), "{error}");
    }
    link.mend();
    let began = Instant::now();
    let charged = loop {
        match Client::new("alice", FixedWindow, "1000/30d")?.decide(&backend, 0).await {
            Ok(outcome) => break outcome.past.map_or(0, |past| past.state.words()[1]),
            Err(error) => assert!(began.elapsed() < PLENTY, "{error}"),
        }
    };
    assert_eq!(charged, 0);
    Ok(())
}
