//! Atomics and locks, from the standard library, or from a model checker that tries every order in which threads can meet.

#[cfg(not(traffik_loom))]
pub(super) use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
    thread::yield_now,
};

/// The number of spins before a thread waits for another. A charge takes a few nanoseconds.
#[cfg(not(traffik_loom))]
pub(super) const SPINS: u32 = 64;

/// Each spin would multiply the orders to try.
#[cfg(traffik_loom)]
pub(super) const SPINS: u32 = 0;

#[cfg(traffik_loom)]
pub(super) use loom::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
    thread::yield_now,
};
