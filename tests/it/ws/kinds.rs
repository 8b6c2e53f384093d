//! Different limits and costs for kinds of messages.

use axum::{
    Router,
    extract::{WebSocketUpgrade, ws},
    routing::any,
};
use tokio_tungstenite::tungstenite::Message;
use traffik::web::ws::Messages;

use super::{
    Binary, Chat, Dear, Large,
    rig::{Client, echo, echoing, start, too_many, traffik},
};

#[tokio::test]
async fn message_kind_is_charged_to_the_first_matching_limit() {
    let (traffik, _) = traffik();
    let handler =
        async |chat: Messages<Chat>, binary: Messages<Binary>, dear: Messages<Dear>, upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(async move |socket| {
                let socket = chat
                    .throttle(socket)
                    .kind(binary, |message| matches!(message, ws::Message::Binary(_)))
                    .kind(dear, |message| message.to_text().is_ok_and(|text| text.starts_with("search")));
                echo(socket).await;
            })
        };
    let address = start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;

    let mut client = Client::connect(address).await;
    for _ in 0..2 {
        client.send(Message::Binary("search".into())).await;
        assert_eq!(client.message().await, Message::Binary("search".into()));
        assert_eq!(client.ask("search").await, "search");
    }
    client.send(Message::Binary("search".into())).await;
    assert_eq!(client.text().await, too_many(60));
    assert_eq!(client.ask("search").await, too_many(60));
    for _ in 0..3 {
        assert_eq!(client.ask("hello").await, "hello");
    }
    assert_eq!(client.ask("hello").await, too_many(60));
}

#[tokio::test]
async fn message_cost_depends_on_size_and_not_on_fragments() {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    let (traffik, _) = traffik();
    let (address, _) =
        echoing::<Large>(&traffik, |socket, messages| messages.cost_by_size(1024).throttle(socket)).await;
    let left =
        async || traffik.limiter::<Large>(std::net::Ipv4Addr::LOCALHOST).peek().await.unwrap().tightest().remaining();

    let mut client = Client::connect(address).await;
    assert_eq!(client.ask("").await, "");
    assert_eq!(left().await, 99);

    for nth in 0..20 {
        let code = OpCode::Data(if nth == 0 { Data::Text } else { Data::Continue });
        client.send(Message::Frame(Frame::message("a".repeat(1000), code, nth == 19))).await;
    }
    assert_eq!(client.text().await.len(), 20_000);
    assert_eq!(left().await, 79);

    client.send(vec![0; 80 * 1024]).await;
    assert_eq!(client.text().await, too_many(60));
    client.send(vec![0; 101 * 1024]).await;
    assert!(client.text().await.contains("costs more than its limit allows"));
    assert_eq!(left().await, 79, "a refusal charges nothing");
    client.send(vec![0; 79 * 1024]).await;
    assert_eq!(client.message().await.len(), 79 * 1024);
}

#[tokio::test]
async fn message_above_the_size_limit_is_not_read() {
    let (traffik, _) = traffik();
    let handler = async |messages: Messages<Large>, upgrade: WebSocketUpgrade| {
        upgrade.max_message_size(4096).max_frame_size(2048).on_upgrade(async move |socket| {
            let mut socket = messages.throttle(socket);
            while let Some(Ok(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        })
    };
    let address = start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;
    let mut client = Client::connect(address).await;
    client.send(vec![0; 2048]).await;
    assert_eq!(client.message().await.len(), 2048);
    client.send(vec![0; 2049]).await;
    assert!(!matches!(client.next().await, Some(Ok(Message::Binary(_)))), "the connection is lost");
    let left = traffik.limiter::<Large>(std::net::Ipv4Addr::LOCALHOST).peek().await.unwrap().tightest().remaining();
    assert_eq!(left, 99);
}
