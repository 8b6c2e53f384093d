//! The memory of a client, and the allocations of a request: traffik compared with governor and `tower_governor`.
//!
//! ```text
//! cargo bench --package benches --bench memory
//! ```

use std::net::IpAddr;

use allocation_counter::measure;
use anyhow::Result;
use axum::Router;
use benches::{
    apps,
    clients::{self, ClientKey},
    contenders,
    effort::Effort,
    limits::Limit,
};
use traffik::{client::Key, decision::LimitId};

const CLIENTS: u32 = 1_000_000;

/// Enough requests to include work that only some of them need.
const REQUESTS: u32 = 1_000;

fn main() -> Result<()> {
    // The duration does not depend on the effort.
    Effort::from_args()?;
    clients();
    requests()
}

fn clients() {
    let limit = Limit::AMPLE;
    println!("| bytes of a client, of {CLIENTS} | String | IpAddr |");
    println!("|---|--:|--:|");
    let governor = [
        bytes_of_each(|| contenders::governor(clients::keys::<String>(CLIENTS), &limit)),
        bytes_of_each(|| contenders::governor(clients::keys::<IpAddr>(CLIENTS), &limit)),
    ];
    println!("| governor | {:.1} | {:.1} |", governor[0], governor[1]);
    for (name, strategy) in limit.strategies() {
        let id = LimitId::new("benches:limit", strategy);
        let traffik = [
            bytes_of_each(|| contenders::traffik(keys::<String>(), &limit, &id)),
            bytes_of_each(|| contenders::traffik(keys::<IpAddr>(), &limit, &id)),
        ];
        println!("| {name} | {:.1} | {:.1} |", traffik[0], traffik[1]);
    }
    println!();
}

fn keys<K: ClientKey>() -> impl Iterator<Item = Key> {
    clients::keys::<K>(CLIENTS).map(Into::into)
}

/// Returns the heap bytes of a limiter that knows all clients, for each client.
fn bytes_of_each<T>(limiter: impl FnOnce() -> T) -> f64 {
    let mut kept = None;
    let memory = measure(|| kept = Some(limiter()));
    memory.bytes_current as f64 / f64::from(CLIENTS)
}

fn requests() -> Result<()> {
    println!("| a request, its response included | allocations | added | bytes | added |");
    println!("|---|--:|--:|--:|--:|");
    let [bare, ..] = apps::all()?.map(|(_, app)| allocated(&app));
    for (name, app) in apps::all()? {
        let [allocations, bytes] = allocated(&app);
        let added = [allocations - bare[0], bytes - bare[1]];
        println!("| {name} | {allocations:.1} | {:.1} | {bytes:.0} | {:.0} |", added[0], added[1]);
    }
    Ok(())
}

/// Returns the allocations of a request from a known client, and their bytes.
fn allocated(app: &Router) -> [f64; 2] {
    let send = |times| (0..times).for_each(|_| drop(apps::send(app)));
    send(10);
    let memory = measure(|| send(REQUESTS));
    [memory.count_total, memory.bytes_total].map(|count| count as f64 / f64::from(REQUESTS))
}
