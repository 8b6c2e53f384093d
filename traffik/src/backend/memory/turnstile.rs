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

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering, fence, yield_now};

/// How often a reader looks again at once when somebody writes: a charge takes a few nanoseconds.
const SPINS: u32 = 64;

/// The turnstile of a shard, and what of the shard only those see who close it.
#[derive(Debug, Default)]
pub(super) struct Turnstile<T> {
    version: AtomicU64,
    behind: Mutex<T>,
}

/// A version at rest.
#[derive(Clone, Copy, Debug)]
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
        self.version.compare_exchange(version, version + 1, Ordering::AcqRel, Ordering::Relaxed).ok()?;
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
