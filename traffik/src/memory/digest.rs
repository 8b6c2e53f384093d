//! What an entry is found by: a digest that only this store can compute.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

use siphasher::sip128::SipHasher13;
use smallvec::SmallVec;
use traffik_core::{client::Part, decision::Hit, strategy::Strategy};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// A digest of 128 bits of a limit and a client: 32 say which shard the entry is in, and by the others it is known there.
/// That two of a million clients share all of them is less likely than one in 10^17, and since the seed is secret nobody
/// can look for such a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest {
    pub(super) shard: u32,
    pub(super) name: Name,
}

/// What an entry is known by within its shard.
///
/// Its order begins with what says nothing of where the entry is found: where names decide which of many entries has to
/// go, those that stay lie evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) high: u32,
    pub(super) low: u64,
}

/// What is hashed, long texts apart, fits without an allocation.
type Message = SmallVec<[u8; 96]>;

/// The keys of the digest, drawn at random.
#[derive(Clone, Copy)]
pub(super) struct Seed {
    /// For what clients choose it takes a hash that is made for that: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
    /// short-input PRF", 2012). Faster ones let a client find texts that collide whatever the key is.
    chosen: SipHasher13,
    /// For addresses XXH3 does, which maps those of one kind to as many digests. The kinds have keys that nothing relates.
    limit: u64,
    v4: u64,
    v6: u64,
}

impl Seed {
    pub(super) fn random() -> Self {
        let random = || RandomState::new().hash_one(());
        let chosen = SipHasher13::new_with_keys(random(), random());
        Self { chosen, limit: random(), v4: random(), v6: random() }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each part of the digest is wanted")]
    pub(super) fn digest(&self, hit: &Hit<'_>) -> Digest {
        let digest = match hit.key.parts() {
            Some([Part::Address(address)]) => self.of_address(hit, *address),
            _ => self.of_message(hit),
        };
        Digest { shard: (digest >> 96) as u32, name: Name { low: digest as u64, high: (digest >> 64) as u32 } }
    }

    #[inline]
    fn of_address(&self, hit: &Hit<'_>, address: IpAddr) -> u128 {
        let of_strategy = xxh3_64_with_seed(hit.strategy.name().as_bytes(), self.limit);
        let of_limit = xxh3_64_with_seed(hit.uid.as_bytes(), of_strategy);
        match address {
            IpAddr::V4(address) => xxh3_128_with_seed(&address.octets(), of_limit ^ self.v4),
            IpAddr::V6(address) => xxh3_128_with_seed(&address.octets(), of_limit ^ self.v6),
        }
    }

    /// Each text is written with its length before it, so that no two different hits make the same message.
    #[inline(never)]
    fn of_message(&self, hit: &Hit<'_>) -> u128 {
        let mut message = Message::new();
        for text in [hit.strategy.name(), hit.uid] {
            write_text(&mut message, text);
        }
        hit.key.write_to(|bytes| message.extend_from_slice(bytes));
        self.chosen.hash(&message).as_u128()
    }
}

#[inline]
fn write_text(message: &mut Message, text: &str) {
    message.extend_from_slice(&text.len().to_le_bytes());
    message.extend_from_slice(text.as_bytes());
}

/// The seed is a secret.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::Ipv4Addr};

    use super::*;
    use traffik_core::{
        client::Key,
        rate::Rate,
        strategy::{AnyStrategy, TokenBucket},
    };

    #[test]
    fn only_the_same_entry_has_the_same_digest() {
        let seed = Seed::random();
        let (fixed, bucket) = (AnyStrategy::default(), AnyStrategy::from(TokenBucket::new()));
        let digest = |uid, key: &Key, strategy, cost| {
            let Digest { shard, name } = seed.digest(&Hit { uid, key, strategy, rate: Rate::UNLIMITED, cost });
            (shard, name)
        };
        let key = Key::from("c");
        let one = digest("a", &key, &fixed, 1);
        assert_eq!(one, digest("a", &Key::from("c".to_owned()), &fixed, 2));
        assert_ne!(one, digest("b", &key, &fixed, 1));
        assert_ne!(one, digest("a", &key, &bucket, 1));
        assert_ne!(one, digest("a", &Key::from("b"), &fixed, 1));
        assert_ne!(one, digest("a", &Key::secret("c"), &fixed, 1));
        let hit = Hit { uid: "a", key: &key, strategy: &fixed, rate: Rate::UNLIMITED, cost: 1 };
        assert_ne!(one.1, Seed::random().digest(&hit).name);
    }

    #[test]
    fn keys_of_the_same_bytes_but_of_other_kinds_differ() {
        let seed = Seed::random();
        let strategy = AnyStrategy::default();
        let address = Ipv4Addr::new(97, 98, 99, 100);
        let keys = [
            Key::from("abcd"),
            Key::from(address),
            Key::from(address.to_ipv6_mapped()),
            Key::from(("abcd", "")),
            Key::secret("abcd"),
            Key::secret(address),
            Key::from(u32::from(address)),
            Key::anonymous(),
            Key::from(""),
        ];
        let digest =
            |key| seed.digest(&Hit { uid: "a", key, strategy: &strategy, rate: Rate::UNLIMITED, cost: 1 }).name;
        assert_eq!(keys.iter().map(|key| digest(key).low).collect::<HashSet<_>>().len(), keys.len());
    }
}
