//! WebSocket messages with limits in Redis, shared by all processes of an app.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use traffik::{DefaultIdentity, Rate, Settings, Throttle, Traffik, strategy::SlidingWindowLog};

use crate::{
    PLENTY, Result, builder,
    rig::{Client, echoing, unchecked},
    server::Server,
};

// A log has no windows, so no test runs at the edge of one.
throttles! {
    Few: "messages:few", "3/1h", Settings::new().strategy(SlidingWindowLog);
    Many: "messages:many", "50/1h", Settings::new().strategy(SlidingWindowLog);
}

/// The deadline of a call that gets no answer: a call at the moment of the loss waits that long.
const SHORT: Duration = Duration::from_secs(1);

/// One process of an app, with its own connection to Redis.
async fn process<T: Throttle<Identity = DefaultIdentity>>(
    server: &Server,
    timeout: Duration,
) -> Result<(Traffik, SocketAddr)> {
    let redis = builder(server).command_timeout(timeout).connect().await?;
    let traffik = Traffik::builder(redis).backend_timeout(PLENTY).build()?;
    let (address, _) = echoing::<T>(&traffik, |socket, messages| messages.throttle(socket)).await;
    Ok((traffik, address))
}

/// A wait of an hour, less a moment.
fn is_too_many(answer: &str) -> bool {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let is = |name: &str, text: &str| answer.get(name).is_some_and(|value| value == text);
    let retry_after = answer.get("retry_after").and_then(serde_json::Value::as_u64);
    is("type", "rate_limit") && is("error", "Too many messages") && retry_after.is_some_and(|wait| wait > 3500)
}

#[tokio::test]
async fn client_has_one_limit_in_all_processes() -> Result {
    let server = Server::start()?;
    let (_first, one) = process::<Few>(&server, PLENTY).await?;
    let (_second, other) = process::<Few>(&server, PLENTY).await?;
    let (mut one, mut other) = (Client::connect(one).await, Client::connect(other).await);
    assert_eq!(one.ask("one").await, "one");
    assert_eq!(other.ask("two").await, "two");
    assert_eq!(one.ask("three").await, "three");
    for client in [&mut other, &mut one] {
        let answer = client.ask("four").await;
        assert!(is_too_many(&answer), "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_messages_are_admitted_up_to_the_limit() -> Result {
    let server = Server::start()?;
    let mut processes = Vec::new();
    for _ in 0..2 {
        processes.push(process::<Many>(&server, PLENTY).await?);
    }
    let mut talks = JoinSet::new();
    for address in processes.iter().map(|(_, address)| *address).cycle().take(8) {
        talks.spawn(async move {
            let mut client = Client::connect(address).await;
            for _ in 0..20 {
                client.send("hello").await;
            }
            let mut echoed = 0;
            for _ in 0..20 {
                let answer = client.text().await;
                assert!(answer == "hello" || is_too_many(&answer), "{answer}");
                echoed += usize::from(answer == "hello");
            }
            echoed
        });
    }
    assert_eq!(talks.join_all().await.into_iter().sum::<usize>(), 50);
    Ok(())
}

#[tokio::test]
async fn connections_outlive_a_killed_server() -> Result {
    let mut server = Server::start()?;
    let (_first, one) = process::<Many>(&server, SHORT).await?;
    let (_second, other) = process::<Many>(&server, SHORT).await?;
    let mut clients = [Client::connect(one).await, Client::connect(other).await];
    for client in &mut clients {
        assert_eq!(client.ask("hello").await, "hello");
    }

    server.kill()?;
    for _ in 0..3 {
        for client in &mut clients {
            assert_eq!(client.ask("lost").await, unchecked(1));
        }
    }

    // The server returns empty. Each process reconnects by itself, and the same WebSockets continue.
    server.start_again()?;
    for client in &mut clients {
        until_back(client).await;
    }
    let mut admitted = 2;
    'talk: loop {
        for client in &mut clients {
            let answer = client.ask("hello").await;
            if answer != "hello" {
                assert!(is_too_many(&answer), "{answer}");
                break 'talk;
            }
            admitted += 1;
        }
    }
    // An unanswered call may have run. The client sees it as lost although it may be charged, never the reverse.
    assert!((44..=50).contains(&admitted), "{admitted}");
    for client in &mut clients {
        let answer = client.ask("hello").await;
        assert!(is_too_many(&answer), "{answer}");
    }
    Ok(())
}

/// Sends messages on the same connection until one is admitted.
async fn until_back(client: &mut Client) {
    let begun = Instant::now();
    loop {
        let answer = client.ask("hello").await;
        if answer == "hello" {
            return;
        }
        assert_eq!(answer, unchecked(1));
        assert!(begun.elapsed() < PLENTY, "the backend did not reconnect");
    }
}
