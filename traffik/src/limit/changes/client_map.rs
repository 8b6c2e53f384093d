use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use traffik_core::{client::Key, clock::Timestamp};

use super::clients::ClientChange;

/// The number of parts of a map. A change copies one of them.
const PARTS: u64 = 64;

/// The changes for clients of one limit and source. Clones share what is not changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientMap {
    /// Empty as long as there are no clients.
    parts: Vec<Arc<HashMap<Key, ClientChange>>>,
    len: usize,
    /// When the first value ends that has an end.
    next_end: Option<Timestamp>,
}

impl ClientMap {
    /// The highest number of clients with changes of one source.
    pub(crate) const MAX: usize = 10_000;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&ClientChange> {
        self.parts.get(part(key))?.get(key)
    }

    pub(crate) fn has_penalty(&self, key: &Key) -> bool {
        self.get(key).is_some_and(|client| client.penalty.is_some())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &ClientChange)> {
        self.parts.iter().flat_map(|part| &**part)
    }

    /// Changes a client. One that is left without a change is removed.
    pub(crate) fn change<R>(&mut self, key: Key, change: impl FnOnce(&mut ClientChange) -> R) -> R {
        if self.parts.is_empty() {
            self.parts = std::iter::repeat_with(Arc::default).take(usize::try_from(PARTS).unwrap_or(1)).collect();
        }
        let mut client = self.get(&key).cloned().unwrap_or_default();
        let result = change(&mut client);
        if let Some(clients) = self.parts.get_mut(part(&key)).map(Arc::make_mut) {
            self.len -= usize::from(clients.remove(&key).is_some());
            if !client.is_empty() {
                self.next_end = self.next_end.into_iter().chain(client.ends()).min();
                self.len += 1;
                clients.insert(key, client);
            }
        }
        result
    }

    /// Removes what has ended.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        if self.next_end.is_none_or(|end| now < end) {
            return;
        }
        let all = std::mem::take(self);
        for (key, client) in all.iter() {
            let lasting = client.lasting(now);
            self.change(key.clone(), |client| *client = lasting);
        }
    }
}

fn part(key: &Key) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % PARTS).unwrap_or_default()
}
