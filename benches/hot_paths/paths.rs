//! The paths: what is set up before, and what is done again and again.

use std::net::{IpAddr, Ipv4Addr};

use benches::{
    apps,
    clients::{self, ClientKey},
    contenders::{admits, hit, meet, traffik},
    limits::Limit,
};
use traffik::{
    backend::MemoryBackend,
    client::Key,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow},
};

/// Something to do so many times.
pub(crate) struct Path {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnOnce(u32)>,
}

impl Path {
    fn new(name: impl Into<String>, run: impl FnOnce(u32) + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

pub(crate) fn all() -> Vec<Path> {
    let mut paths = Vec::new();
    for limit in [Limit::AMPLE, Limit::USED_UP] {
        for (name, strategy) in limit.strategies() {
            paths.push(Path::new(format!("{name}/{}", limit.outcome), move |times| {
                known::<IpAddr>(&limit, &strategy, times);
            }));
        }
    }
    paths.extend([
        Path::new("string-key", |times| known::<String>(&Limit::AMPLE, &FixedWindow.into(), times)),
        Path::new("two-limits", two_limits),
        Path::new("newcomer", |times| newcomers(MemoryBackend::DEFAULT_MAX_ENTRIES, 0, times)),
        Path::new("newcomer-at-the-cap", newcomers_at_the_cap),
        Path::new("request", request),
    ]);
    paths
}

/// What is counted, by its name: what is set up before depends on chance, as it measures how fast the clock ticks.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// A client who was there before.
fn known<K: ClientKey>(limit: &Limit, strategy: &AnyStrategy, times: u32) {
    let keys: Vec<Key> = clients::keys::<K>(1).map(Into::into).collect();
    let backend = traffik(keys.iter().cloned(), limit, strategy);
    counted(|| {
        for key in keys.iter().cycle().take(times as usize) {
            assert_eq!(admits(&backend, &[hit(key, strategy, limit)]), limit.admits);
        }
    });
}

/// Two limits of a known client, as one decision.
fn two_limits(times: u32) {
    let (limit, key) = (Limit::AMPLE, Key::from(Ipv4Addr::LOCALHOST));
    let [(_, window), _, (_, bucket), ..] = limit.strategies();
    let hits = [hit(&key, &window, &limit), Hit { uid: "benches:other", ..hit(&key, &bucket, &limit) }];
    let backend = traffik([], &limit, &window);
    assert!(counted(|| (0..times).all(|_| admits(&backend, &hits))));
}

/// Clients who were never there before, once a store with room for so many holds as many as are `known`.
fn newcomers(room: usize, known: u32, times: u32) {
    let (limit, strategy) = (Limit::AMPLE, FixedWindow.into());
    let backend = MemoryBackend::new("benches").max_entries(room);
    let mut newcomers = clients::keys::<IpAddr>(known + times).map(Key::from);
    newcomers.by_ref().take(known as usize).for_each(|key| meet(&backend, &key, &limit, &strategy));
    assert!(counted(|| newcomers.all(|key| admits(&backend, &[hit(&key, &strategy, &limit)]))));
}

/// The same, in stores that are full in every part. Who has to go depends on the digests, and these on a seed drawn at
/// random: what it takes is the same every time only as the average of many stores.
fn newcomers_at_the_cap(times: u32) {
    const STORES: u32 = 50;
    (0..STORES).for_each(|_| newcomers(2_000, 2_500, times / STORES));
}

/// A request through a router, whose handler asks for its limit as an argument.
fn request(times: u32) {
    let app = apps::by_argument();
    // Once, so that what only the first request needs is not counted.
    drop(apps::send(&app));
    counted(|| (0..times).for_each(|_| drop(apps::send(&app))));
}
