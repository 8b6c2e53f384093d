use smallvec::SmallVec;
use traffik_core::client::Client;

use super::demand::Demand;
use crate::{engine::KeptCheck, limit::BackendIndex};

/// The throttles and the client of a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LineKey {
    parts: SmallVec<[Part; 1]>,
    is_outgoing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    /// The number of the limit. One that replaces another has another line.
    limit: u64,
    client: Client,
    backend: BackendIndex,
}

impl LineKey {
    pub(super) fn new(demand: &Demand, is_outgoing: bool) -> Self {
        let part = |check: &KeptCheck| Part {
            limit: check.definition.limit.number(),
            client: check.client.clone(),
            backend: check.backend,
        };
        Self { parts: demand.kept().map(part).collect(), is_outgoing }
    }
}
