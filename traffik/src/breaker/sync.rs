//! Atomics and locks, from the standard library, or from a model checker that tries every order in which threads can meet.

#[cfg(not(traffik_loom))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(traffik_loom)]
pub(super) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
