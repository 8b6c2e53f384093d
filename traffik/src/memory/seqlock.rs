//! A lock whose readers write nothing to memory.
//!
//! A [sequence lock](https://en.wikipedia.org/wiki/Seqlock), in Hans Boehm's form for languages with a memory model
//! ("Can seqlocks get along with programming language memory models?", 2012). Its version is odd while a thread writes.
//! A reader reads its data (all of it atomics), and then validates that the version is unchanged. If it is, all reads
//! are consistent. To write afterwards, a reader exchanges the version that it read: if that succeeds, no thread wrote
//! in between, and the decision is still valid.
//!
//! A refusal, which writes nothing, takes no lock. A charge takes one atomic exchange.

use std::{hint::spin_loop, sync::PoisonError};

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering, SPINS, fence, yield_now};

/// A version, and data that is accessed only under the lock.
#[derive(Default)]
pub(super) struct SeqLock<T> {
    version: AtomicU64,
    data: Mutex<T>,
}

/// The version while no thread writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u64);

/// Write access of one thread, until this is dropped.
pub(super) struct WriteGuard<'a>(&'a AtomicU64);

impl<T> SeqLock<T> {
    /// Begins to read.
    #[inline]
    pub(super) fn read(&self) -> Version {
        match self.even_version() {
            Some(version) => version,
            None => self.wait(),
        }
    }

    /// Returns whether all reads since `version` are consistent.
    #[inline]
    pub(super) fn validate(&self, version: Version) -> bool {
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == version.0
    }

    /// Begins to write, if no thread has written since `version`.
    #[inline]
    pub(super) fn try_write(&self, Version(version): Version) -> Option<WriteGuard<'_>> {
        // `read` orders the earlier reads, and the drop of this guard orders the next writer.
        self.version.compare_exchange(version, version + 1, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        // A thread that sees any of the following writes sees that the version is odd.
        fence(Ordering::Release);
        Some(WriteGuard(&self.version))
    }

    /// Waits until no other thread writes, and excludes other writers. Drop the [`WriteGuard`] first, so that the next
    /// thread with the lock finds an even version.
    pub(super) fn lock(&self) -> (WriteGuard<'_>, MutexGuard<'_, T>) {
        // The data is consistent at any time, also after a panic of another thread.
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(write) = self.even_version().and_then(|version| self.try_write(version)) {
                return (write, data);
            }
            yield_now();
        }
    }

    #[inline]
    fn even_version(&self) -> Option<Version> {
        let version = self.version.load(Ordering::Acquire);
        (version % 2 == 0).then_some(Version(version))
    }

    #[cold]
    fn wait(&self) -> Version {
        for _ in 0..SPINS {
            spin_loop();
            if let Some(version) = self.even_version() {
                return version;
            }
        }
        loop {
            // A thread that writes for longer holds the lock. This waits without spinning.
            drop(self.data.lock());
            if let Some(version) = self.even_version() {
                return version;
            }
            yield_now();
        }
    }
}

impl Drop for WriteGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let version = self.0.load(Ordering::Relaxed);
        self.0.store(version + 1, Ordering::Release);
    }
}

/// Runs under a model checker that tries every order of the threads: `cargo xtask loom`.
#[cfg(all(test, traffik_loom))]
mod tests {
    use loom::{model, sync::Arc, thread};

    use super::*;

    /// A counter with two words that are always equal, under a limit, and one that is accessed only under the lock.
    #[derive(Default)]
    struct Counter {
        seqlock: SeqLock<u64>,
        words: [AtomicU64; 2],
    }

    impl Counter {
        fn read(&self) -> [u64; 2] {
            self.words.each_ref().map(|word| word.load(Ordering::Relaxed))
        }

        fn write(&self, count: u64) {
            self.words.iter().for_each(|word| word.store(count, Ordering::Relaxed));
        }

        /// Adds one, unless the counter is at `limit`.
        fn count(&self, limit: u64) -> bool {
            loop {
                let version = self.seqlock.read();
                let [count, same] = self.read();
                if !self.seqlock.validate(version) {
                    continue;
                }
                assert_eq!(count, same, "what is decided on is of one moment");
                if count == limit {
                    return false;
                }
                if let Some(_guard) = self.seqlock.try_write(version) {
                    assert_eq!(self.read(), [count; 2], "what was decided on holds");
                    self.write(count + 1);
                    return true;
                }
            }
        }

        /// Resets the counter, and counts the resets.
        fn reset(&self) {
            let (_write, mut resets) = self.seqlock.lock();
            let [one, other] = self.read();
            assert_eq!(one, other);
            self.write(0);
            *resets += 1;
        }
    }

    /// Runs both on threads of their own.
    fn concurrently<A: Send + 'static, B: Send + 'static>(
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
    fn concurrent_counts_reach_the_limit_and_no_more() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let (one, other) = concurrently(&counter, |counter| counter.count(1), |counter| counter.count(1));
            assert!(one ^ other);
            assert_eq!(counter.read(), [1; 2]);
        });
    }

    #[test]
    fn concurrent_counts_are_all_kept() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let counted = concurrently(&counter, |counter| counter.count(9), |counter| counter.count(9));
            assert_eq!((counted, counter.read()), ((true, true), [2; 2]));
        });
    }

    #[test]
    fn reader_sees_one_moment() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let read = |counter: &Counter| {
                let version = counter.seqlock.read();
                let [one, other] = counter.read();
                assert!(!counter.seqlock.validate(version) || one == other, "{one} {other}");
            };
            concurrently(&counter, |counter| counter.count(9), read);
        });
    }

    #[test]
    fn lock_keeps_writers_out() {
        model(|| {
            let counter = Arc::new(Counter::default());
            let (counted, ()) = concurrently(&counter, |counter| counter.count(1), Counter::reset);
            assert!(counted);
            // Either thread may be first.
            assert!([[0; 2], [1; 2]].contains(&counter.read()));
            assert_eq!(*counter.seqlock.lock().1, 1);
        });
    }

    #[test]
    fn locks_follow_each_other() {
        model(|| {
            let counter = Arc::new(Counter::default());
            concurrently(&counter, Counter::reset, Counter::reset);
            assert_eq!(*counter.seqlock.lock().1, 2);
        });
    }
}
