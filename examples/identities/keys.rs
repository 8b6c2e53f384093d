//! API keys. Only their digests are kept, so a reader of the store cannot use them.

/// The owner of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// One of our own services.
    Internal,
    Customer,
}

pub(crate) struct ApiKeys {
    digests: Vec<(blake3::Hash, Owner)>,
}

impl ApiKeys {
    pub(crate) fn new<'a>(keys: impl IntoIterator<Item = (&'a str, Owner)>) -> Self {
        Self { digests: keys.into_iter().map(|(key, owner)| (blake3::hash(key.as_bytes()), owner)).collect() }
    }

    /// Returns the owner of a key, or `None` if we did not issue it. Its prefix does not matter.
    pub(crate) fn owner_of(&self, key: &[u8]) -> Option<Owner> {
        let digest = blake3::hash(key);
        // Digests are compared in constant time.
        self.digests.iter().find(|(known, _)| *known == digest).map(|(_, owner)| *owner)
    }
}
