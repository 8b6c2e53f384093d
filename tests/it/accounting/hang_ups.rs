//! Clients that disconnect while a charge may still be refunded, over TCP.

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
    routing::get,
};
use futures_util::stream;
use tests::{until, until_idle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use traffik::{Settings, SlidingWindowCounter, Throttled, Traffik, refund_if, test::ManualClock};

use super::{Result, remaining};
use crate::{
    gated::{self, Gated},
    http::{
        app::{HERE, throttle, traffik},
        server::{Server, read_to_end},
    },
};

throttle!(Login, "hang_ups:login", "5/min", Settings::new().refund_if(refund_if::success));
throttle!(Answers, "hang_ups:answers", "1000/min", Settings::new().cost(100).refund_if(refund_if::success));
throttle!(
    Bytes100,
    "hang_ups:bytes",
    "1000000/min",
    Settings::new().strategy(SlidingWindowCounter).cost(100).refund_if(refund_if::success)
);

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Says when it is dropped.
struct Ending(UnboundedSender<&'static str>);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.send("ended");
    }
}

fn events() -> (UnboundedSender<&'static str>, UnboundedReceiver<&'static str>) {
    unbounded_channel()
}

#[tokio::test]
async fn client_that_hangs_up_before_the_response_keeps_its_charge() -> Result {
    let backend = Gated::with_clock(&ManualClock::new());
    let traffik = Traffik::new(backend.clone())?;
    let (sender, mut events) = events();
    let handler = move |_: Throttled<Login>| {
        let ending = Ending(sender.clone());
        async move {
            let _ = ending.0.send("begun");
            // The password would be right.
            std::future::pending::<()>().await;
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    for used in 1..=5 {
        let stream = server.open(REQUEST).await;
        assert_eq!(events.recv().await, Some("begun"));
        drop(stream);
        assert_eq!(events.recv().await, Some("ended"));
        assert_eq!(remaining::<Login>(&traffik, HERE).await?, 5 - used);
    }
    // Hanging up early gives no sixth attempt.
    assert_eq!(server.get("/").await.status, 429);
    until_idle().await;
    assert_eq!((backend.gate.begun(), traffik.lost_settlements()), (0, 0), "there was nothing to change");
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 0);
    Ok(())
}

#[tokio::test]
async fn client_that_hangs_up_after_the_response_is_refunded_once() -> Result {
    let backend = Gated::with_clock(&ManualClock::new());
    let traffik = Traffik::new(backend.clone())?;
    let app = Router::new().route("/", get(|_: Throttled<Login>| async { "welcome" })).layer(traffik.layer());
    let server = Server::start(app).await;
    backend.open(false);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let stream = server.open("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        let response = read_to_end(stream).await;
        assert!(response.starts_with("HTTP/1.1 200") && response.contains(r#""hang_ups:login";r="#), "{response}");
        streams.push(response);
    }
    // The connections are gone, and the refunds are under way.
    gated::until(&backend.gate.begun, 1).await;
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 2);
    backend.open(true);
    until("all are refunded", async || remaining::<Login>(&traffik, HERE).await.is_ok_and(|left| left == 5)).await;
    traffik.close().await?;
    assert!(backend.gate.begun() <= 3, "each is one change, and some are made together: {}", backend.gate.begun());
    assert_eq!(traffik.lost_settlements(), 0);
    Ok(())
}

/// What a handler still holds when its client hangs up.
struct Answer {
    permit: Throttled<Answers>,
    ending: Ending,
}

impl Drop for Answer {
    fn drop(&mut self) {
        drop(self.permit.settle(30));
        let _ = self.ending.0.send("settled");
    }
}

#[tokio::test]
async fn charge_that_is_settled_on_drop_is_settled_once_by_a_hang_up() -> Result {
    let (traffik, _) = traffik();
    let (sender, mut events) = events();
    let handler = move |permit: Throttled<Answers>| {
        let answer = Answer { permit, ending: Ending(sender.clone()) };
        async move {
            let _ = answer.ending.0.send("begun");
            std::future::pending::<()>().await;
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    let stream = server.open(REQUEST).await;
    assert_eq!(events.recv().await, Some("begun"));
    assert_eq!(remaining::<Answers>(&traffik, HERE).await?, 900);
    drop(stream);
    assert_eq!(events.recv().await, Some("settled"));
    assert_eq!(events.recv().await, Some("ended"));
    assert_eq!(remaining::<Answers>(&traffik, HERE).await?, 970, "what was used counts, and no more is given back");
    Ok(())
}

#[tokio::test]
async fn body_that_is_cut_off_is_charged_for_what_was_read_and_not_refunded() -> Result {
    let (traffik, _) = traffik();
    let (sender, mut events) = events();
    let handler = move |permit: Throttled<Bytes100>| {
        let ending = Ending(sender.clone());
        async move {
            // One piece, and then nothing more.
            let pieces = stream::unfold((ending, false), |(ending, is_sent)| async move {
                if is_sent {
                    std::future::pending::<()>().await;
                }
                let _ = ending.0.send("sent");
                Some((Ok::<_, std::io::Error>(Bytes::from_static(&[b'.'; 700])), (ending, true)))
            });
            Response::new(permit.settle_body(Body::from_stream(pieces), |bytes| bytes))
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    let stream = server.open(REQUEST).await;
    assert_eq!(events.recv().await, Some("sent"));
    stream.readable().await?;
    assert_eq!(remaining::<Bytes100>(&traffik, HERE).await?, 999_900, "the head refunds nothing");
    drop(stream);
    assert_eq!(events.recv().await, Some("ended"));
    until("it is settled", async || remaining::<Bytes100>(&traffik, HERE).await.is_ok_and(|left| left == 999_300))
        .await;
    Ok(())
}
