//! Decisions that the table of strategies does not have: about two limits, new clients, and clients that return after
//! their state has expired. Clients are addresses, and all are admitted.

use std::{net::IpAddr, num::NonZeroU32, time::Instant};

use benches::{
    clients,
    contenders::{self, admits, governor, traffik},
    effort::Effort,
    limits::Limit,
    rounds::{Spread, rounds},
};
use governor::{DefaultKeyedRateLimiter, Quota};
use traffik::{
    Rate,
    backend::MemoryBackend,
    client::Key,
    decision::{Hit, LimitId},
    strategy::{AnyStrategy, FixedWindow, Gcra, TokenBucket},
};

/// The number of new clients in a round.
const NEWCOMERS: u32 = 200_000;

pub(crate) fn compare(effort: Effort) {
    println!("\n| one thread, IpAddr | governor, ns | traffik |");
    println!("|---|--:|--:|");
    row("two limits, 1000 clients; governor is asked twice", &two_limits(effort));
    row("new clients", &newcomers(effort));
    let gcra = AnyStrategy::from(Gcra::new());
    row("expired states, Gcra at 1000/s, 50 000 clients by turns", &returning(effort, 50_000, &gcra, 1000));
    let bucket = AnyStrategy::from(TokenBucket::new().burst(1));
    row(
        "expired states, TokenBucket at 1 000 000/s, 1000 clients by turns",
        &returning(effort, 1000, &bucket, 1_000_000),
    );
}

fn row(name: &str, samples: &[[f64; 2]]) {
    let governor = Spread::of(samples.iter().map(|[governor, _]| *governor)).median;
    let traffik = Spread::of(samples.iter().map(|[_, traffik]| *traffik)).median;
    let ratio = Spread::of(samples.iter().map(|[governor, traffik]| traffik / governor));
    println!("| {name} | {governor:.0} | {ratio}, {traffik:.0} ns |");
}

fn two_limits(effort: Effort) -> Vec<[f64; 2]> {
    let limit = Limit::AMPLE;
    let addresses: Vec<IpAddr> = clients::keys(1000).collect();
    let keys: Vec<Key> = addresses.iter().copied().map(Key::from).collect();
    let burst = TokenBucket::new().burst(limit.rate.limit());
    let ids = [LimitId::new("benches:burst", burst), LimitId::new("benches:sustained", FixedWindow)];
    let [one, other] = [(); 2].map(|()| governor(addresses.iter().copied(), &limit));
    let backend = traffik(keys.iter().cloned(), &limit, &ids[0]);
    keys.iter().for_each(|key| contenders::meet(&backend, key, &limit, &ids[1]));
    let times = effort.times(100.0);
    rounds(effort.rounds, |side| match side {
        0 => {
            nanos(times, addresses.iter(), |address| one.check_key(address).is_ok() && other.check_key(address).is_ok())
        }
        _ => nanos(times, keys.iter(), |key| {
            admits(&backend, &ids.each_ref().map(|id| contenders::hit(key, id, &limit)))
        }),
    })
}

fn newcomers(effort: Effort) -> Vec<[f64; 2]> {
    let limit = Limit::AMPLE;
    let addresses: Vec<IpAddr> = clients::keys(NEWCOMERS).collect();
    let keys: Vec<Key> = addresses.iter().copied().map(Key::from).collect();
    let id = LimitId::new("benches:limit", FixedWindow);
    rounds(effort.rounds.min(9), |side| {
        let governor = governor::<IpAddr>([], &limit);
        let backend = MemoryBackend::new("benches");
        match side {
            0 => nanos(addresses.len(), addresses.iter(), |address| governor.check_key(address).is_ok()),
            _ => nanos(keys.len(), keys.iter(), |key| admits(&backend, &[contenders::hit(key, &id, &limit)])),
        }
    })
}

/// Each client returns when its turn comes, long after what it used has come back.
fn returning(effort: Effort, clients: u32, strategy: &AnyStrategy, per_second: u32) -> Vec<[f64; 2]> {
    let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
    let (rate, quota) = (Rate::per_second(per_second), Quota::per_second(per_second).allow_burst(NonZeroU32::MIN));
    let addresses: Vec<IpAddr> = clients::keys(clients).collect();
    let keys: Vec<Key> = addresses.iter().copied().map(Key::from).collect();
    let id = LimitId::new("benches:limit", strategy.clone());
    let (governor, backend) = (DefaultKeyedRateLimiter::keyed(quota), MemoryBackend::new("benches"));
    let times = keys.len() * effort.times(100.0).div_ceil(keys.len());
    rounds(effort.rounds, |side| match side {
        0 => nanos(times, addresses.iter(), |address| governor.check_key(address).is_ok()),
        _ => nanos(times, keys.iter(), |key| admits(&backend, &[Hit::new(&id, key, rate, 1)])),
    })
}

/// Returns the nanoseconds of one of `times` decisions, which admit the clients by turns.
fn nanos<T>(times: usize, clients: impl Iterator<Item = T> + Clone, admits: impl Fn(T) -> bool) -> f64 {
    let started = Instant::now();
    let admitted = clients.cycle().take(times).map(admits).filter(|admitted| *admitted).count();
    let took = started.elapsed();
    assert_eq!(admitted, times);
    took.as_secs_f64() * 1e9 / times as f64
}
