//! Actions on messages over the limit.

use std::panic::AssertUnwindSafe;

use axum::extract::ws::{self, CloseFrame};
use futures_util::FutureExt;
use tokio_tungstenite::tungstenite::Message;
use traffik::web::ws::over_limit::{Action, Close, Skip, Violation};

use super::{
    Chat,
    rig::{Client, echoing, ended, serve, too_many, traffik},
};

#[tokio::test]
async fn skip_action_drops_messages_silently() {
    let (traffik, _) = traffik();
    let (address, mut ends) =
        echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket).over_limit(Skip)).await;

    let mut client = Client::connect(address).await;
    for _ in 0..20 {
        client.send("hello").await;
    }
    for _ in 0..3 {
        assert_eq!(client.text().await, "hello");
    }
    assert!(client.hears_nothing().await);
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, 3);
}

#[tokio::test]
async fn close_action_closes_the_connection_after_its_count() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let mut socket = messages.throttle(socket).over_limit(Close::after(3).reason("slow down"));
        let mut seen = 0;
        while let Some(message) = socket.recv().await {
            seen += usize::from(matches!(message, Ok(ws::Message::Text(_))));
        }
        (seen, socket.send(ws::Message::Text("too late".into())).await.is_err(), socket.recv().await.is_none())
    })
    .await;

    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        client.send("hello").await;
    }
    assert_eq!(client.ask("over").await, too_many(60));
    assert_eq!(client.ask("over").await, too_many(60));
    client.send("over").await;
    assert_eq!(client.closed().await, (1008, "slow down".to_owned()));
    assert_eq!(ended(&mut ends).await, (3, true, true));
}

#[tokio::test]
async fn close_after_zero_messages_is_an_error_for_each_message() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let mut socket = messages.throttle(socket).over_limit(Close::after(0));
        socket.recv().await.unwrap().unwrap_err().to_string()
    })
    .await;
    Client::connect(address).await.send("hello").await;
    assert_eq!(ended(&mut ends).await, "`Close::after` is 0: set it to a value of at least 1");
}

#[tokio::test]
async fn action_function_decides_about_each_message() {
    let (traffik, _) = traffik();
    let by_text = async |violation: Violation| {
        tokio::task::yield_now().await;
        assert!(violation.retry_after().is_some() && !violation.limits().is_admitted());
        match violation.message().to_text().unwrap_or_default() {
            "tell me" => Action::Notify,
            "count me" => Action::Reply(ws::Message::Text(violation.count().to_string().into())),
            "admit me" => Action::Admit,
            "close me" => Action::Close(CloseFrame { code: 4000, reason: "ü".repeat(100).into() }),
            _ => Action::Skip,
        }
    };
    let (address, mut ends) =
        echoing::<Chat>(&traffik, move |socket, messages| messages.throttle(socket).over_limit(by_text)).await;

    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        assert_eq!(client.ask("hello").await, "hello");
    }
    client.send("skip me").await;
    assert_eq!(client.ask("tell me").await, too_many(60));
    assert_eq!(client.ask("count me").await, "3");
    assert_eq!(client.ask("admit me").await, "admit me");
    client.send("skip me").await;
    client.send(Message::Ping("still there?".into())).await;
    assert_eq!(client.message().await, Message::Pong("still there?".into()));
    client.send("close me").await;
    assert_eq!(client.closed().await, (4000, "ü".repeat(61)));
    assert_eq!(ended(&mut ends).await, 4);
}

#[tokio::test]
async fn socket_goes_on_after_a_panic_in_the_function() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, |socket, messages| async move {
        let mut socket = messages.throttle(socket).over_limit(|violation: Violation| async move {
            assert!(violation.count() != 1, "the first violation");
            Action::Notify
        });
        let mut panics = 0;
        while panics < 3 {
            match AssertUnwindSafe(socket.recv()).catch_unwind().await {
                Ok(Some(Ok(_))) => {}
                Ok(_) => break,
                Err(_) => panics += 1,
            }
        }
        panics
    })
    .await;

    let mut client = Client::connect(address).await;
    for _ in 0..5 {
        client.send("hello").await;
    }
    assert_eq!(client.text().await, too_many(60));
    drop(client);
    assert_eq!(ended(&mut ends).await, 1);
}
