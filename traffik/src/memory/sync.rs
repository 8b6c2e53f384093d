//! Atomics and locks, from the standard library, or from a model checker that tries every order in which threads can meet.

#[cfg(not(traffik_loom))]
pub(super) use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering, fence},
    },
    thread::yield_now,
};

/// How often one looks again at once whether somebody else is done: a charge takes a few nanoseconds.
#[cfg(not(traffik_loom))]
pub(super) const SPINS: u32 = 64;

/// Looking again and again is one order after the other to try.
#[cfg(traffik_loom)]
pub(super) const SPINS: u32 = 0;

#[cfg(traffik_loom)]
pub(super) use loom::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering, fence},
    },
    thread::yield_now,
};
