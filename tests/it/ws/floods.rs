//! Floods of messages.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Chat,
    rig::{Client, echoing, ended, too_many, traffik},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_messages_gets_a_bounded_number_of_notifications() {
    const FLOOD: usize = 100_000;
    let (traffik, clock) = traffik();
    let (address, mut ends) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;

    let client = Client::connect(address).await;
    let (mut sink, mut stream) = client.0.split();
    let flood = tokio::spawn(async move {
        for _ in 0..FLOOD {
            sink.feed(Message::Text("hello".into())).await.unwrap();
        }
        // This message is answered after everything before it.
        sink.send(Message::Ping("done?".into())).await.unwrap();
        sink
    });
    let (mut admitted, mut reported) = (0, 0);
    loop {
        match stream.next().await.unwrap().unwrap() {
            Message::Text(text) if text.as_str() == "hello" => admitted += 1,
            Message::Text(text) => {
                assert_eq!(text.as_str(), too_many(60));
                reported += 1;
            }
            Message::Pong(_) => break,
            other => unreachable!("{other}"),
        }
    }
    assert_eq!((admitted, reported), (3, 100));

    // The newest notification is sent once, as soon as the clock of the app allows.
    let mut client = Client(flood.await.unwrap().reunite(stream).unwrap());
    assert!(client.hears_nothing().await);
    clock.advance(std::time::Duration::from_millis(100));
    assert_eq!(client.text().await, too_many(60));
    clock.advance(std::time::Duration::from_secs(10));
    assert!(client.hears_nothing().await);

    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, 3);
}

#[tokio::test]
async fn flood_of_one_client_does_not_block_others() {
    let (traffik, _) = traffik();
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.per_connection().throttle(socket)).await;
    let (mut flooding, mut other) = (Client::connect(address).await, Client::connect(address).await);
    // One thread for all connections, which a flooding client would otherwise keep busy.
    let flood = tokio::spawn(async move {
        loop {
            flooding.0.feed(Message::Text("hello".into())).await.unwrap();
        }
    });
    for _ in 0..3 {
        assert_eq!(other.ask("hello").await, "hello");
    }
    flood.abort();
}
