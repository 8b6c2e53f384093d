//! The cost that a limit adds to a request: traffik with its fields on every response, compared with `tower_governor`
//! with its headers.
//!
//! ```text
//! cargo bench --package benches --bench requests              # some seconds
//! cargo bench --package benches --bench requests -- --quick   # less than one
//! ```
#![expect(clippy::indexing_slicing, reason = "a side is one of an array")]

use std::time::Instant;

use anyhow::Result;
use axum::Router;
use benches::{
    apps,
    effort::Effort,
    rounds::{Spread, rounds},
};

/// The index of the app that the others are compared with.
const BARE: usize = 0;
const PEER: usize = 1;

/// The number of requests for a first estimate of the time.
const TRIAL: usize = 1_000;

fn main() -> Result<()> {
    let effort = Effort::from_args()?;
    let apps = apps::all()?;
    // The first of two is discarded, because its cache is cold.
    let [_, trial] = [TRIAL; 2].map(|requests| time(&apps[BARE].1, requests));
    let requests = effort.times(trial);
    let samples = rounds(effort.rounds, |side| time(&apps[side].1, requests));
    let added = |side: usize| samples.iter().map(move |round: &[f64; 4]| round[side] - round[BARE]);

    println!("| a request | ns | added to the bare handler, ns | of what tower_governor adds |");
    println!("|---|--:|--:|--:|");
    for (side, (name, _)) in apps.iter().enumerate() {
        let took = Spread::of(samples.iter().map(|round| round[side]));
        let ratio = Spread::of(added(side).zip(added(PEER)).map(|(added, by_peer)| added / by_peer));
        println!("| {name} | {:.0} | {:.0} | {ratio} |", took.median, Spread::of(added(side)).median);
    }
    Ok(())
}

/// Returns the nanoseconds of one of `requests`.
fn time(app: &Router, requests: usize) -> f64 {
    let started = Instant::now();
    (0..requests).for_each(|_| drop(apps::send(app)));
    started.elapsed().as_secs_f64() * 1e9 / requests as f64
}
