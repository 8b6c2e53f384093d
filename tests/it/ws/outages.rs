//! A backend that stops answering while a connection is open.

use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::Message;
use traffik::{
    Traffik, TraffikBuilder,
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
    on_error::{Allow, Failover, Failure, Raise, Resolution},
    test::ManualClock,
    web::ws::{
        MessageRejection,
        over_limit::{Action, Close, Skip, Violation, Wait},
    },
};

use crate::owned::{hits_of, owned};

use super::{
    Chat, Each, Large,
    rig::{Client, echoing, ended, serve, too_many, traffik, unchecked},
};

/// A backend that waits, fails or hangs on demand.
#[derive(Clone, Debug)]
struct Remote {
    store: MemoryBackend,
    mood: Arc<AtomicU8>,
}

const ANSWERS: u8 = 0;
const IS_AWAY: u8 = 1;
const HANGS: u8 = 2;

impl Remote {
    fn is(&self, mood: u8) {
        self.mood.store(mood, Ordering::Relaxed);
    }
}

impl Backend for Remote {
    fn namespace(&self) -> &str {
        self.store.namespace()
    }

    fn clock(&self) -> AnyClock {
        Backend::clock(&self.store)
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            tokio::task::yield_now().await;
            match self.mood.load(Ordering::Relaxed) {
                ANSWERS => self.store.decide(hits).await,
                IS_AWAY => Err(BackendError::unavailable("there is no connection")),
                _ => pending().await,
            }
        })
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.store.peek(hits)
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        self.store.adjust(adjustments)
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        self.store.renew(charges)
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.store.control(request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        self.store.reset(hits)
    }

    fn clear(&self) -> Answer<'_, ()> {
        self.store.clear()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.store.close()
    }
}

fn remote(set_up: impl FnOnce(TraffikBuilder) -> TraffikBuilder) -> (Traffik, Remote, ManualClock) {
    let clock = ManualClock::new();
    let remote = Remote { store: MemoryBackend::with_clock("test", clock.clone()), mood: Arc::default() };
    (set_up(Traffik::builder(remote.clone())).build().unwrap_or_else(|_| Traffik::disabled()), remote, clock)
}

#[tokio::test]
async fn message_during_an_outage_is_skipped_with_a_notification() {
    let (traffik, remote, clock) = remote(|builder| builder);
    let set_up = |socket, messages: traffik::web::ws::Messages<Chat>| {
        // An outage does not count as a violation.
        messages.throttle(socket).over_limit(Close::after(2))
    };
    let (address, mut ends) = echoing::<Chat>(&traffik, set_up).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.ask("one").await, "one");

    remote.is(IS_AWAY);
    for _ in 0..5 {
        assert_eq!(client.ask("lost").await, unchecked(1));
    }
    remote.is(HANGS);
    client.send("lost").await;
    assert!(client.hears_nothing().await);
    clock.advance(Duration::from_millis(100));
    assert_eq!(client.text().await, unchecked(1));

    remote.is(ANSWERS);
    assert_eq!(client.ask("two").await, "two");
    assert_eq!(client.ask("three").await, "three");
    assert_eq!(client.ask("four").await, too_many(60));

    traffik.close().await.unwrap();
    assert_eq!(client.ask("lost").await, unchecked(1));
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, 3);
}

#[tokio::test]
async fn on_error_policy_decides_messages_during_an_outage() {
    let (traffik, remote, _) = remote(|builder| builder.on_error(Allow));
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    remote.is(IS_AWAY);
    for _ in 0..10 {
        assert_eq!(client.ask("hello").await, "hello");
    }
}

#[tokio::test]
async fn fallback_decides_messages_during_an_outage() {
    let (traffik, remote, _) = remote(|builder| {
        let clock = ManualClock::new();
        builder.on_error(Failover::to(MemoryBackend::with_clock("fallback", clock)))
    });
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    remote.is(IS_AWAY);
    for _ in 0..3 {
        assert_eq!(client.ask("hello").await, "hello");
    }
    assert_eq!(client.ask("hello").await, too_many(60));
}

