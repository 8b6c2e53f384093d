//! A split socket with each half in its own task.

use axum::extract::ws;
use futures_util::{SinkExt, StreamExt};
use tests::until;
use traffik::web::ws::over_limit::Close;

use super::{
    Chat, Large,
    rig::{Client, ended, serve, too_many, traffik},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn split_halves_both_write_and_wake_the_writer() {
    const MESSAGES: usize = 300;
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let (mut sink, mut stream) = messages.throttle(socket).split();
        let writer = tokio::spawn(async move {
            // More than the buffers hold, so that the writer waits repeatedly.
            for _ in 0..MESSAGES {
                sink.send(ws::Message::Binary(vec![7; 100_000].into())).await.unwrap();
            }
            sink.close().await
        });
        let mut admitted = 0;
        while let Some(Ok(message)) = stream.next().await {
            admitted += usize::from(matches!(message, ws::Message::Text(_)));
        }
        (admitted, writer.await.is_ok())
    })
    .await;

    let client = Client::connect(address).await;
    let (mut sink, mut stream) = client.0.split();
    let sending = tokio::spawn(async move {
        for _ in 0..50 {
            sink.send("hello".into()).await.unwrap();
        }
        sink
    });
    let (mut binary, mut count) = (0, 0);
    while let Some(Ok(message)) = stream.next().await {
        binary += usize::from(message.is_binary());
        count += usize::from(message.to_text().is_ok_and(|text| text == too_many(60)));
    }
    drop(sending.await.unwrap());
    assert_eq!(binary, MESSAGES);
    assert!((1..=47).contains(&count), "{count}");
    assert_eq!(ended(&mut ends).await, (3, true));
}

#[tokio::test]
async fn waiting_writer_ends_when_the_connection_is_closed() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = serve::<Large, _, _>(&traffik, async |socket, messages| {
        let socket = messages.cost(|_| 101).throttle(socket).over_limit(Close::after(1));
        let (mut sink, mut stream) = socket.split();
        let writer =
            tokio::spawn(
                async move { while sink.send(ws::Message::Binary(vec![7; 1_000_000].into())).await.is_ok() {} },
            );
        let is_over = stream.next().await.is_none();
        (is_over, writer.await.is_ok())
    })
    .await;

    let mut client = Client::connect(address).await;
    client.send("over").await;
    // The peer reads nothing and gets no close frame. The connection ends after five seconds.
    let ended = tokio::spawn(async move { ended(&mut ends).await });
    until("the connection ends", async || {
        clock.advance(std::time::Duration::from_secs(1));
        ended.is_finished()
    })
    .await;
    assert_eq!(ended.await.unwrap(), (true, true));
    drop(client);
}
