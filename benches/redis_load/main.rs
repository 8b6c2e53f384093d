//! The cost of a decision on Redis, compared with plain commands and a hand-written script, through the same client
//! library and in the same run.
//!
//! ```text
//! cargo bench --package benches --bench redis_load              # some minutes
//! cargo bench --package benches --bench redis_load -- --quick   # less than one
//! ```
//!
//! It starts a server on a free port, and stops it. Processor time is read from `/proc`, as on Linux.
#![expect(clippy::indexing_slicing, reason = "a side is one of an array")]

#[path = "../../tests/redis/raw.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod raw;
#[path = "../../tests/redis/server.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod server;
mod sides;
mod usage;

use std::{sync::Arc, time::Instant};

use benches::{
    effort::Effort,
    rounds::{Spread, rounds},
};
use tokio::runtime::Runtime;

use self::{
    server::Server,
    sides::{Call, Side},
    usage::Usage,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const SIDES: usize = 11;
const CALLERS: [usize; 4] = [1, 16, 64, 256];

/// Batches are longer than those of other programs, because a call takes longer.
const LONGER: u32 = 50;

fn main() -> Result {
    let effort = Effort::from_args()?;
    let server = Server::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sides: [Side; SIDES] = runtime.block_on(sides::all(&server))?;

    for callers in CALLERS {
        let mut usages = vec![Usage::default(); SIDES];
        let samples = rounds::<SIDES>(effort.rounds, |at| {
            match batch(&runtime, &server, &sides[at].call, callers, effort.batch * LONGER) {
                Ok(usage) => {
                    usages[at] = usages[at] + usage;
                    usage.calls / usage.seconds
                }
                Err(error) => {
                    eprintln!("{}: {error}", sides[at].name);
                    f64::NAN
                }
            }
        });
        println!("\n{callers} concurrent callers:\n");
        println!("| | thousand a second | of INCR | client, µs | server, µs | commands |");
        println!("|---|--:|--:|--:|--:|--:|");
        for (at, side) in sides.iter().enumerate() {
            let rate = Spread::of(samples.iter().map(|round| round[at] / 1000.0));
            let ratio = Spread::of(samples.iter().map(|round| round[at] / round[0]));
            let Usage { calls, client, server, commands: [sent, reads], .. } = usages[at];
            let commands = if sent == 0.0 { reads } else { sent };
            println!(
                "| {} | {:.1} | {ratio} | {:.2} | {:.2} | {:.3} |",
                side.name,
                rate.median,
                client * 1e6 / calls,
                server * 1e6 / calls,
                commands / calls
            );
        }
    }
    Ok(())
}

/// Runs this number of concurrent callers for a while, each with one call at a time. Returns the usage.
fn batch(
    runtime: &Runtime,
    server: &Server,
    call: &Arc<dyn Call>,
    callers: usize,
    time: std::time::Duration,
) -> Result<Usage> {
    let before = Usage::now(server)?;
    let started = Instant::now();
    let calls = runtime.block_on(async {
        let callers: Vec<_> = (0..callers)
            .map(|caller| {
                let call = Arc::clone(call);
                tokio::spawn(async move {
                    let mut calls = 0_u32;
                    let mut random = caller as u64;
                    while started.elapsed() < time {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        call.call(usize::try_from(random >> 40)?).await?;
                        calls += 1;
                    }
                    Result::Ok(calls)
                })
            })
            .collect();
        let mut calls = 0.0;
        for caller in callers {
            calls += f64::from(caller.await??);
        }
        Result::Ok(calls)
    })?;
    let took = Usage::now(server)? - before;
    Ok(Usage { calls, ..took })
}
