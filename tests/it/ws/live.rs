//! Rules, costs and rates that change while a connection is open.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test without an app fails")]

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Waker},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{Request, StatusCode, request::Parts},
};
use traffik::{
    Client, Rate, Rule, Settings, ThrottleRejection, Traffik,
    test::{ManualClock, RequestExt},
    web::ws::{MessageRejection, Messages},
};

use super::{
    Chat,
    rig::{Client as Visitor, echoing, too_many, traffik, unchecked},
};
use crate::http::app::throttle;

const SECOND: Duration = Duration::from_secs(1);

/// Returns the limits of a connection whose handshake is over.
async fn opened<T>(traffik: &Traffik, extension: impl Clone + Send + Sync + 'static) -> Messages<T>
where
    Messages<T>: FromRequestParts<(), Rejection = ThrottleRejection>,
{
    let request = Request::get("/chat").extension(extension).body(()).unwrap_or_default();
    let (mut parts, ()) = request.with_peer("127.0.0.1:50000").into_parts();
    parts.extensions.insert(traffik.clone());
    Messages::from_request_parts(&mut parts, &()).await.unwrap()
}

/// Returns the number of messages that are admitted at this time.
async fn admitted<T>(messages: &Messages<T>) -> usize {
    for admitted in 0..100 {
        match messages.hit().await {
            Ok(limits) if limits.iter().any(traffik::Limit::is_counted) => {}
            Ok(_) => return usize::MAX,
            Err(MessageRejection::Limited(_)) => return admitted,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("a hundred are admitted")
}

static IS_ON: AtomicBool = AtomicBool::new(false);
throttle!(Switched, "ws:switched", "2/hour", Settings::new().rule(Rule::when(|_| IS_ON.load(SeqCst))));

#[tokio::test]
async fn rule_that_is_switched_on_holds_for_open_sockets_within_a_second() {
    let (traffik, clock) = traffik();
    let (address, _) = echoing::<Switched>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut visitor = Visitor::connect(address).await;
    let (client, connection) = (opened::<Switched>(&traffik, ()).await, opened::<Switched>(&traffik, ()).await);
    let connection = connection.per_connection();
    let both = opened::<Chat>(&traffik, ()).await.and_per_connection(&opened::<Switched>(&traffik, ()).await);
    assert_eq!(visitor.ask("hello").await, "hello");

    IS_ON.store(true, SeqCst);
    clock.advance(SECOND - Duration::from_micros(1));
    assert_eq!([admitted(&client).await, admitted(&connection).await], [usize::MAX; 2]);
    assert_eq!(admitted(&both).await, 3, "the limit of the client alone");

    clock.advance(Duration::from_secs(60));
    assert_eq!([visitor.ask("hello").await, visitor.ask("hello").await], ["hello"; 2]);
    assert_eq!(visitor.ask("hello").await, too_many(3600 - 60));
    assert_eq!(admitted(&client).await, 0, "all connections of the client share it");
    assert_eq!([admitted(&connection).await, admitted(&both).await], [2; 2]);

    IS_ON.store(false, SeqCst);
    clock.advance(SECOND);
    assert_eq!(visitor.ask("hello").await, "hello");
    assert_eq!([admitted(&client).await, admitted(&connection).await], [usize::MAX; 2]);
    IS_ON.store(true, SeqCst);
    clock.advance(SECOND);
    assert_eq!([admitted(&client).await, admitted(&connection).await], [0; 2], "the count stays");
}

static IS_ADDED: AtomicBool = AtomicBool::new(false);
throttle!(Plain, "ws:plain", "2/hour");

#[tokio::test]
async fn added_rule_that_is_switched_on_holds_for_open_sockets_within_a_second() {
    let (traffik, clock) = traffik();
    traffik.register::<Plain>().unwrap();
    let before = opened::<Plain>(&traffik, ()).await;
    traffik.limit("ws:plain").unwrap().add_rule(Rule::when(|_| IS_ADDED.load(SeqCst))).unwrap();
    let after = opened::<Plain>(&traffik, ()).await.per_connection();
    assert_eq!([admitted(&before).await, admitted(&after).await], [usize::MAX; 2]);

    IS_ADDED.store(true, SeqCst);
    clock.advance(SECOND - Duration::from_micros(1));
    assert_eq!([admitted(&before).await, admitted(&after).await], [usize::MAX; 2]);
    clock.advance(Duration::from_micros(1));
    assert_eq!([admitted(&before).await, admitted(&after).await], [2; 2]);

    traffik.limit("ws:plain").unwrap().clear();
    IS_ADDED.store(false, SeqCst);
    clock.advance(SECOND);
    assert_eq!([admitted(&before).await, admitted(&after).await], [0; 2]);
}

static RATE: RwLock<Rate> = RwLock::new(Rate::literal("2/hour"));
static COST: AtomicU64 = AtomicU64::new(1);
static CALLS: AtomicU64 = AtomicU64::new(0);
throttle!(
    Changing,
    "ws:changing",
    "1/hour",
    Settings::new().cost_of(|_| COST.load(SeqCst)).rate_of(|_, _| {
        CALLS.fetch_add(1, SeqCst);
        *RATE.read().unwrap_or_else(PoisonError::into_inner)
    })
);

#[tokio::test]
async fn rate_and_cost_by_function_are_evaluated_at_most_once_a_second() {
    let (traffik, clock) = traffik();
    let messages = opened::<Changing>(&traffik, ()).await;
    assert_eq!(admitted(&messages).await, 2);

    *RATE.write().unwrap_or_else(PoisonError::into_inner) = Rate::literal("6/hour");
    COST.store(2, SeqCst);
    assert_eq!((admitted(&messages).await, CALLS.load(SeqCst)), (0, 1));
    clock.advance(SECOND);
    assert_eq!(admitted(&messages).await, 2);
    assert_eq!((admitted(&messages).await, CALLS.load(SeqCst)), (0, 2));
    clock.advance(100 * SECOND);
    assert_eq!((admitted(&messages).await, CALLS.load(SeqCst)), (0, 3));
    assert_eq!(messages.hit_costing(0).await.unwrap().iter().filter(|limit| limit.is_counted()).count(), 0);
}

static IS_BROKEN: AtomicBool = AtomicBool::new(false);
throttle!(
    Broken,
    "ws:broken",
    "5/hour",
    Settings::new().cost_of(|_| if IS_BROKEN.load(SeqCst) { Err(StatusCode::IM_A_TEAPOT) } else { Ok(1) })
);

#[tokio::test]
async fn function_that_rejects_later_rejects_the_messages_of_that_second() {
    let (traffik, clock) = traffik();
    let (address, _) = echoing::<Broken>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut visitor = Visitor::connect(address).await;
    let messages = opened::<Broken>(&traffik, ()).await;
    assert!(messages.hit().await.is_ok());

    IS_BROKEN.store(true, SeqCst);
    clock.advance(SECOND);
    for _ in 0..2 {
        let rejection = messages.hit().await.unwrap_err();
        assert_eq!((rejection.status(), rejection.retry_after()), (StatusCode::IM_A_TEAPOT, Some(SECOND)));
        assert_eq!(rejection.to_string(), "a function of the throttle rejected the request");
        assert_eq!(visitor.ask("hello").await, unchecked(1));
    }
    IS_BROKEN.store(false, SeqCst);
    clock.advance(SECOND);
    assert_eq!(messages.hit().await.unwrap().tightest().remaining(), 3);
    assert_eq!(visitor.ask("hello").await, "hello");
}

static IS_IDENTIFIED: AtomicBool = AtomicBool::new(false);
static IDENTIFIED: AtomicU64 = AtomicU64::new(0);
throttle!(
    Named,
    "ws:named",
    "9/hour",
    Settings::new().rule(Rule::when(|_| IS_IDENTIFIED.load(SeqCst))).identity(|_: &Parts| {
        IDENTIFIED.fetch_add(1, SeqCst);
        Client::from("ann")
    })
);

#[tokio::test]
async fn client_is_identified_once_for_a_connection_when_the_limit_first_applies() {
    let (traffik, clock) = traffik();
    let messages = opened::<Named>(&traffik, ()).await;
    assert!(messages.hit().await.is_ok());
    assert_eq!(IDENTIFIED.load(SeqCst), 0);

    IS_IDENTIFIED.store(true, SeqCst);
    for _ in 0..3 {
        clock.advance(SECOND);
        assert!(messages.hit().await.is_ok());
        assert_eq!(IDENTIFIED.load(SeqCst), 1);
    }
    assert_eq!(traffik.limiter::<Named>("ann").peek().await.unwrap().tightest().remaining(), 6);
}

#[tokio::test]
async fn socket_keeps_a_copy_of_its_request_until_it_ends() {
    let (traffik, _) = traffik();
    let extension = Arc::new(());
    let plain = opened::<Chat>(&traffik, Arc::clone(&extension)).await;
    assert_eq!(Arc::strong_count(&extension), 2);
    let with_rules = opened::<Switched>(&traffik, Arc::clone(&extension)).await;
    assert_eq!(Arc::strong_count(&extension), 3);
    drop((plain, with_rules));
    assert_eq!(Arc::strong_count(&extension), 1);
}

/// An identity that knows the client, never returns, or fails, as the extension of the request says.
#[derive(Debug)]
struct Moody;

const KNOWS: u8 = 0;
const HANGS: u8 = 1;
const FAILS: u8 = 2;

impl FromRequestParts<()> for Moody {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, (): &()) -> Result<Self, StatusCode> {
        match parts.extensions.get::<Arc<AtomicU8>>().map(|mood| mood.load(SeqCst)) {
            Some(KNOWS) => Ok(Self),
            Some(HANGS) => std::future::pending().await,
            _ => Err(StatusCode::BAD_GATEWAY),
        }
    }
}

impl From<Moody> for Client {
    fn from(Moody: Moody) -> Self {
        "alice".into()
    }
}

throttle!(OfMoody, "ws:of-moody", "2/hour", Settings::new(), Moody);

/// Returns a connection whose client is not known, because its limit was disabled, and what its identity does. The limit is
/// enabled again.
async fn opened_while_disabled() -> (Messages<OfMoody>, Arc<AtomicU8>, ManualClock) {
    let (traffik, clock) = traffik();
    let mood = Arc::new(AtomicU8::new(KNOWS));
    assert!(traffik.limiter::<OfMoody>("bob").peek().await.is_ok());
    let limit = traffik.limit("ws:of-moody").unwrap();
    limit.disable();
    let messages = opened::<OfMoody>(&traffik, Arc::clone(&mood)).await;
    assert_eq!(admitted(&messages).await, usize::MAX);
    limit.enable();
    (messages, mood, clock)
}

#[tokio::test]
async fn message_whose_future_is_dropped_keeps_no_connection_unlimited() {
    let (messages, mood, clock) = opened_while_disabled().await;
    mood.store(HANGS, SeqCst);
    let mut dropped = Box::pin(messages.hit());
    assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(dropped);
    mood.store(KNOWS, SeqCst);
    clock.advance(SECOND);
    assert_eq!(admitted(&messages).await, 2);
}

#[tokio::test]
async fn identity_that_failed_once_is_asked_again_within_a_second() {
    let (messages, mood, clock) = opened_while_disabled().await;
    mood.store(FAILS, SeqCst);
    assert!(matches!(messages.hit().await, Err(MessageRejection::Rejected(_))));
    mood.store(KNOWS, SeqCst);
    clock.advance(SECOND);
    assert_eq!(admitted(&messages).await, 2);
}
