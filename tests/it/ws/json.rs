//! Messages as JSON values.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use traffik::web::ws::RecvJsonError;

use super::{
    Chat,
    rig::{Client, ended, serve, too_many, traffik},
};

#[tokio::test]
async fn unparsable_message_is_an_error_and_keeps_the_connection() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |socket, messages| {
        let mut socket = messages.throttle(socket);
        let (mut seen, mut wrong) = (0, 0);
        while let Some(received) = socket.recv_json::<Value>().await {
            let answer = match received {
                Ok(value) => {
                    seen += 1;
                    json!({ "type": "message", "echo": value })
                }
                Err(RecvJsonError::Json(_)) => {
                    wrong += 1;
                    json!({ "type": "error" })
                }
                Err(other) => panic!("{other}"),
            };
            let _ = socket.send_json(&answer).await;
        }
        (seen, wrong)
    })
    .await;

    let mut client = Client::connect(address).await;
    assert_eq!(client.ask(r#"{"text":"hi"}"#).await, r#"{"echo":{"text":"hi"},"type":"message"}"#);
    client.send(Message::Ping("".into())).await;
    assert_eq!(client.message().await, Message::Pong("".into()));
    assert_eq!(client.ask("{").await, r#"{"type":"error"}"#);
    client.send(Message::Binary("[1]".into())).await;
    assert_eq!(client.text().await, r#"{"echo":[1],"type":"message"}"#);
    assert_eq!(client.ask("[2]").await, too_many(60));
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, (2, 1));
}
