//! What metrics add to a decision, next to a bare counter in the same run.
//!
//! The feature is chosen when the program is built, so there are two runs: the difference between their last columns is what
//! metrics add.
//!
//! ```text
//! cargo bench --package benches --bench metrics
//! cargo bench --package benches --bench metrics --features metrics
//! ```

use std::{
    net::Ipv4Addr,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use anyhow::{Result, ensure};
use benches::{
    effort::Effort,
    limits::Tokens,
    rounds::{Spread, rounds},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use traffik::{MemoryBackend, Throttle, Traffik};

/// The number of operations for a first estimate of the time.
const TRIAL: usize = 10_000;

fn main() -> Result<()> {
    let effort = Effort::from_args()?;
    let recorder = PrometheusBuilder::new().with_recommended_naming(true).build_recorder();
    let handle = recorder.handle();
    ensure!(metrics::set_global_recorder(recorder).is_ok(), "there is a recorder");
    let traffik = Traffik::new(MemoryBackend::new("benches"))?;
    let bare = || metrics::counter!("benches.bare", "limit" => Tokens::UID, "outcome" => "admitted").increment(1);
    let decision = || assert!(is_admitted(&traffik));
    let [_, trial] = [TRIAL; 2].map(|times| time(&handle, times, decision));
    let times = effort.times(trial);
    let samples: Vec<[f64; 2]> = rounds(effort.rounds, |side| match side {
        0 => time(&handle, times, bare),
        _ => time(&handle, times, decision),
    });
    let scrape = handle.render();
    ensure!(scrape.contains("traffik_decisions_total") == cfg!(feature = "metrics"), "{scrape}");

    println!("| metrics | a bare `counter!`, ns | a decision, ns | more than the counter, ns |");
    println!("|---|--:|--:|--:|");
    let spread = |value: fn(&[f64; 2]) -> f64| Spread::of(samples.iter().map(value));
    let (bare, decision, more) =
        (spread(|[bare, _]| *bare), spread(|[_, decision]| *decision), spread(|[bare, decision]| decision - bare));
    let name = if cfg!(feature = "metrics") { "on" } else { "off" };
    println!(
        "| {name} | {:.0} | {:.0} | {:.0} ({:.0}..{:.0}) |",
        bare.median, decision.median, more.median, more.lower, more.upper
    );
    Ok(())
}

/// Checks a known client in memory, without a runtime.
fn is_admitted(traffik: &Traffik) -> bool {
    let check = pin!(traffik.limiter::<Tokens>(Ipv4Addr::LOCALHOST).check());
    matches!(check.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_)))
}

/// Returns the nanoseconds of one of `times` operations.
fn time(handle: &PrometheusHandle, times: usize, operation: impl Fn()) -> f64 {
    let started = Instant::now();
    (0..times).for_each(|_| operation());
    let took = started.elapsed().as_secs_f64() * 1e9 / times as f64;
    // The exporter keeps the samples of histograms until it sorts them into buckets.
    handle.run_upkeep();
    took
}
