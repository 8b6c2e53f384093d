//! What an entry is found by: a digest that only this store can compute.

use std::hash::{BuildHasher, Hash, RandomState};

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::{decision::Hit, strategy::Strategy};

/// A digest of 128 bits of a limit and a client. That two of a billion clients share one is less likely than one in
/// 10^20, and since the key is secret nobody can look for such a pair.
pub(super) type Digest = u128;

/// The key of the digest, drawn at random.
#[derive(Clone, Copy)]
pub(super) struct Seed(u64, u64);

impl Seed {
    pub(super) fn random() -> Self {
        let random = || RandomState::new().hash_one(());
        Self(random(), random())
    }

    pub(super) fn digest(self, hit: &Hit<'_>) -> Digest {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        // `Hash` marks where each text ends, so that no two different hits feed the same bytes.
        hit.uid.hash(&mut hasher);
        hit.strategy.name().hash(&mut hasher);
        hit.key.hash(&mut hasher);
        hasher.finish128().as_u128()
    }
}

/// The seed is a secret.
impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}
