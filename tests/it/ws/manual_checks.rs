//! Messages that a handler checks itself.

use std::time::Duration;

use axum::extract::ws::Message;
use traffik::web::ws::{MessageRejection, Messages};

use super::{
    Chat, Dear,
    rig::{Client, ended, serve, too_many, traffik},
};

#[tokio::test]
async fn handler_charges_a_message_replies_and_continues() {
    let (traffik, clock) = traffik();
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |mut socket, messages| {
        let mut throttled = Vec::new();
        while let Some(Ok(Message::Text(text))) = socket.recv().await {
            let answer = match messages.hit().await {
                Ok(limits) => format!("{text}: {} left", limits.tightest().remaining()).into(),
                Err(rejection @ MessageRejection::Limited(_)) => {
                    assert_eq!(rejection.status(), 429);
                    rejection.body_text().into()
                }
                Err(other) => panic!("{other}"),
            };
            throttled.push(messages.is_throttled());
            let _ = socket.send(answer).await;
        }
        throttled
    })
    .await;

    let mut client = Client::connect(address).await;
    assert_eq!(client.ask("one").await, "one: 2 left");
    assert_eq!(client.ask("two").await, "two: 1 left");
    assert_eq!(client.ask("three").await, "three: 0 left");
    assert_eq!(client.ask("four").await, too_many(60));
    clock.advance(Duration::from_secs(60));
    assert_eq!(client.ask("five").await, "five: 2 left");
    client.0.close(None).await.unwrap();
    assert_eq!(ended(&mut ends).await, [false, false, false, true, false]);
}

#[tokio::test]
async fn cost_by_size_in_units_of_zero_bytes_is_an_error() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Dear, _, _>(&traffik, async |socket, messages| {
        let messages = messages.cost_by_size(0);
        let by_hand = messages.hit_for(&Message::Text("..".into())).await.unwrap_err();
        assert!(matches!(by_hand, MessageRejection::Misconfigured(_)), "{by_hand}");
        let received = messages.throttle(socket).recv().await.unwrap().unwrap_err();
        [by_hand.to_string(), received.to_string()]
    })
    .await;
    Client::connect(address).await.send("hello").await;
    let error = "`Messages::cost_by_size` is 0: set it to a value of at least 1";
    assert_eq!(ended(&mut ends).await, [error; 2]);
}

#[tokio::test]
async fn handler_charges_any_cost_for_any_event() {
    let (traffik, _) = traffik();
    let (address, mut ends) = serve::<Dear, _, _>(&traffik, async |_, messages| {
        let messages = messages.cost(|message| if matches!(message, Message::Binary(_)) { 3 } else { 0 });
        let cost = |permit: Result<traffik::Permit<Dear>, MessageRejection>| {
            permit.ok().map(|permit| permit.tightest().cost())
        };
        let costs = [
            cost(messages.hit().await),
            cost(messages.hit_costing(2).await),
            cost(messages.hit_for(&Message::Binary("..".into())).await),
            cost(messages.hit_for(&Message::Text("..".into())).await),
            cost(messages.hit().await),
        ];
        (costs, messages.hit_costing(11).await.err().and_then(|rejection| rejection.retry_after()))
    })
    .await;
    let _client = Client::connect(address).await;
    assert_eq!(ended(&mut ends).await, ([Some(4), Some(2), Some(3), Some(0), None], None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn client_charged_by_many_tasks_gets_exactly_its_limit() {
    let (traffik, _) = traffik();
    async fn admitted<T: 'static>(messages: Messages<T>) -> usize {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let messages = messages.clone();
                tokio::spawn(async move {
                    let mut admitted = 0;
                    for _ in 0..100 {
                        admitted += usize::from(messages.hit().await.is_ok());
                    }
                    admitted
                })
            })
            .collect();
        let mut admitted = 0;
        for task in tasks {
            admitted += task.await.unwrap_or_default();
        }
        admitted
    }
    let (address, mut ends) = serve::<Chat, _, _>(&traffik, async |_, messages| {
        (admitted(messages.clone().per_connection()).await, admitted(messages).await)
    })
    .await;
    let _client = Client::connect(address).await;
    assert_eq!(ended(&mut ends).await, (3, 3));
}
