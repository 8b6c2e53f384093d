//! Messages that are held until there is room.

use std::{net::SocketAddr, time::Duration};

use axum::extract::ws;
use tokio_tungstenite::tungstenite::Message;
use traffik::{test::ManualClock, web::ws::over_limit::Wait};

use super::{
    Dear, Each, Penalised, Queue,
    rig::{Client, echoing, ended, goes_on, serve, too_many, traffik},
};
use crate::metrics::scrape::Recorded;

#[tokio::test]
async fn held_message_waits_for_room_and_keeps_the_order() {
    let (traffik, clock) = traffik();
    let wait = Wait::up_to(Duration::from_secs(60));
    let (address, mut ends) =
        echoing::<Each>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;

    let mut client = Client::connect(address).await;
    for text in ["one", "two", "three", "four", "five"] {
        client.send(text).await;
    }
    assert_eq!((client.text().await, client.text().await), ("one".to_owned(), "two".to_owned()));
    assert!(client.hears_nothing().await);
    clock.advance(Duration::from_millis(59_999));
    assert!(client.hears_nothing().await);
    clock.advance(Duration::from_millis(1));
    assert_eq!((client.text().await, client.text().await), ("three".to_owned(), "four".to_owned()));
    assert!(client.hears_nothing().await);
    clock.advance(Duration::from_secs(60));
    assert_eq!(client.text().await, "five");
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, 5);
}

