//! The hash by which an entry is found. Only its own store can compute it.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::IpAddr,
};

use siphasher::sip128::{Hasher128, SipHasher13};
use traffik_core::{client::Part, decision::Hit};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The hash that identifies an entry in its shard: 96 of 128 bits. The other 32 bits select the shard.
///
/// Two of a million clients share all bits with a probability of less than 10^-17. The seed is secret, and no client can
/// search for such a pair.
///
/// Keys are ordered by the bits that do not determine the position of an entry. So the entries that remain after an
/// eviction stay evenly spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyHash {
    pub(super) high: u32,
    pub(super) low: u64,
}

/// The keys of the hash, drawn at random.
pub(super) struct Seed {
    /// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), for texts that clients choose.
    /// With faster hashes a client can find texts that collide under every key.
    chosen: SipHasher13,
    /// XXH3 for addresses: it maps addresses of one kind to distinct hashes. The kinds have unrelated keys.
    v4: u64,
    v6: u64,
}

impl Seed {
    pub(super) fn random() -> Self {
        let random = || RandomState::new().hash_one(());
        let chosen = SipHasher13::new_with_keys(random(), random());
        Self { chosen, v4: random(), v6: random() }
    }

    /// Returns the bits that select the shard, and the others.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each part of the hash is wanted")]
    pub(super) fn hash(&self, hit: &Hit<'_>) -> (u32, KeyHash) {
        let hash = match hit.key.parts() {
            Some([Part::Address(address)]) => self.hash_address(hit, *address),
            _ => self.hash_message(hit),
        };
        ((hash >> 96) as u32, KeyHash { low: hash as u64, high: (hash >> 64) as u32 })
    }

    #[inline]
    fn hash_address(&self, hit: &Hit<'_>, address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => xxh3_128_with_seed(&address.octets(), hit.limit.salt() ^ self.v4),
            IpAddr::V6(address) => xxh3_128_with_seed(&address.octets(), hit.limit.salt() ^ self.v6),
        }
    }

    #[inline(never)]
    fn hash_message(&self, hit: &Hit<'_>) -> u128 {
        let mut message = self.chosen;
        message.write_u64(hit.limit.salt());
        hit.key.write_to(|bytes| message.write(bytes));
        message.finish128().as_u128()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::Ipv4Addr};

    use super::*;
    use traffik_core::{
        client::Key,
        decision::LimitId,
        rate::Rate,
        strategy::{AnyStrategy, TokenBucket},
    };

    #[test]
    fn only_the_same_entry_has_the_same_hash() {
        let seed = Seed::random();
        let [fixed, other] = ["a", "b"].map(|uid| LimitId::new(uid, AnyStrategy::default()));
        let bucket = LimitId::new("a", TokenBucket::new());
        let hash = |limit, key: &Key, cost| seed.hash(&Hit::new(limit, key, Rate::UNLIMITED, cost));
        let key = Key::from("c");
        let one = hash(&fixed, &key, 1);
        assert_eq!(one, hash(&fixed, &Key::from("c".to_owned()), 2));
        assert_ne!(one, hash(&other, &key, 1));
        assert_ne!(one, hash(&bucket, &key, 1));
        assert_ne!(one, hash(&fixed, &Key::from("b"), 1));
        assert_ne!(one, hash(&fixed, &Key::secret("c"), 1));
        let hit = Hit::new(&fixed, &key, Rate::UNLIMITED, 1);
        assert_ne!(one.1, Seed::random().hash(&hit).1);
    }

    #[test]
    fn keys_of_the_same_bytes_but_of_other_kinds_differ() {
        let seed = Seed::random();
        let limit = LimitId::new("a", AnyStrategy::default());
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
        let hash = |key| seed.hash(&Hit::new(&limit, key, Rate::UNLIMITED, 1)).1;
        assert_eq!(keys.iter().map(|key| hash(key).low).collect::<HashSet<_>>().len(), keys.len());
    }
}
