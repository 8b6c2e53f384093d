//! Notifications to a client over the limit, and the messages that the handler sees.

use std::time::Duration;

use super::{
    Chat, Dear, Logged, Nothing, Sustained,
    rig::{Client, echoing, ended, serve, too_many, traffik},
};

#[tokio::test]
async fn message_over_the_limit_is_answered_and_keeps_the_connection() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let mut socket = messages.throttle(socket);
        let mut seen = Vec::new();
        while let Some(Ok(message)) = socket.recv().await {
            if let Ok(text) = message.clone().into_text().map(|text| text.to_string()) {
                seen.push(text);
                let _ = socket.send(message).await;
            }
        }
        (seen, socket.violations(), messages.is_throttled())
    })
    .await;

    let mut client = Client::connect(address).await;
    for text in ["one", "two", "three"] {
        assert_eq!(client.ask(text).await, text);
    }
    for _ in 0..20 {
        assert_eq!(client.ask("over").await, too_many(60));
    }
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(client.ask("over").await, too_many(1));
    clock.advance(Duration::from_millis(1));
    assert_eq!(client.ask("four").await, "four");

    client.0.close(None).await.unwrap();
    let (seen, violations, is_throttled) = ended(&mut ends).await;
    assert_eq!(seen[..4], ["one", "two", "three", "four"]);
    assert_eq!((violations, is_throttled), (21, false));
}

#[tokio::test]
async fn burst_of_messages_gets_an_answer_each() {
    let (traffik, _) = traffik();
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;

    let mut client = Client::connect(address).await;
    for _ in 0..50 {
        client.send("hello").await;
    }
    for _ in 0..3 {
        assert_eq!(client.text().await, "hello");
    }
    for _ in 0..47 {
        assert_eq!(client.text().await, too_many(60));
    }
    assert!(client.hears_nothing().await);
}

#[tokio::test]
async fn tuple_of_message_limits_is_one_decision() {
    let (traffik, clock) = traffik();
    let (address, _) = echoing::<(Chat, Sustained)>(&traffik, |socket, messages| messages.throttle(socket)).await;

    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        assert_eq!(client.ask("hello").await, "hello");
    }
    for _ in 0..5 {
        assert_eq!(client.ask("hello").await, too_many(60), "the other limit is not charged");
    }
    clock.advance(Duration::from_secs(60));
    for _ in 0..2 {
        assert_eq!(client.ask("hello").await, "hello");
    }
    assert_eq!(client.ask("hello").await, too_many(3540));
}

#[tokio::test]
async fn message_above_the_limit_gets_a_final_refusal() {
    let (traffik, _) = traffik();
    let (address, _) = echoing::<Dear>(&traffik, |socket, messages| {
        messages.cost(|message| if matches!(message.to_text(), Ok("dear")) { 11 } else { 1 }).throttle(socket)
    })
    .await;

    let mut client = Client::connect(address).await;
    let never = r#"{"type":"rate_limit","error":"The message costs more than its limit allows"}"#;
    assert_eq!(client.ask("dear").await, never);
    assert_eq!(client.ask("cheap").await, "cheap");
}

#[tokio::test]
async fn messages_with_any_strategy_or_no_limit_work() {
    let (traffik, clock) = traffik();
    let (address, _) = echoing::<Logged>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.ask("one").await, "one");
    clock.advance(Duration::from_secs(30));
    assert_eq!(client.ask("two").await, "two");
    assert_eq!(client.ask("three").await, too_many(30));

    let (address, _) = echoing::<Nothing>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    for _ in 0..100 {
        assert_eq!(client.ask("hello").await, "hello");
    }
}