#[tokio::test]
async fn raised_error_keeps_the_connection() {
    let (traffik, remote, _) = remote(|builder| builder.on_error(Raise));
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let mut socket = messages.throttle(socket);
        let mut raised = 0;
        while let Some(received) = socket.recv().await {
            match received.map_err(|error| error.into_inner().downcast::<MessageRejection>()) {
                Ok(message @ Message::Text(_)) => drop(socket.send(message).await),
                Ok(_) => {}
                Err(Ok(rejection)) => raised += usize::from(matches!(*rejection, MessageRejection::Raised(_))),
                Err(Err(other)) => panic!("{other}"),
            }
        }
        raised
    })
    .await;
    let mut client = Client::connect(address).await;
    remote.is(IS_AWAY);
    client.send("lost").await;
    client.send("lost").await;
    // The answer comes after both decisions.
    client.send(tokio_tungstenite::tungstenite::Message::Ping("".into())).await;
    client.message().await;
    remote.is(ANSWERS);
    assert_eq!(client.ask("one").await, "one");
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, 2);
}

#[tokio::test]
async fn outage_keeps_the_connection_under_every_action() {
    let (traffik, remote, clock) = remote(|builder| builder);
    let never = async |_: Violation| -> Action { panic!("an outage does not count as a violation") };

    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket).over_limit(Skip)).await;
    let mut skipping = Client::connect(address).await;
    let (address, _) =
        echoing::<Large>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(never)).await;
    let mut asking = Client::connect(address).await;
    let wait = Wait::up_to(Duration::from_secs(1));
    let (address, _) =
        echoing::<Each>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;
    let mut waiting = Client::connect(address).await;

    remote.is(IS_AWAY);
    skipping.send("lost").await;
    assert!(skipping.hears_nothing().await);
    assert_eq!(asking.ask("lost").await, unchecked(1));
    waiting.send("held").await;
    assert!(waiting.hears_nothing().await);

    remote.is(ANSWERS);
    clock.advance(Duration::from_secs(1));
    assert_eq!(waiting.text().await, "held");
    assert_eq!(skipping.ask("hello").await, "hello");
    assert_eq!(asking.ask("hello").await, "hello");
}

#[tokio::test]
async fn connection_limits_need_no_backend() {
    let (traffik, remote, _) = remote(|builder| builder);
    let (address, _) = echoing::<Each>(&traffik, |socket, messages| messages.per_connection().throttle(socket)).await;
    remote.is(IS_AWAY);
    let mut client = Client::connect(address).await;
    assert_eq!(client.ask("one").await, "one");
    assert_eq!(client.ask("two").await, "two");
    assert_eq!(client.ask("three").await, too_many(60));
}

#[tokio::test]
async fn closed_memory_backend_keeps_the_connections() {
    let (traffik, _) = traffik();
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    traffik.close().await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.ask("lost").await, unchecked(1));
    }
}

/// The error function refuses with a wait of zero. The backend still gets a pause between calls.
#[tokio::test]
async fn unavailable_backend_is_called_with_pauses() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let (traffik, remote, clock) = remote(|builder| {
        builder.on_error(move |_: Failure| {
            count.fetch_add(1, Ordering::Relaxed);
            ready(Ok::<_, Infallible>(Resolution::RefuseFor(Duration::ZERO)))
        })
    });
    let wait = Wait::up_to(Duration::from_secs(1));
    let (address, _) =
        echoing::<Chat>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;
    let mut client = Client::connect(address).await;
    remote.is(IS_AWAY);
    client.send("held").await;
    assert!(client.hears_nothing().await);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    for times in 2..6 {
        clock.advance(Duration::from_millis(100));
        assert!(client.hears_nothing().await);
        assert_eq!(asked.load(Ordering::Relaxed), times);
    }
    remote.is(ANSWERS);
    clock.advance(Duration::from_millis(100));
    assert_eq!(client.text().await, "held");
}