/// Two refusals in a row are penalised.
#[tokio::test]
async fn held_message_is_no_refusal() {
    let recorded = Recorded::begin();
    let (traffik, clock) = traffik();
    let wait = Wait::up_to(Duration::from_secs(60));
    let (address, _) =
        echoing::<Penalised>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;

    let (mut one, mut other) = (Client::connect(address).await, Client::connect(address).await);
    assert_eq!((one.ask("one").await, one.ask("two").await), ("one".to_owned(), "two".to_owned()));
    for client in [&mut one, &mut other] {
        client.send("held").await;
        assert!(client.hears_nothing().await);
    }
    clock.advance(Duration::from_secs(60));
    assert_eq!((one.text().await, other.text().await), ("held".to_owned(), "held".to_owned()));
    let counts = traffik.limit("ws:penalised").unwrap().info().unwrap().counts();
    assert_eq!((counts.admitted, counts.refused), (4, 0));
    assert_eq!(recorded.value(r#"traffik_messages_total{outcome="admitted"}"#), Some(4.0));
    assert_eq!(recorded.value(r#"traffik_messages_total{outcome="refused"}"#), None);
}

#[tokio::test]
async fn pings_are_answered_while_a_message_is_held() {
    let (traffik, clock) = traffik();
    let wait = Wait::up_to(Duration::from_secs(60));
    let (address, _) =
        echoing::<Each>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;

    let mut client = Client::connect(address).await;
    assert_eq!((client.ask("one").await, client.ask("two").await), ("one".to_owned(), "two".to_owned()));
    client.send("held").await;
    client.send(Message::Ping("there?".into())).await;
    assert_eq!(client.message().await, Message::Pong("there?".into()));
    client.send("behind").await;
    clock.advance(Duration::from_secs(60));
    assert_eq!((client.text().await, client.text().await), ("held".to_owned(), "behind".to_owned()));
}

#[tokio::test]
async fn message_beyond_the_longest_wait_is_refused() {
    let (traffik, clock) = traffik();
    let wait = Wait::up_to(Duration::from_secs(59));
    let (address, _) = echoing::<Dear>(&traffik, move |socket, messages| {
        messages
            .cost(|message| if matches!(message, ws::Message::Binary(_)) { 11 } else { 5 })
            .throttle(socket)
            .over_limit(wait)
    })
    .await;

    let mut client = Client::connect(address).await;
    assert_eq!((client.ask("one").await, client.ask("two").await), ("one".to_owned(), "two".to_owned()));
    assert_eq!(client.ask("three").await, too_many(60));
    client.send(Message::Binary("never".into())).await;
    assert!(client.text().await.contains("costs more than its limit allows"));
    clock.advance(Duration::from_secs(1));
    client.send("four").await;
    assert!(client.hears_nothing().await);
    clock.advance(Duration::from_secs(59));
    assert_eq!(client.text().await, "four");
    let counts = traffik.limit("ws:dear").unwrap().info().unwrap().counts();
    assert_eq!((counts.admitted, counts.refused), (3, 2));
}

#[tokio::test]
async fn closed_connection_ends_the_wait() {
    let (traffik, _) = traffik();
    let wait = Wait::up_to(Duration::from_secs(60));
    let (address, mut ends) =
        echoing::<Each>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;

    let mut client = Client::connect(address).await;
    assert_eq!((client.ask("one").await, client.ask("two").await), ("one".to_owned(), "two".to_owned()));
    client.send("held").await;
    assert!(goes_on(&mut ends).await);
    drop(client);
    assert_eq!(ended(&mut ends).await, 2);
}

#[tokio::test]
async fn held_messages_of_several_connections_are_passed_on_in_order() {
    let (traffik, clock) = traffik();
    let wait = Wait::up_to(Duration::from_secs(600));
    let (address, _) =
        echoing::<Each>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;
    passed_on_in_order(address, &clock).await;
}

#[tokio::test]
async fn messages_that_a_handler_checks_wait_in_order() {
    let (traffik, clock) = traffik();
    let (address, _) = serve::<Each, _, _>(&traffik, async |mut socket, messages| {
        let messages = messages.wait(Duration::from_secs(600));
        while let Some(Ok(message)) = socket.recv().await {
            if messages.hit().await.is_ok() {
                let _ = socket.send(message).await;
            }
        }
    })
    .await;
    passed_on_in_order(address, &clock).await;
}

/// Two messages a minute are passed on, of four connections.
async fn passed_on_in_order(address: SocketAddr, clock: &ManualClock) {
    let mut first = Client::connect(address).await;
    assert_eq!((first.ask("one").await, first.ask("two").await), ("one".to_owned(), "two".to_owned()));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(address).await;
        client.send("held").await;
        assert!(client.hears_nothing().await);
        clients.push(client);
    }
    for pair in clients.chunks_mut(2) {
        for client in &mut *pair {
            assert!(client.hears_nothing().await);
        }
        clock.advance(Duration::from_secs(60));
        for client in pair {
            assert_eq!(client.text().await, "held");
        }
    }
}

#[tokio::test]
async fn messages_wait_for_limits_of_their_connection() {
    for has_client in [false, true] {
        let (traffik, clock) = traffik();
        let (address, mut ends) = serve::<Each, _, _>(&traffik, move |_, messages| async move {
            let both = messages.clone().and_per_connection(&messages).wait(Duration::from_secs(60));
            let own = messages.per_connection().wait(Duration::from_secs(60));
            let mut admitted = Vec::new();
            for _ in 0..3 {
                let hit = if has_client { both.hit().await.is_ok() } else { own.hit().await.is_ok() };
                admitted.push(hit);
            }
            admitted
        })
        .await;
        let _client = Client::connect(address).await;
        assert!(goes_on(&mut ends).await);
        clock.advance(Duration::from_secs(60));
        assert_eq!(ended(&mut ends).await, [true; 3]);
    }
}

#[tokio::test]
async fn message_whose_turn_would_come_too_late_is_refused() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Each, _, _>(&traffik, async |_, messages| {
        let messages = messages.wait(Duration::from_secs(59));
        let both = messages.clone().and_per_connection(&messages);
        let own = messages.clone().per_connection();
        for _ in 0..2 {
            let _ = (messages.hit().await, own.hit().await);
        }
        [messages.hit().await.err(), own.hit().await.err(), both.hit().await.err()]
            .map(|rejection| rejection.and_then(|rejection| rejection.retry_after()))
    })
    .await;
    let _client = Client::connect(address).await;
    assert_eq!(ended(&mut ends).await, [Some(Duration::from_secs(60)); 3]);
}

#[tokio::test]
async fn held_message_waits_again_if_another_takes_the_room() {
    let (traffik, clock) = traffik();
    let wait = Wait::up_to(Duration::from_secs(120));
    let (address, _) =
        echoing::<Each>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(wait)).await;

    let (mut one, mut other) = (Client::connect(address).await, Client::connect(address).await);
    assert_eq!((one.ask("one").await, one.ask("two").await), ("one".to_owned(), "two".to_owned()));
    for _ in 0..2 {
        one.send("first").await;
        other.send("second").await;
    }
    assert!(one.hears_nothing().await && other.hears_nothing().await);
    clock.advance(Duration::from_secs(60));
    // Two of the four are admitted, and two more a minute later.
    let mut heard = 0;
    for _ in 0..2 {
        while !one.hears_nothing().await {
            heard += 1;
        }
        while !other.hears_nothing().await {
            heard += 1;
        }
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(heard, 4);
}

#[tokio::test]
async fn delaying_strategy_spaces_messages() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = serve::<Queue, _, _>(&traffik, async |socket, messages| {
        let (mut socket, mut seen) = (messages.throttle(socket), Vec::new());
        while let Some(Ok(message)) = socket.recv().await {
            if let ws::Message::Text(text) = &message {
                seen.push(text.to_string());
                let _ = socket.send(message).await;
            }
        }
        seen
    })
    .await;

    let mut client = Client::connect(address).await;
    for text in ["one", "two", "three"] {
        client.send(text).await;
    }
    assert_eq!(client.text().await, "one");
    for text in ["two", "three"] {
        clock.advance(Duration::from_millis(999));
        assert!(client.hears_nothing().await);
        clock.advance(Duration::from_millis(1));
        assert_eq!(client.text().await, text);
    }
    // An admitted message is delivered at its time, even if the receive was cancelled before.
    client.send("four").await;
    client.0.close(None).await.unwrap();
    assert!(goes_on(&mut ends).await);
    clock.advance(Duration::from_secs(1));
    assert_eq!(ended(&mut ends).await, ["one", "two", "three", "four"]);
}
