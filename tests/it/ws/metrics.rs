//! Metrics of messages.

use traffik::web::ws::Messages;

use super::{
    Chat,
    rig::{self, Client},
};
use crate::metrics::scrape::Recorded;

#[tokio::test]
async fn messages_are_counted_by_outcome() {
    let recorded = Recorded::begin();
    let (traffik, _) = rig::traffik();
    let (address, mut ends) =
        rig::echoing::<Chat>(&traffik, |socket, messages: Messages<Chat>| messages.per_connection().throttle(socket))
            .await;
    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        assert_eq!(client.ask("hello").await, "hello");
    }
    assert!(client.ask("hello").await.contains("Too many messages"));
    assert_eq!(recorded.value(r#"traffik_messages_total{outcome="admitted"}"#), Some(3.0));
    assert_eq!(recorded.value(r#"traffik_messages_total{outcome="refused"}"#), Some(1.0));
    assert_eq!(recorded.decisions_by("ws:chat", "refused", "connection", "primary"), Some(1.0));
    drop(client);
    rig::ended(&mut ends).await;
}
