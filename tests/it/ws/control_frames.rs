//! Pings and pongs are not charged, but a flood of them closes the connection.

use std::time::Duration;

use axum::extract::ws;
use tokio_tungstenite::tungstenite::Message;
use traffik::{Rate, web::ws::over_limit::Skip};

use super::{
    Chat,
    rig::{Client, echoing, ended, serve, traffik},
};

#[tokio::test]
async fn control_frames_are_answered_and_not_charged() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    for nth in 0..50_u8 {
        client.send(Message::Ping(vec![nth].into())).await;
        assert_eq!(client.message().await, Message::Pong(vec![nth].into()));
        client.send(Message::Pong("".into())).await;
        clock.advance(Duration::from_millis(200));
    }
    for _ in 0..3 {
        assert_eq!(client.ask("hello").await, "hello");
    }
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, 3);
}

#[tokio::test]
async fn flood_of_control_frames_closes_the_connection() {
    let (traffik, _) = traffik();
    for frame in [Message::Ping("".into()), Message::Pong("".into())] {
        // This holds for every action on messages over the limit.
        let (address, mut ends) =
            echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket).over_limit(Skip)).await;
        let mut client = Client::connect(address).await;
        for _ in 0..11 {
            client.send(frame.clone()).await;
        }
        let mut last = client.message().await;
        while matches!(last, Message::Pong(_)) {
            last = client.message().await;
        }
        let Message::Close(Some(close)) = last else { unreachable!("{last}") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "Too many control frames"));
        assert!(client.next().await.is_none());
        assert_eq!(ended(&mut ends).await, 0);
    }
}

#[tokio::test]
async fn bound_of_control_frames_can_be_set() {
    let (traffik, _) = traffik();
    let (address, _) =
        echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket).control_frames(Rate::literal("200/s")))
            .await;
    let mut client = Client::connect(address).await;
    for _ in 0..200 {
        client.send(Message::Ping("".into())).await;
        assert_eq!(client.message().await, Message::Pong("".into()));
    }
    client.send(Message::Ping("".into())).await;
    assert!(matches!(client.message().await, Message::Pong(_) | Message::Close(_)));
}

#[tokio::test]
async fn pongs_to_server_pings_do_not_count() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let (mut socket, mut pongs) = (messages.throttle(socket), 0);
        for _ in 0..50 {
            socket.send(ws::Message::Ping("".into())).await.unwrap();
            pongs += usize::from(matches!(socket.recv().await, Some(Ok(ws::Message::Pong(_)))));
        }
        pongs
    })
    .await;
    let mut client = Client::connect(address).await;
    // The client sends pongs while it reads.
    for _ in 0..50 {
        assert_eq!(client.message().await, Message::Ping("".into()));
    }
    let _ = client.next().await;
    assert_eq!(ended(&mut ends).await, 50);
}
