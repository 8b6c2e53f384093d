//! What is stored under the keys of a call, all at one time.

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
    /// When it was read, by the clock that reads it.
    pub(super) at: Timestamp,
    /// For each key; empty where nothing is stored.
    packed: Vec<Vec<u8>>,
}

/// What is to be stored in place of something.
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
    /// The time, and then what is stored under each of so many keys.
    pub(super) fn read(reply: Reply, keys: usize) -> Result<Self, BackendError> {
        let mut items = reply.into_items().ok_or(UnexpectedReply("no list"))?.into_iter();
        let now = items.next().and_then(|now| now.integer()).ok_or(UnexpectedReply("no time"))?;
        let packed = items.map(|item| item.bytes().map(<[u8]>::to_vec)).collect::<Option<Vec<_>>>();
        let packed = packed.filter(|packed| packed.len() == keys).ok_or(UnexpectedReply("not a state for each key"))?;
        Ok(Self { at: Timestamp::from_micros(now), packed })
    }

    /// No change for any key.
    pub(super) fn unchanged(&self) -> Vec<Option<Change>> {
        self.packed.iter().map(|_| None).collect()
    }

    /// The state at each key.
    pub(super) fn states(&self) -> Result<Vec<Option<StoredState>>, BackendError> {
        self.packed.iter().map(|packed| packed::unpack(packed).map_err(BackendError::unavailable)).collect()
    }

    /// What `swap.lua` reads: for each key what has to be stored there, and what is to be, and until when. What stays as it is
    /// has to be as it was nevertheless.
    pub(super) fn swapped(&self, changes: Vec<Option<Change>>) -> Vec<Vec<u8>> {
        let words = self.packed.iter().zip(changes).flat_map(|(packed, change)| {
            let (new, expires) = change.map_or((Vec::new(), 0), |change| (change.packed, change.expires.as_micros()));
            [packed.clone(), new, expires.to_string().into_bytes()]
        });
        words.collect()
    }
}
