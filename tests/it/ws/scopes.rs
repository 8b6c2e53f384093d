//! Limits per client, per connection, or both.

use std::{panic::AssertUnwindSafe, sync::LazyLock, time::Duration};

use axum::{
    Router,
    extract::{FromRequestParts, WebSocketUpgrade},
    http::Request,
    routing::any,
};
use futures_util::FutureExt;
use traffik::{
    DefaultIdentity, Rate, Settings, Throttle,
    strategy::{AnyStrategy, SlidingWindowLog},
    test::RequestExt,
    web::ws::Messages,
};

use super::{
    Chat, Each, Logged, Sustained,
    rig::{Client, echo, echoing, start, too_many, traffik},
};
use crate::memory::panics::{Fault, Faulty};

#[tokio::test]
async fn connections_of_a_client_share_its_limit() {
    let (traffik, _) = traffik();
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let (mut one, mut other) = (Client::connect(address).await, Client::connect(address).await);
    assert_eq!(one.ask("one").await, "one");
    assert_eq!(other.ask("two").await, "two");
    assert_eq!(one.ask("three").await, "three");
    assert_eq!(other.ask("four").await, too_many(60));
    assert_eq!(one.ask("four").await, too_many(60));
    // Requests share this limit, too.
    assert_eq!(traffik.limiter::<Chat>(std::net::Ipv4Addr::LOCALHOST).peek().await.unwrap().tightest().remaining(), 0);
}

#[tokio::test]
async fn connection_limit_is_separate_for_each_connection() {
    let (traffik, clock) = traffik();
    let (address, _) =
        echoing::<(Chat, Sustained)>(&traffik, |socket, messages| messages.per_connection().throttle(socket)).await;
    let (mut one, mut other) = (Client::connect(address).await, Client::connect(address).await);
    for client in [&mut one, &mut other] {
        for _ in 0..3 {
            assert_eq!(client.ask("hello").await, "hello");
        }
        assert_eq!(client.ask("hello").await, too_many(60));
    }
    clock.advance(Duration::from_secs(60));
    for client in [&mut one, &mut other] {
        for _ in 0..2 {
            assert_eq!(client.ask("hello").await, "hello");
        }
        assert_eq!(client.ask("hello").await, too_many(3540), "both limits are one decision");
    }
    assert_eq!(traffik.limiter::<Chat>(std::net::Ipv4Addr::LOCALHOST).peek().await.unwrap().tightest().remaining(), 3);
}

#[tokio::test]
async fn connection_limit_keeps_its_count_at_an_unlimited_rate() {
    let (traffik, clock) = traffik();
    let (address, _) = echoing::<Each>(&traffik, |socket, messages| messages.per_connection().throttle(socket)).await;
    let mut client = Client::connect(address).await;
    assert_eq!((client.ask("one").await, client.ask("two").await), ("one".to_owned(), "two".to_owned()));
    assert_eq!(client.ask("three").await, too_many(60));

    let limit = traffik.limit("ws:each").unwrap();
    limit.override_rate(std::net::Ipv4Addr::LOCALHOST, Rate::UNLIMITED, Duration::from_secs(5)).unwrap();
    assert_eq!(client.ask("three").await, "three");
    clock.advance(Duration::from_secs(5));
    assert_eq!(client.ask("four").await, too_many(55));
}

#[tokio::test]
async fn client_and_connection_limits_are_charged_together_or_not() {
    let (traffik, clock) = traffik();
    let handler = async |user: Messages<Chat>, each: Messages<Each>, upgrade: WebSocketUpgrade| {
        let messages = user.and_per_connection(&each);
        upgrade.on_upgrade(async move |socket| {
            echo(messages.throttle(socket)).await;
        })
    };
    let address = start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;
    let left =
        async || traffik.limiter::<Chat>(std::net::Ipv4Addr::LOCALHOST).peek().await.unwrap().tightest().remaining();

    let (mut one, mut other) = (Client::connect(address).await, Client::connect(address).await);
    assert_eq!((one.ask("one").await, one.ask("two").await), ("one".to_owned(), "two".to_owned()));
    for _ in 0..5 {
        assert_eq!(one.ask("three").await, too_many(60));
    }
    assert_eq!(left().await, 1, "what the connection refuses is not charged to the client");

    assert_eq!(other.ask("three").await, "three");
    for _ in 0..5 {
        assert_eq!(other.ask("four").await, too_many(60));
    }
    // A message refused by the client limit is not charged to the connection: it has one left until the minute ends.
    traffik.reset::<Chat>(std::net::Ipv4Addr::LOCALHOST).await.unwrap();
    assert_eq!(other.ask("four").await, "four");
    assert_eq!(other.ask("five").await, too_many(60));
    clock.advance(Duration::from_secs(60));
    assert_eq!((other.ask("five").await, one.ask("six").await), ("five".to_owned(), "six".to_owned()));
}

#[tokio::test]
async fn connection_can_have_several_limits() {
    let (traffik, _) = traffik();
    let handler =
        async |one: Messages<Chat>, two: Messages<Each>, user: Messages<Sustained>, upgrade: WebSocketUpgrade| {
            let stacked = user.and_per_connection(&one).and_per_connection(&two);
            let own = one.per_connection().and_per_connection(&two);
            assert_eq!(format!("{stacked:?}"), r#"Messages { uids: ["ws:chat", "ws:each", "ws:sustained"], .. }"#);
            assert_eq!(own.hit().await.unwrap().iter().count(), 2);
            upgrade.on_upgrade(async move |socket| {
                echo(stacked.throttle(socket)).await;
            })
        };
    let address = start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;
    let mut client = Client::connect(address).await;
    assert_eq!((client.ask("one").await, client.ask("two").await), ("one".to_owned(), "two".to_owned()));
    assert_eq!(client.ask("three").await, too_many(60));
    assert_eq!(
        traffik.limiter::<Sustained>(std::net::Ipv4Addr::LOCALHOST).peek().await.unwrap().tightest().remaining(),
        3
    );
}

static FAULT: LazyLock<Fault> = LazyLock::new(Fault::default);

/// A limit whose custom strategy panics on demand.
struct Fragile;

impl Throttle for Fragile {
    const UID: &'static str = "ws:fragile";
    const RATE: Rate = Rate::literal("3/min");
    type Identity = DefaultIdentity;

    fn settings() -> Settings {
        Settings::new().strategy(AnyStrategy::custom(Faulty { inner: SlidingWindowLog.into(), fault: FAULT.clone() }))
    }
}

#[tokio::test]
async fn custom_strategy_that_panics_changes_no_limit_of_its_connection() {
    let (traffik, _) = traffik();
    let (mut parts, ()) = Request::new(()).with_peer("127.0.0.1:50000").into_parts();
    parts.extensions.insert(traffik);
    let messages = Messages::<(Logged, Fragile)>::from_request_parts(&mut parts, &()).await.unwrap().per_connection();
    let left = |limits: &traffik::Limits| limits.iter().map(traffik::Limit::remaining).collect::<Vec<_>>();
    assert_eq!(left(&messages.hit().await.unwrap()), [1, 2]);
    for function in ["charge", "fits", "clamped_to", "summary"] {
        FAULT.set(Some(function));
        assert!(AssertUnwindSafe(messages.hit()).catch_unwind().await.is_err(), "{function} does not panic");
    }
    FAULT.set(None);
    assert_eq!(left(&messages.hit().await.unwrap()), [0, 1]);
}
