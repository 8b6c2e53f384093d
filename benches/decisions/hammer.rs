//! Consecutive decisions, on one thread or several concurrent threads.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use benches::{clients::Picks, contenders::Contender};

/// The number of keys that are prepared at a time. They fit into the first-level cache.
const READY: usize = 256;

/// Threads that make decisions about random clients.
pub(crate) struct Hammer {
    threads: usize,
    /// Whether every request is admitted. Otherwise every request is refused.
    admitted: bool,
    /// The seeds of the random picks of each thread, different in each run.
    seeds: Picks,
}

impl Hammer {
    pub(crate) const fn new(threads: usize, admitted: bool) -> Self {
        Self { threads, admitted, seeds: Picks::new(0) }
    }

    /// Returns the nanoseconds that a thread took for one of `decisions`.
    pub(crate) fn strike(&mut self, contender: &impl Contender, decisions: usize) -> f64 {
        let picks: Vec<Picks> = (0..self.threads).map(|_| Picks::new(self.seeds.number())).collect();
        let barrier = Barrier::new(self.threads);
        let turns = decisions.div_ceil(READY);
        let run = |picks| {
            barrier.wait();
            self.run(contender, turns, picks)
        };
        let times: Vec<Duration> = thread::scope(|scope| {
            let threads: Vec<_> = picks.into_iter().map(|picks| scope.spawn(|| run(picks))).collect();
            threads.into_iter().flat_map(thread::ScopedJoinHandle::join).collect()
        });
        assert_eq!(times.len(), self.threads, "a thread panicked");
        times.iter().sum::<Duration>().as_secs_f64() * 1e9 / (turns * READY * self.threads) as f64
    }

    fn run<C: Contender>(&self, contender: &C, turns: usize, mut picks: Picks) -> Duration {
        let clients = contender.clients();
        let mut took = Duration::ZERO;
        let mut ready: Vec<&C::Key> = Vec::with_capacity(READY);
        for _ in 0..turns {
            ready.clear();
            ready.extend((0..READY).filter_map(|_| clients.get(picks.below(clients.len()))));
            // A server has just created the key of a request, so it is in the cache. Comparing the keys reads them.
            assert!(ready.iter().all(|key| *key == black_box(*key)));

            let started = Instant::now();
            let admitted = ready.iter().filter(|key| contender.admits(key)).count();
            took += started.elapsed();
            assert_eq!(admitted, if self.admitted { READY } else { 0 }, "of {READY}");
        }
        took
    }
}
