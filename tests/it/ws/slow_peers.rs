//! Peers that never read.

use std::time::Duration;

use axum::extract::ws;
use tokio_tungstenite::tungstenite::Message;
use traffik::{
    Rate,
    web::ws::{
        Messages, ThrottledSocket,
        over_limit::{Action, Close, Violation},
    },
};

use super::{
    Chat, Large,
    rig::{Client, ended, goes_on, serve, traffik},
};

/// Sends until the peer, which never reads, takes no more. Then receives, and returns how many messages were over the
/// limit before the message "done".
async fn clogged(mut socket: ThrottledSocket) -> u64 {
    let large = ws::Message::Binary(vec![7; 1_000_000].into());
    for _ in 0..100 {
        if tokio::time::timeout(Duration::from_millis(50), socket.send(large.clone())).await.is_err() {
            break;
        }
    }
    while let Some(Ok(message)) = socket.recv().await {
        if message.to_text().is_ok_and(|text| text == "done") {
            break;
        }
    }
    socket.violations()
}

#[tokio::test]
async fn reader_continues_while_notifications_cannot_be_sent() {
    let (traffik, _) = traffik();
    // Each message gets a reply of a megabyte. Keeping all replies until they can be sent would take 20 GB.
    let reply = async |_: Violation| Action::Reply(ws::Message::Binary(vec![7; 1_000_000].into()));
    let (address, mut ends) = serve::<Large, _, _>(&traffik, move |socket, messages: Messages<Large>| {
        let messages =
            messages.cost(|message| if message.to_text().is_ok_and(|text| text == "over") { 101 } else { 0 });
        clogged(messages.throttle(socket).over_limit(reply))
    })
    .await;
    let mut client = Client::connect(address).await;
    for _ in 0..20_000 {
        client.send("over").await;
    }
    client.send("done").await;
    assert_eq!(ended(&mut ends).await, 20_000);
}

#[tokio::test]
async fn close_of_a_peer_that_does_not_read_ends_after_five_seconds() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = serve::<Large, _, _>(&traffik, |socket, messages: Messages<Large>| {
        clogged(messages.cost(|_| 101).throttle(socket).over_limit(Close::after(1)))
    })
    .await;
    let mut client = Client::connect(address).await;
    client.send("over").await;
    let mut waited = Duration::ZERO;
    while goes_on(&mut ends).await {
        clock.advance(Duration::from_secs(1));
        waited += Duration::from_secs(1);
        assert!(waited < Duration::from_secs(300), "the connection must end");
    }
    assert!(waited >= Duration::from_secs(5));
}

#[tokio::test]
async fn close_without_an_answer_ends_after_five_seconds() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let mut socket = messages.cost(|_| 4).throttle(socket).over_limit(Close::after(1));
        socket.recv().await.is_none()
    })
    .await;
    let mut client = Client::connect(address).await;
    client.send("over").await;
    assert!(goes_on(&mut ends).await);
    clock.advance(Duration::from_millis(4_900));
    assert!(goes_on(&mut ends).await);
    clock.advance(Duration::from_millis(100));
    assert_eq!(ends.recv().await, Some(true));
}

#[tokio::test]
async fn pings_from_a_peer_that_does_not_read_end_the_connection() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, |socket, messages: Messages<Chat>| {
        clogged(messages.throttle(socket).control_frames(Rate::literal("0/0")))
    })
    .await;
    let mut client = Client::connect(address).await;
    for _ in 0..1_000 {
        client.send(Message::Ping("".into())).await;
    }
    let mut waited = 0;
    while goes_on(&mut ends).await {
        clock.advance(Duration::from_secs(1));
        waited += 1;
        assert!(waited < 300, "the connection must end");
    }
}
