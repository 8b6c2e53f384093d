//! What an entry is found by: a digest that only this store can compute.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

use siphasher::sip128::SipHasher13;
use smallvec::SmallVec;

use crate::{decision::Hit, strategy::Strategy};

/// A digest of 128 bits of a limit and a client. That two of a billion clients share one is less likely than one in
/// 10^20, and since the key is secret nobody can look for such a pair.
pub(super) type Digest = u128;

/// What is hashed, long texts apart, fits without an allocation.
type Message = SmallVec<[u8; 128]>;

/// The key of the digest, drawn at random.
#[derive(Clone, Copy)]
pub(super) struct Seed(SipHasher13);

impl Seed {
    pub(super) fn random() -> Self {
        let random = || RandomState::new().hash_one(());
        Self(SipHasher13::new_with_keys(random(), random()))
    }

    /// Each text is written with its length before it, so that no two different hits make the same message.
    pub(super) fn digest(&self, hit: &Hit<'_>) -> Digest {
        let mut message = Message::new();
        for text in [hit.uid, hit.strategy.name()] {
            message.extend_from_slice(&text.len().to_le_bytes());
            message.extend_from_slice(text.as_bytes());
        }
        hit.key.write_to(&mut message);
        self.0.hash(&message).as_u128()
    }
}

/// The key is a secret.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::Key, rate::Rate, strategy::AnyStrategy};

    #[test]
    fn only_the_same_entry_has_the_same_digest() {
        let seed = Seed::random();
        let (fixed, bucket) = (AnyStrategy::default(), AnyStrategy::from(crate::strategy::TokenBucket::new()));
        let digest =
            |uid, key: &Key, strategy, cost| seed.digest(&Hit { uid, key, strategy, rate: Rate::UNLIMITED, cost });
        let key = Key::from("c");
        let one = digest("a", &key, &fixed, 1);
        assert_eq!(one, digest("a", &Key::from("c".to_owned()), &fixed, 2));
        assert_ne!(one, digest("b", &key, &fixed, 1));
        assert_ne!(one, digest("a", &key, &bucket, 1));
        assert_ne!(one, digest("a", &Key::from("b"), &fixed, 1));
        assert_ne!(one, digest("a", &Key::secret("c"), &fixed, 1));
        assert_ne!(
            one,
            Seed::random().digest(&Hit { uid: "a", key: &key, strategy: &fixed, rate: Rate::UNLIMITED, cost: 1 })
        );
    }
}
