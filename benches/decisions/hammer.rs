//! Decision after decision, on one thread or several at once.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use benches::{clients::Picks, contenders::Contender};

/// So many keys are made ready at a time. They fit the nearest cache.
const READY: usize = 256;

/// Threads that ask for decisions about clients picked at random.
pub(crate) struct Hammer {
    threads: usize,
    /// Whether every request is admitted, or else refused.
    admitted: bool,
    /// What starts the picks of each thread, for other clients every time.
    seeds: Picks,
}

impl Hammer {
    pub(crate) const fn new(threads: usize, admitted: bool) -> Self {
        Self { threads, admitted, seeds: Picks::new(0) }
    }

    /// How many nanoseconds one decision took a thread, where each made so many.
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
            // A server has just made the key of a request, so that it is at hand. To compare these is to read them.
            assert!(ready.iter().all(|key| *key == black_box(*key)));

            let started = Instant::now();
            let admitted = ready.iter().filter(|key| contender.admits(key)).count();
            took += started.elapsed();
            assert_eq!(admitted, if self.admitted { READY } else { 0 }, "of {READY}");
        }
        took
    }
}
