//! Sends requests to the program over TCP, in a dry run and after it, and prints what the metrics show of both.

use std::{error::Error, net::Ipv4Addr};

use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::Client;
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{MemoryBackend, Traffik, test::ManualClock};

/// Serves the program twice, and returns the last scrape.
pub(super) async fn run() -> Result<String, Box<dyn Error>> {
    let scrape = super::install_recorder()?;
    // The minute does not end.
    let backend = MemoryBackend::with_clock("shop", ManualClock::new());

    println!("The limit is 3/min, in a dry run: nothing is refused.");
    let traffik = super::limits(backend.clone(), true)?;
    served(&traffik, &scrape, &[200, 200, 200, 200, 200]).await?;
    let counts = traffik.counts_of("search").ok_or("the limit was not used")?;
    println!("admitted: {}, would refuse: {}\n", counts.admitted, counts.would_refuse);
    expect((counts.admitted, counts.would_refuse), (3, 2))?;

    println!("The limit is enforced. The client has used it up before.");
    let traffik = super::limits(backend, false)?;
    let metrics = served(&traffik, &scrape, &[429, 429]).await?;
    let counts = traffik.counts_of("search").ok_or("the limit was not used")?;
    println!("admitted: {}, refused: {}\n", counts.admitted, counts.refused);
    expect((counts.admitted, counts.refused), (0, 2))?;

    println!("GET /metrics:\n{metrics}");
    for (outcome, count) in [("admitted", 3), ("would_refuse", 2), ("refused", 2)] {
        let series =
            format!(r#"{{limit="search",outcome="{outcome}",backend="default",decided_by="primary"}} {count}"#);
        expect(metrics.contains(&format!("traffik_decisions_total{series}\n")), true)?;
    }
    traffik.close().await?;
    Ok(metrics)
}

/// Serves an app, expects the responses to some searches, and returns the metrics afterwards.
async fn served(traffik: &Traffik, scrape: &PrometheusHandle, statuses: &[u16]) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };
    let asking = async {
        // The server is on this machine: ignore the proxies of the environment.
        let client = Client::builder().no_proxy().build()?;
        for status in statuses {
            let response = client.get(format!("{base}/search")).send().await?;
            println!("GET /search: {}", response.status());
            expect(response.status().as_u16(), *status)?;
        }
        let metrics = client.get(format!("{base}/metrics")).send().await?.text().await?;
        drop(stop);
        Ok::<_, Box<dyn Error>>(metrics)
    };
    let serving = async { Ok(super::serve(listener, super::app(traffik, scrape.clone()), shutdown).await?) };
    let ((), metrics) = tokio::try_join!(serving, asking)?;
    Ok(sorted(&metrics))
}

/// Sorts the metrics, and the series of each, which the exporter shows in any order.
fn sorted(scrape: &str) -> String {
    let mut metrics: Vec<String> = scrape
        .split("\n\n")
        .map(|metric| {
            let (comments, mut series): (Vec<_>, Vec<_>) = metric.lines().partition(|line| line.starts_with('#'));
            series.sort_by_key(|line| line.split("le=").next());
            [comments, series].concat().join("\n") + "\n"
        })
        .filter(|metric| metric.len() > 1)
        .collect();
    metrics.sort();
    metrics.join("\n")
}

fn expect<T: Copy + PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}").into()) }
}

#[cfg(test)]
mod tests {
    /// The guide shows the scrape.
    #[tokio::test]
    async fn demo_of_the_program_succeeds_as_the_guide_shows() {
        let metrics = super::run().await.unwrap();
        let guide = include_str!("../../docs/metrics-and-logs.md");
        assert!(guide.contains(&metrics), "the guide does not show:\n{metrics}");
    }
}
