//! The stores that decisions are made in.

pub use traffik_core::backend::*;

pub use crate::memory::{MemoryBackend, MemoryBackendBuilder};
