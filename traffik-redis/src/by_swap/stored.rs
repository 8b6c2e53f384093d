//! The states under the keys of a call, read at one time.

use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    strategy::{AnyStrategy, StoredState},
};

use crate::{
    client::{Reply, UnexpectedReply},
    packed,
};

pub(super) struct Stored {
    /// When the states were read, by the clock of the server.
    pub(super) at: Timestamp,
    /// The state of each key. Empty where nothing is stored.
    packed: Vec<Vec<u8>>,
}

/// The new state of a key.
pub(super) struct Change {
    pub(super) packed: Vec<u8>,
    pub(super) expires: Timestamp,
}

impl Change {
    pub(super) fn new(strategy: &AnyStrategy, past: &StoredState) -> Result<Self, BackendError> {
        let packed = packed::pack(strategy, past).map_err(BackendError::unavailable)?;
        Ok(Self { packed, expires: past.state.expires() })
    }
}

impl Stored {
    /// Reads the time, and the state of each of `keys` keys.
    pub(super) fn read(reply: Reply, keys: usize) -> Result<Self, BackendError> {
        let mut items = reply.into_items().ok_or(UnexpectedReply("no list"))?.into_iter();
        let now = items.next().and_then(|now| now.integer()).ok_or(UnexpectedReply("no time"))?;
        let packed = items.map(|item| item.bytes().map(<[u8]>::to_vec)).collect::<Option<Vec<_>>>();
        let packed = packed.filter(|packed| packed.len() == keys).ok_or(UnexpectedReply("not a state for each key"))?;
        Ok(Self { at: Timestamp::from_micros(now), packed })
    }

    /// Returns no change for each key.
    pub(super) fn unchanged(&self) -> Vec<Option<Change>> {
        self.packed.iter().map(|_| None).collect()
    }

    /// Returns the state of each key.
    pub(super) fn states(&self) -> Result<Vec<Option<StoredState>>, BackendError> {
        self.packed.iter().map(|packed| packed::unpack(packed).map_err(BackendError::unavailable)).collect()
    }

    /// Returns the arguments of `swap.lua`: for each key the expected state, the new state, and its expiry. A state
    /// without a change is still compared.
    pub(super) fn swapped(&self, changes: Vec<Option<Change>>) -> Vec<Vec<u8>> {
        let words = self.packed.iter().zip(changes).flat_map(|(packed, change)| {
            let (new, expires) = change.map_or((Vec::new(), 0), |change| (change.packed, change.expires.as_micros()));
            [packed.clone(), new, expires.to_string().into_bytes()]
        });
        words.collect()
    }
}
