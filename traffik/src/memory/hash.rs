//! The hashes by which an entry is found. Only its own store can compute them.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::IpAddr,
};

use siphasher::sip128::{Hasher128, SipHasher13};
use traffik_core::{
    client::{Key, Part},
    decision::LimitId,
};

/// The hash that identifies an entry in its shard: 95 bits. Two of a million entries share all of them with a
/// probability of less than 10^-16. The keys of the hash are secret, so no client can search for such a pair.
///
/// Hashes are ordered by the bits that do not determine the position of an entry. So the entries that remain after an
/// eviction stay evenly spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyHash {
    /// Never 0.
    pub(super) tag: u64,
    /// The position in the shard, as a fraction of 2^32.
    pub(super) position: u32,
}

/// The hash of a client. Its limits differ by their salts, so several limits of a client need one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientHash {
    tag: u64,
    /// The upper half selects the shard, the lower half the position in it.
    bits: u64,
}

impl ClientHash {
    /// Returns what selects the shard, as a fraction of 2^32.
    #[inline]
    pub(super) const fn shard(self) -> u64 {
        self.bits >> 32
    }

    /// Returns the hash of the client's entry for a limit.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half of the hash is wanted")]
    pub(super) const fn at(self, limit: &LimitId) -> KeyHash {
        let salt = limit.salt();
        KeyHash { tag: (self.tag ^ salt) | 1, position: self.bits as u32 ^ (salt >> 32) as u32 }
    }
}

/// The secret keys of a store's hashes, one for each kind of client.
pub(super) struct Seed {
    text: [u64; 2],
    v4: [u64; 4],
    v6: [u64; 2],
    other: SipHasher13,
}

impl Seed {
    pub(super) fn random() -> Self {
        let random = || RandomState::new().hash_one(());
        let keys = || [random(), random()];
        let [one, two] = keys();
        let v4 = [random(), random(), random(), random()];
        Self { text: keys(), v4, v6: keys(), other: SipHasher13::new_with_keys(one, two) }
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: &Key) -> ClientHash {
        match key.parts() {
            Some([Part::Address(IpAddr::V4(address))]) => hash_v4(self.v4, address.to_bits()),
            Some([Part::Address(IpAddr::V6(address))]) => sip_hash(self.v6, &address.octets()),
            Some([Part::Text(text)]) => sip_hash(self.text, text.as_bytes()),
            _ => self.hash_other(key),
        }
    }

    #[inline(never)]
    #[expect(clippy::cast_possible_truncation, reason = "each half of the hash is wanted")]
    fn hash_other(&self, key: &Key) -> ClientHash {
        let mut message = self.other;
        key.write_to(|bytes| message.write(bytes));
        let hash = message.finish128().as_u128();
        ClientHash { tag: hash as u64, bits: (hash >> 64) as u64 }
    }
}

/// Hashes an address by two rounds of [wyhash](https://github.com/wangyi-fudan/wyhash) with secret keys. There are too few
/// addresses to choose among, and no client sees a hash.
///
/// After one round the hashes of neighbours are the same distance apart. Under some keys few shards get most of them.
#[inline]
fn hash_v4(keys: [u64; 4], address: u32) -> ClientHash {
    let [low, high] = product(u64::from(address) ^ keys[0], keys[1] | 1);
    let [bits, more] = product(low ^ keys[2], high ^ keys[3]);
    ClientHash { tag: low ^ high, bits: bits ^ more }
}

/// Returns the lower half of a product and the upper one.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "each half of the product is wanted")]
fn product(a: u64, b: u64) -> [u64; 2] {
    let product = u128::from(a) * u128::from(b);
    [product as u64, (product >> 64) as u64]
}

/// Computes SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) of bytes that clients choose,
/// in place. With faster hashes a client can find texts that collide under every key.
///
/// The tag is the standard hash. The other bits are the exclusive or of one half of the final state, so whatever
/// collides in both collides in SipHash.
#[inline(always)]
fn sip_hash([k0, k1]: [u64; 2], bytes: &[u8]) -> ClientHash {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut absorb = |word| {
        v[3] ^= word;
        sip_round(&mut v);
        v[0] ^= word;
    };
    let words = bytes.chunks_exact(size_of::<u64>());
    let last = last_word(words.remainder()) | (bytes.len() as u64) << 56;
    words.for_each(|word| absorb(word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))));
    absorb(last);
    v[2] ^= 0xff;
    (0..3).for_each(|_| sip_round(&mut v));
    let half = v[0] ^ v[1];
    ClientHash { tag: half ^ v[2] ^ v[3], bits: half }
}

