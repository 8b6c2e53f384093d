//! The backend that keeps its entries in this process.
//!
//! A [`Store`](store::Store) decides about known clients [without a lock](unlocked), and about all others with their
//! [shards locked](locked).

mod backend;
mod builder;
mod control;
mod hash;
mod locked;
mod seqlock;
mod shard;
mod shards;
mod store;
mod sync;
mod unlocked;

pub use self::{backend::MemoryBackend, builder::MemoryBackendBuilder};
