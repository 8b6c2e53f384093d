use std::time::Duration;

use super::key::Key;
use crate::engine::Traffik;

/// The options of an [`OutgoingLayer`](super::OutgoingLayer).
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) traffik: Traffik,
    pub(super) key: Key,
    pub(super) wait: Duration,
    pub(super) max_hold_back: Duration,
}
