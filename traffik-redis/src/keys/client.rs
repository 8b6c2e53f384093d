//! Builds the name of a client in a key.

use traffik_core::client::{Key, Part};

use super::{MissingSecret, escape::push_escaped};

/// A longer name is replaced by a digest. In bytes.
const LONGEST: usize = 64;

/// The hexadecimal digits of a digest: 128 of its 256 bits.
const DIGITS: usize = 32;

/// The key for digests, derived from the user's secret.
#[derive(Clone)]
pub(super) struct Secret([u8; 32]);

impl Secret {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(blake3::derive_key("traffik-redis 2026-11 names of clients in keys", secret))
    }
}

/// Appends a name that no other client has: its parts, or a digest of them if they are secret or long.
pub(super) fn push_client(key: &mut String, client: &Key, secret: Option<&Secret>) -> Result<(), MissingSecret> {
    let Some(parts) = client.parts() else {
        let Secret(secret) = secret.ok_or(MissingSecret)?;
        push_digest(key, "secret", &blake3::keyed_hash(secret, &client.to_bytes()));
        return Ok(());
    };
    let start = key.len();
    for part in parts {
        if key.len() > start {
            key.push(',');
        }
        push_part(key, part);
    }
    if key.len() - start > LONGEST {
        let name = key.get(start..).unwrap_or_default().as_bytes();
        let digest = secret.map_or_else(|| blake3::hash(name), |Secret(secret)| blake3::keyed_hash(secret, name));
        key.truncate(start);
        push_digest(key, "digest", &digest);
    }
    Ok(())
}

/// Appends the kind and the value. So a text that looks like an address differs from the address.
fn push_part(key: &mut String, part: &Part) {
    match part {
        Part::Anonymous => key.push_str("anonymous"),
        Part::Address(address) => push_named(key, "ip", &address.to_string()),
        Part::Number(number) => push_named(key, "number", &number.to_string()),
        Part::Text(text) => push_named(key, "text", text),
        Part::Bytes(bytes) => push_named(key, "bytes", &format!("{bytes:?}")),
        // Kinds that this version does not know differ by their debug output.
        other => push_named(key, "other", &format!("{other:?}")),
    }
}

fn push_named(key: &mut String, kind: &str, value: &str) {
    key.push_str(kind);
    key.push('=');
    push_escaped(key, value);
}

fn push_digest(key: &mut String, kind: &str, digest: &blake3::Hash) {
    push_named(key, kind, digest.to_hex().get(..DIGITS).unwrap_or_default());
}
