//! The backend that keeps its entries in this process.
//!
//! A [`Store`](store::Store) has shards, each a lock around a table of entries in place. A [decision](decide) hashes the
//! client, reads the time, locks the shard of that hash, runs the strategy on the entry, and writes the entry if it
//! changed. All limits of a client are in one shard.

mod backend;
mod control;
mod decide;
mod hash;
mod shard;
mod shards;
mod store;

pub use self::backend::{MemoryBackend, MemoryBackendBuilder};
