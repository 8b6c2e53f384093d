//! Keeps those who write to a shard apart, and lets those who only read pass without a trace.
//!
//! It is a [sequence lock](https://en.wikipedia.org/wiki/Seqlock), in the form that Hans Boehm worked out for languages with
//! a memory model ("Can seqlocks get along with programming language memory models?", 2012): a version that is odd while
//! somebody writes. A reader reads what it needs (all of it atomics), and then asks whether the version is still the same.
//! If so it saw one moment. A reader who then wants to write enters with the version that it read: if that works nobody
//! wrote since, and what was decided on what was read still holds.
//!
//! So a refusal, which writes nothing, takes no lock at all, and a charge takes one atomic exchange.

use std::{
    hint::spin_loop,
    ops::{Deref, DerefMut},
    sync::PoisonError,
};

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering, SPINS, fence, yield_now};

/// The turnstile of a shard, and what of the shard only those see who close it.
#[derive(Debug, Default)]
pub(super) struct Turnstile<T> {
    version: AtomicU64,
    behind: Mutex<T>,
}

/// A version at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u64);

/// Somebody writes, until this is dropped.
#[derive(Debug)]
pub(super) struct Inside<'a> {
    version: &'a AtomicU64,
}

/// Nobody else writes, and nobody reads what is not atomic, until this is dropped.
#[derive(Debug)]
pub(super) struct Closed<'a, T> {
    // Dropped first: who waits for the lock finds the version at rest.
    _inside: Inside<'a>,
    behind: MutexGuard<'a, T>,
}

impl<T> Turnstile<T> {
    /// Begins to read.
    #[inline]
    pub(super) fn look(&self) -> Version {
        match self.at_rest() {
            Some(version) => version,
            None => self.wait(),
        }
    }

    /// Whether all that was read since `version` was of one moment.
    #[inline]
    pub(super) fn is_still(&self, version: Version) -> bool {
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version.0
    }

    /// Begins to write, if nobody wrote since `version`.
    #[inline]
    pub(super) fn enter(&self, Version(version): Version) -> Option<Inside<'_>> {
        // What was read before is in order by the look, and who enters next by how this one leaves.
        self.version.compare_exchange(version, version + 1, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        // Who sees anything of what is written from here on sees that the version is odd.
        fence(Ordering::Release);
        Some(Inside { version: &self.version })
    }

    /// Waits for everybody else to leave, and keeps them out.
    pub(super) fn close(&self) -> Closed<'_, T> {
        // Nothing behind it is in pieces at any time, so a panic elsewhere has not left it so.
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(_inside) = self.at_rest().and_then(|version| self.enter(version)) {
                return Closed { _inside, behind };
            }
            yield_now();
        }
    }

    #[inline]
    fn at_rest(&self) -> Option<Version> {
        let version = self.version.load(Ordering::Acquire);
        (version % 2 == 0).then_some(Version(version))
    }

    #[cold]
    fn wait(&self) -> Version {
        for _ in 0..SPINS {
            spin_loop();
            if let Some(version) = self.at_rest() {
                return version;
            }
        }
        loop {
            // Whoever keeps it closed for longer holds the lock: here one waits for that without using up a core.
            drop(self.behind.lock());
            if let Some(version) = self.at_rest() {
                return version;
            }
            yield_now();
        }
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Release);
    }
}

impl<T> Deref for Closed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.behind
    }
}

impl<T> DerefMut for Closed<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.behind
    }
}

/// Every order in which threads can meet: `cargo xtask loom`.
#[cfg(all(test, traffik_loom))]
mod tests {
    use loom::{model, sync::Arc, thread};

    use super::*;

    /// A counter of two words that are always the same, under a limit, and one that only those see who close it.
    #[derive(Default)]
    struct Counter {
        turnstile: Turnstile<u64>,
        words: [AtomicU64; 2],
    }

    impl Counter {
        fn read(&self) -> [u64; 2] {
            self.words.each_ref().map(|word| word.load(Ordering::Relaxed))
        }

        fn write(&self, count: u64) {
            self.words.iter().for_each(|word| word.store(count, Ordering::Relaxed));
        }

        /// Counts one, unless it is `limit` already.
        fn count(&self, limit: u64) -> bool {
            loop {
                let version = self.turnstile.look();
                let [count, same] = self.read();
                if !self.turnstile.is_still(version) {
                    continue;
                }
                assert_eq!(count, same, "what is decided on is of one moment");
                if count == limit {
                    return false;
                }
                if let Some(_inside) = self.turnstile.enter(version) {
                    assert_eq!(self.read(), [count; 2], "what was decided on holds");
                    self.write(count + 1);
                    return true;
                }
            }
        }

        /// Starts again, and counts how often that was done.
        fn reset(&self) {
            let mut resets = self.turnstile.close();
            let [one, other] = self.read();
            assert_eq!(one, other);
            self.write(0);
            *resets += 1;
        }
    }

    /// Runs both on threads of their own.
    fn at_once<A: Send + 'static, B: Send + 'static>(
        counter: &Arc<Counter>,
        one: fn(&Counter) -> A,
        other: fn(&Counter) -> B,
    ) -> (A, B) {
        let counters = [Arc::clone(counter), Arc::clone(counter)];
        let [first, second] = counters;
        let one = thread::spawn(move || one(&first));
        let other = thread::spawn(move || other(&second));
        (one.join().unwrap(), other.join().unwrap())
    }

    #[test]
    fn no_more_are_counted_than_the_limit_and_no_fewer() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let (one, other) = at_once(&counter, |counter| counter.count(1), |counter| counter.count(1));
            assert!(one ^ other);
            assert_eq!(counter.read(), [1; 2]);
        });
    }

    #[test]
    fn nothing_that_is_counted_is_lost() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let counted = at_once(&counter, |counter| counter.count(9), |counter| counter.count(9));
            assert_eq!((counted, counter.read()), ((true, true), [2; 2]));
        });
    }

    #[test]
    fn who_reads_sees_one_moment() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let look = |counter: &Counter| {
                let version = counter.turnstile.look();
                let [one, other] = counter.read();
                assert!(!counter.turnstile.is_still(version) || one == other, "{one} {other}");
            };
            at_once(&counter, |counter| counter.count(9), look);
        });
    }

    #[test]
    fn who_closes_it_is_alone() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let (counted, ()) = at_once(&counter, |counter| counter.count(1), Counter::reset);
            assert!(counted);
            // Either came first.
            assert!([[0; 2], [1; 2]].contains(&counter.read()));
            assert_eq!(*counter.turnstile.close(), 1);
        });
    }

    #[test]
    fn several_close_it_one_after_the_other() {
        model(|| {
            let counter = Arc::new(Counter::default());
            at_once(&counter, Counter::reset, Counter::reset);
            assert_eq!(*counter.turnstile.close(), 2);
        });
    }
}
