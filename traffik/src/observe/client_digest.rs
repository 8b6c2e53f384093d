use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
};

use siphasher::sip128::{Hasher128, SipHasher24};
use traffik_core::client::Key;

/// Makes digests of clients: SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) under a secret key.
/// Without the key no client can be told from a digest, nor tested against it.
#[derive(Clone, Copy)]
pub(crate) struct ClientDigest {
    key: [u64; 2],
}

/// The key of the digest that makes the key of a secret.
const OF_SECRETS: [u64; 2] = [0x7472_6166_6669_6b3a, 0x6c6f_6773_6563_7265];

impl ClientDigest {
    /// Creates digests that are the same in all processes with this secret.
    pub(crate) fn with_secret(secret: &[u8]) -> Self {
        let mut hasher = SipHasher24::new_with_keys(OF_SECRETS[0], OF_SECRETS[1]);
        hasher.write(secret);
        let hash = hasher.finish128();
        Self { key: [hash.h1, hash.h2] }
    }

    /// Returns the digest of a client: 16 hexadecimal digits.
    pub(crate) fn of(self, client: &Key) -> String {
        let [one, two] = self.key;
        let mut hasher = SipHasher24::new_with_keys(one, two);
        client.write_to(|bytes| hasher.write(bytes));
        format!("{:016x}", hasher.finish128().h1)
    }
}

/// Creates digests that no other process makes.
impl Default for ClientDigest {
    fn default() -> Self {
        let random = || RandomState::new().hash_one(());
        Self { key: [random(), random()] }
    }
}

/// Does not show the key.
impl fmt::Debug for ClientDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientDigest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_depends_on_the_client_and_the_secret() {
        let (one, other) =
            (ClientDigest::with_secret(b"a secret of 16 b"), ClientDigest::with_secret(b"another of 16 by"));
        let (alice, bob) = (Key::from("alice"), Key::from("bob"));
        assert_eq!(one.of(&alice), ClientDigest::with_secret(b"a secret of 16 b").of(&alice));
        assert_ne!(one.of(&alice), one.of(&bob));
        assert_ne!(one.of(&alice), other.of(&alice));
        assert_ne!(ClientDigest::default().of(&alice), ClientDigest::default().of(&alice));
        // It stays the same from release to release, so that lines of both can be compared.
        assert_eq!(one.of(&alice), "466f26239c09168d");
    }
}
