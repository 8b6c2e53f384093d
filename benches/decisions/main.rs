//! The time of one decision: traffik's memory backend, by strategy, compared with governor.
//!
//! ```text
//! cargo bench --package benches --bench decisions              # five minutes
//! cargo bench --package benches --bench decisions -- --quick   # half a minute
//! ```

mod full;
mod hammer;
mod others;

use std::net::IpAddr;

use anyhow::Result;
use benches::{
    clients::{self, ClientKey},
    contenders::{Contender, Governor, Traffik},
    effort::Effort,
    limits::Limit,
    rounds::{Spread, rounds},
};
use traffik::client::Key;

use self::hammer::Hammer;

const CLIENTS: [u32; 3] = [1, 1_000, 1_000_000];
const THREADS: [usize; 2] = [1, 2];

/// The number of decisions for a first estimate of the time.
const TRIAL: usize = 20_000;

fn main() -> Result<()> {
    let effort = Effort::from_args()?;
    let names = Limit::AMPLE.strategies().map(|(name, _)| name);
    println!("| key | clients | outcome | threads | governor, ns | {} |", names.join(" | "));
    println!("|---|--:|---|--:|--:|{}", "--:|".repeat(names.len()));
    of_key::<String>(effort);
    of_key::<IpAddr>(effort);
    others::compare(effort);
    full::compare(effort);
    Ok(())
}

fn of_key<K: ClientKey>(effort: Effort) {
    for clients in CLIENTS {
        let keys: Vec<K> = clients::keys(clients).collect();
        let ours: Vec<Key> = keys.iter().cloned().map(Into::into).collect();
        for limit in [Limit::AMPLE, Limit::USED_UP] {
            for (threads, cells) in THREADS.into_iter().zip(compare(&keys, &ours, &limit, effort)) {
                println!("| {} | {clients} | {} | {threads} | {cells} |", K::NAME, limit.outcome);
            }
        }
    }
}

/// Returns the cells of governor and of each strategy, for each number of threads.
fn compare<K: ClientKey>(keys: &[K], ours: &[Key], limit: &Limit, effort: Effort) -> [String; THREADS.len()] {
    let governor = Governor::new(keys, limit);
    let mut peers = THREADS.map(|_| Vec::new());
    let mut cells = THREADS.map(|_| String::new());
    for (_, strategy) in limit.strategies() {
        let traffik = Traffik::new(ours, limit, &strategy);
        for ((threads, peer), cells) in THREADS.into_iter().zip(&mut peers).zip(&mut cells) {
            let samples = samples(&governor, &traffik, Hammer::new(threads, limit.admits), effort);
            let ns = Spread::of(samples.iter().map(|[_, ours]| *ours)).median;
            let ratio = Spread::of(samples.iter().map(|[peer, ours]| ours / peer));
            *cells += &format!(" | {ratio}, {ns:.0} ns");
            peer.extend(samples.into_iter().map(|[peer, _]| peer));
        }
    }
    let mut peers = peers.into_iter().map(|peer| Spread::of(peer).median);
    cells.map(|cells| format!("{:.0}{cells}", peers.next().unwrap_or(f64::NAN)))
}

/// Returns the nanoseconds of one decision of the peer and of ours, in each round.
fn samples(peer: &impl Contender, ours: &impl Contender, mut hammer: Hammer, effort: Effort) -> Vec<[f64; 2]> {
    // The first of two is discarded, because its cache is cold.
    let [_, trial] = [TRIAL; 2].map(|decisions| hammer.strike(peer, decisions));
    let decisions = effort.times(trial);
    rounds(effort.rounds, |side| match side {
        0 => hammer.strike(peer, decisions),
        _ => hammer.strike(ours, decisions),
    })
}
