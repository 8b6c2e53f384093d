//! The states under the keys of a call, read at one time.

use thiserror::Error;
use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    strategy::{AnyStrategy, StoredState},
};

use crate::{
    client::{Reply, UnexpectedReply},
    packed::{self, Unpackable},
};

pub(super) struct Stored<'a> {
    /// When the states were read, by the clock of the server.
    pub(super) at: Timestamp,
    keys: &'a [String],
    /// The state of each key. Empty where nothing is stored.
    packed: Vec<Vec<u8>>,
}

#[derive(Debug, Error)]
enum Unreadable {
    #[error("traffik: the key {0} holds an empty string, which this version cannot read: delete the key")]
    Empty(String),
    #[error("traffik: the key {0} holds {1}")]
    State(String, #[source] Unpackable),
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

impl<'a> Stored<'a> {
    /// Reads the time, and the state of each key.
    pub(super) fn read(reply: Reply, keys: &'a [String]) -> Result<Self, BackendError> {
        let mut items = reply.into_items().ok_or(UnexpectedReply("no list"))?.into_iter();
        let now = items.next().and_then(|now| now.integer()).ok_or(UnexpectedReply("no time"))?;
        let packed = items.zip(keys).map(|(item, key)| match item {
            Reply::Nothing => Ok(Vec::new()),
            Reply::Bytes(empty) if empty.is_empty() => Err(BackendError::unavailable(Unreadable::Empty(key.clone()))),
            Reply::Bytes(packed) => Ok(packed.into()),
            _ => Err(UnexpectedReply("no state").into()),
        });
        let packed: Vec<_> = packed.collect::<Result<_, _>>()?;
        if packed.len() < keys.len() {
            return Err(UnexpectedReply("not a state for each key").into());
        }
        Ok(Self { at: Timestamp::from_micros(now), keys, packed })
    }

    /// Returns no change for each key.
    pub(super) fn unchanged(&self) -> Vec<Option<Change>> {
        self.packed.iter().map(|_| None).collect()
    }

    /// Returns the state of each key.
    pub(super) fn states(&self) -> Result<Vec<Option<StoredState>>, BackendError> {
        let unpack = |(packed, key): (&Vec<u8>, &String)| {
            packed::unpack(packed).map_err(|error| BackendError::unavailable(Unreadable::State(key.clone(), error)))
        };
        self.packed.iter().zip(self.keys).map(unpack).collect()
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