#[inline]
const fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

/// Returns up to seven bytes as a little-endian number, without a loop.
#[inline]
fn last_word(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4));
    }
    let (Some(&first), Some(&middle), Some(&last)) = (bytes.first(), bytes.get(length / 2), bytes.last()) else {
        return 0;
    };
    u64::from(first) | u64::from(middle) << (8 * (length / 2)) | u64::from(last) << (8 * (length - 1))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::Ipv4Addr};

    use siphasher::sip::SipHasher13;

    use super::*;
    use traffik_core::strategy::{AnyStrategy, TokenBucket};

    #[test]
    fn only_the_same_entry_has_the_same_hash() {
        let seed = Seed::random();
        let [fixed, other] = ["a", "b"].map(|uid| LimitId::new(uid, AnyStrategy::default()));
        let bucket = LimitId::new("a", TokenBucket::new());
        let key = Key::from("c");
        let one = seed.hash(&key);
        assert_eq!(one, seed.hash(&Key::from("c".to_owned())));
        assert_ne!(one.at(&fixed), one.at(&other));
        assert_ne!(one.at(&fixed), one.at(&bucket));
        assert_ne!(one, seed.hash(&Key::from("b")));
        assert_ne!(one, seed.hash(&Key::secret("c")));
        assert_ne!(one, Seed::random().hash(&key));
    }

    #[test]
    fn keys_of_the_same_bytes_but_of_other_kinds_differ() {
        let seed = Seed::random();
        let address = Ipv4Addr::new(97, 98, 99, 100);
        let keys = [
            Key::from("abcd"),
            Key::from(address),
            Key::from(address.to_ipv6_mapped()),
            Key::from(("abcd", "")),
            Key::secret("abcd"),
            Key::secret(address),
            Key::from(u32::from(address)),
            Key::from(*b"abcd"),
            Key::anonymous(),
            Key::from(""),
        ];
        assert_eq!(keys.iter().map(|key| seed.hash(key).tag).collect::<HashSet<_>>().len(), keys.len());
    }

    #[test]
    fn texts_of_every_length_have_the_standard_hash() {
        let bytes: Vec<u8> = (0..64).map(|n| 200 - 3 * n).collect();
        for length in 0..bytes.len() {
            let mut standard = SipHasher13::new_with_keys(3, 4);
            standard.write(&bytes[..length]);
            assert_eq!(sip_hash([3, 4], &bytes[..length]).tag, standard.finish(), "{length} bytes");
        }
    }

    /// A shard with many more entries than others would be full too early, and so would a part of it.
    #[test]
    fn neighbours_spread_evenly_under_regular_keys() {
        let patterns: [fn(u32) -> u32; 3] = [|n| 0x0a00_0000 | n, |n| n << 8 | 1, |n| n.rotate_left(16)];
        // Products with these multipliers repeat nearly the same distances.
        for (near, pattern) in (1..40).flat_map(|parts| patterns.map(|pattern| (u64::MAX / parts, pattern))) {
            let keys = [0x1f83_d9ab_fb41_bd6b, near, 0x5be0_cd19_137e_2179, 0x9b05_688c_2b3e_6c1f];
            let mut counts = [[0_u32; 64]; 2];
            for n in 0..64_000 {
                let hash = hash_v4(keys, pattern(n));
                let [of_shard, of_part] = &mut counts;
                for (counts, fraction) in [(of_shard, hash.shard()), (of_part, hash.bits & u64::from(u32::MAX))] {
                    counts[usize::try_from(fraction >> 26).unwrap()] += 1;
                }
            }
            // Six standard deviations around the average of a thousand.
            assert!(counts.as_flattened().iter().all(|count| (810..1190).contains(count)), "{near:x}: {counts:?}");
        }
    }
}
