//! Lost connections during any operation.

use std::time::Duration;

use tests::until_idle;
use tokio::sync::watch;
use tokio_tungstenite::{MaybeTlsStream, tungstenite::Message};
use traffik::web::ws::{
    Messages,
    over_limit::{Close, Wait},
};

use super::{
    Chat, Each,
    rig::{Client, echo, ended, serve, traffik},
};

/// Drops the connection with a TCP reset instead of a close.
fn reset(client: Client) {
    let MaybeTlsStream::Plain(stream) = client.0.get_ref() else { return };
    assert!(stream.set_zero_linger().is_ok());
    drop(client);
}

#[tokio::test]
async fn reset_during_a_flood_ends_the_handler() {
    let (traffik, _) = traffik();
    let (address, mut ends) =
        serve::<Chat, _, _>(&traffik, |socket, messages: Messages<Chat>| echo(messages.throttle(socket))).await;
    for messages in [0, 1, 3, 4, 50, 1_000] {
        traffik.clear().await.unwrap();
        let mut client = Client::connect(address).await;
        for _ in 0..messages {
            client.send("hello").await;
        }
        reset(client);
        assert!(ended(&mut ends).await <= 3);
    }
}

#[tokio::test]
async fn incomplete_message_is_not_delivered() {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    let (traffik, _) = traffik();
    let (address, mut ends) =
        serve::<Chat, _, _>(&traffik, |socket, messages: Messages<Chat>| echo(messages.throttle(socket))).await;
    let mut client = Client::connect(address).await;
    client.send(Message::Frame(Frame::message("half", OpCode::Data(Data::Text), false))).await;
    reset(client);
    assert_eq!(ended(&mut ends).await, 0);
    let left = traffik.limiter::<Chat>(std::net::Ipv4Addr::LOCALHOST).peek().await.unwrap().tightest().remaining();
    assert_eq!(left, 3);
}

#[tokio::test]
async fn reset_while_closing_or_waiting_ends_the_handler() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, |socket, messages: Messages<Chat>| {
        echo(messages.cost(|_| 4).throttle(socket).over_limit(Close::after(1)))
    })
    .await;
    let mut client = Client::connect(address).await;
    client.send("over").await;
    reset(client);
    assert_eq!(ended(&mut ends).await, 0);

    let (address, mut ends) = serve::<Each, _, _>(&traffik, |socket, messages: Messages<Each>| {
        echo(messages.throttle(socket).over_limit(Wait::up_to(Duration::from_secs(600))))
    })
    .await;
    let mut client = Client::connect(address).await;
    assert_eq!((client.ask("one").await, client.ask("two").await), ("one".to_owned(), "two".to_owned()));
    client.send("held").await;
    assert!(client.hears_nothing().await);
    reset(client);
    assert_eq!(ended(&mut ends).await, 2);
}

#[tokio::test]
async fn cancelled_receive_loses_no_message() {
    let (traffik, _) = traffik();
    let (cancel, cancelled) = watch::channel(());
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, move |socket, messages: Messages<Chat>| {
        let mut cancelled = cancelled.clone();
        async move {
            let (mut socket, mut seen) = (messages.throttle(socket), 0);
            loop {
                tokio::select! {
                    biased;
                    Ok(()) = cancelled.changed() => {}
                    received = socket.recv() => match received {
                        Some(Ok(message)) => seen += usize::from(message.to_text().is_ok_and(|text| text == "hello")),
                        _ => return seen,
                    },
                }
            }
        }
    })
    .await;
    let mut client = Client::connect(address).await;
    // A receive is cancelled while it waits, and again with a message on the way.
    for _ in 0..3 {
        until_idle().await;
        cancel.send_replace(());
        client.send("hello").await;
        cancel.send_replace(());
    }
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, 3);
}
