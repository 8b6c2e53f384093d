//! Clients by their address, and the order in which they come.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv4Addr},
};

use traffik::client::Key;

/// The key of a client.
pub trait ClientKey: Clone + Eq + Hash + Into<Key> + Send + Sync {
    /// The name of the type.
    const NAME: &'static str;

    /// Returns the key of the client at this address.
    fn of(address: Ipv4Addr) -> Self;
}

impl ClientKey for String {
    const NAME: &'static str = "String";

    fn of(address: Ipv4Addr) -> Self {
        address.to_string()
    }
}

impl ClientKey for IpAddr {
    const NAME: &'static str = "IpAddr";

    fn of(address: Ipv4Addr) -> Self {
        address.into()
    }
}

/// Returns the keys of `clients` clients, at addresses of 10.0.0.0/8.
pub fn keys<K: ClientKey>(clients: u32) -> impl Iterator<Item = K> {
    (0..clients).map(|n| K::of(Ipv4Addr::from_bits(0x0a00_0000 | n)))
}

/// Pseudorandom numbers, a few instructions each, with the same sequence for the same seed: Marsaglia's xorshift.
#[derive(Clone, Debug)]
pub struct Picks(u64);

impl Picks {
    /// Creates a sequence from any seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Zero would remain zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns any number except zero.
    #[inline]
    pub const fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `end`, which fits into 32 bits.
    #[inline]
    pub const fn below(&mut self, end: usize) -> usize {
        (((self.number() >> 32) * end as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Picks;

    #[test]
    fn clients_are_picked_equally_often() {
        let (mut picks, mut times) = (Picks::new(7), [0_u32; 10]);
        for _ in 0..10_000 {
            times[picks.below(10)] += 1;
        }
        assert!(times.iter().all(|times| (800..1200).contains(times)), "{times:?}");
    }
}
