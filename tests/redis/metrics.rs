//! Metrics of the backend, and the log of outages.

use std::time::Duration;

use tests::until;
use traffik::{DefaultIdentity, Rate, Settings, Throttle, Traffik, backend::Backend, strategy::FixedWindow};
use traffik_redis::RedisBackend;

use crate::{Client, PLENTY, Result, builder, link::Link, log::Log, scrape::Recorded, server::Server};

throttles! {
    Pages: "metrics:pages", "1000/min", Settings::new();
}

fn redis(recorded: &Recorded, metric: &str) -> Option<f64> {
    recorded.value(&format!(r#"traffik_redis_{metric}{{namespace="test:redis"}}"#))
}

#[tokio::test]
async fn calls_refusals_and_connections_are_counted() -> Result {
    let server = Server::start()?;
    // The app installs its recorder after it has connected.
    let backend = builder(&server).pool_size(2).connect().await?;
    let recorded = Recorded::begin();
    let client = Client::new("alice", FixedWindow, "2/hour")?;
    for admitted in [true, true, false, false] {
        assert_eq!(client.decide(&backend, 1).await?.admitted, admitted);
    }
    backend.peek(&[client.hit(1)]).await?;
    until("both connections are up", async || redis(&recorded, "connections") == Some(2.0)).await;
    let stats = backend.stats();
    assert_eq!((stats.calls, stats.decisions, stats.refused_here), (4, 3, 1));
    assert_eq!(redis(&recorded, "calls_total"), Some(4.0));
    assert_eq!(redis(&recorded, "decisions_total"), Some(3.0));
    assert_eq!(redis(&recorded, "local_refusals_total"), Some(1.0));
    assert_eq!(redis(&recorded, "timeouts_total"), Some(0.0));
    backend.close().await?;
    Ok(())
}

#[tokio::test]
async fn lost_answers_are_timeouts_in_doubt_and_replaced_connections() -> Result {
    let recorded = Recorded::begin();
    let server = Server::start()?;
    let link = Link::to(server.port()).await?;
    let deadline = Duration::from_millis(100);
    let backend = RedisBackend::builder(link.url()).namespace("test:redis").command_timeout(deadline).connect().await?;
    let client = Client::new("alice", FixedWindow, "1000/hour")?;
    until("it answers", async || client.decide(&backend, 1).await.is_ok()).await;
    assert_eq!(redis(&recorded, "connections"), Some(1.0));

    link.lose_answers();
    until("calls are lost", async || {
        let _ = client.decide(&backend, 1).await;
        backend.stats().given_up > 0 && backend.stats().timed_out > 0
    })
    .await;
    link.mend();
    until("it answers again", async || client.decide(&backend, 1).await.is_ok()).await;
    until("all calls have ended", async || {
        let stats = backend.stats();
        let same = |metric, count: u64| redis(&recorded, metric) == Some(count as f64);
        same("timeouts_total", stats.timed_out)
            && same("late_total", stats.late)
            && same("in_doubt_total", stats.in_doubt)
            && same("replaced_connections_total", stats.given_up)
            && stats.late + stats.in_doubt > 0
    })
    .await;
    assert_eq!(redis(&recorded, "connections"), Some(1.0));
    Ok(())
}

#[tokio::test]
async fn outage_of_a_killed_server_and_its_end_are_logged_once_each() -> Result {
    let ((log, _guard), recorded) = (Log::begin(), Recorded::begin());
    let mut server = Server::start()?;
    let redis_backend = builder(&server).connect().await?;
    let traffik = Traffik::builder(redis_backend).backend_timeout(PLENTY).build()?;
    let asks = async || traffik.limiter::<Pages>("alice").check().await.is_ok();
    let count = |words: &str| log.text().matches(words).count();
    assert!(asks().await);

    server.kill()?;
    until("it fails", async || !asks().await).await;
    for _ in 0..20 {
        assert!(!asks().await);
    }
    assert_eq!(redis(&recorded, "connections"), Some(0.0));
    server.start_again()?;
    until("it answers", async || asks().await).await;
    assert!(asks().await);
    until("the connection is shown", async || redis(&recorded, "connections") == Some(1.0)).await;

    assert_eq!((count("no connection to Redis"), count("connected to Redis again")), (1, 1), "{}", log.text());
    assert_eq!((count("a backend gives no answer"), count("the backend answers again")), (1, 1), "{}", log.text());
    Ok(())
}
