//! Builds the key of an entry: `{namespace|client}|uid|strategy`.
//!
//! The text in braces is the hash tag, which decides the slot in a cluster. So all entries of a client are in one slot.
//! Text from outside is escaped, so it cannot end the tag or a part.

use std::fmt::Write;

use thiserror::Error;
use traffik_core::{
    client::{Key, Part},
    decision::Hit,
    strategy::Strategy,
};

/// Builds the keys of one namespace.
#[derive(Clone)]
pub(crate) struct Keys {
    /// The prefix of all keys.
    prefix: String,
    secret: Option<Secret>,
}

/// A client is secret, and no key for its digest is set.
#[derive(Debug, Error)]
#[error(
    "the key of this client is a secret, and may leave the process only as a digest: give \
     `RedisBackend::builder(..).secret(..)` the key for that, the same in every process"
)]
pub(crate) struct MissingSecret;

impl Keys {
    pub(crate) fn new(namespace: &str, secret: Option<&[u8]>) -> Self {
        let mut prefix = "{".to_owned();
        push_escaped(&mut prefix, namespace);
        prefix.push('|');
        Self { prefix, secret: secret.map(Secret::new) }
    }

    pub(crate) fn of(&self, hit: &Hit<'_>) -> Result<String, MissingSecret> {
        let mut key = String::with_capacity(self.prefix.len() + hit.limit.uid().len() + 64);
        key.push_str(&self.prefix);
        push_client(&mut key, hit.key, self.secret.as_ref())?;
        key.push_str("}|");
        push_escaped(&mut key, hit.limit.uid());
        key.push('|');
        push_escaped(&mut key, hit.limit.strategy().name());
        Ok(key)
    }

    /// Returns a key of the namespace that no entry has.
    pub(crate) fn probe(&self) -> String {
        format!("{}}}|probe", self.prefix)
    }

    /// Returns the key of the settings of the namespace. `clear` does not find it.
    pub(crate) fn control(&self) -> String {
        format!("{}}}|control", self.prefix.trim_end_matches('|'))
    }

    /// Returns the pattern that `SCAN` finds all keys of the namespace by. Only its end has a meaning as a pattern.
    pub(crate) fn pattern(&self) -> String {
        format!("{}*", self.prefix)
    }
}

/// A longer name is replaced by a digest. In bytes.
const LONGEST: usize = 64;

/// The hexadecimal digits of a digest: 128 of its 256 bits.
const DIGITS: usize = 32;

/// The key for digests, derived from the user's secret.
#[derive(Clone)]
struct Secret([u8; 32]);

impl Secret {
    fn new(secret: &[u8]) -> Self {
        Self(blake3::derive_key("traffik-redis 2026-11 names of clients in keys", secret))
    }
}

/// Appends a name that no other client has: its parts, or a digest of them if they are secret or long.
fn push_client(key: &mut String, client: &Key, secret: Option<&Secret>) -> Result<(), MissingSecret> {
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

/// Appends `text`, and writes every byte as `%XX` that is not an ASCII letter, a digit or one of `-_.:@/`.
///
/// The result contains no delimiter of the parts of a key (`{`, `}`, `|`, `,`, `=`) and no special character of the
/// patterns of `SCAN`. Different texts have different results.
fn push_escaped(key: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte) {
            key.push(byte.into());
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(key, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::IpAddr};

    use fred::util::redis_keyslot;
    use traffik_core::{
        Rate,
        client::Key,
        decision::LimitId,
        strategy::{AnyStrategy, Gcra},
    };

    use super::*;

    fn key_in(keys: &Keys, client: &Key, uid: &str) -> String {
        let limit = LimitId::new(uid, AnyStrategy::default());
        keys.of(&Hit::new(&limit, client, Rate::literal("1/s"), 1)).unwrap()
    }

    fn key(namespace: &str, client: impl Into<Key>, uid: &str) -> String {
        key_in(&Keys::new(namespace, None), &client.into(), uid)
    }

    /// Returns the part of a key that Redis hashes: from the first opening brace to the next closing one.
    fn tag(key: &str) -> &str {
        key.split_once('{').unwrap().1.split_once('}').unwrap().0
    }

    #[test]
    fn key_is_readable() {
        let address: IpAddr = "203.0.113.7".parse().unwrap();
        assert_eq!(key("myapp:prod", address, "api:search"), "{myapp:prod|ip=203.0.113.7}|api:search|fixed-window");
        assert_eq!(key("m", ("user", 42_u64), "u"), "{m|text=user,number=42}|u|fixed-window");
        assert_eq!(key("m", Key::anonymous(), "u"), "{m|anonymous}|u|fixed-window");
    }

    #[test]
    fn limits_of_one_client_share_a_slot_and_strategies_do_not_share_an_entry() {
        let (keys, client, rate) = (Keys::new("m", None), Key::from("alice"), Rate::literal("1/s"));
        let of =
            |uid, strategy: AnyStrategy| keys.of(&Hit::new(&LimitId::new(uid, strategy), &client, rate, 1)).unwrap();
        let all = [of("a", AnyStrategy::default()), of("a", Gcra::new().into()), of("b", AnyStrategy::default())];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(all.iter().map(|key| redis_keyslot(key.as_bytes())).collect::<HashSet<_>>().len(), 1);
    }

    #[test]
    fn client_cannot_end_the_tag_or_become_another_client() {
        let hostile =
            ["", "}", "{", "{}", "a}|b", "a|b", "a", "b", "text=a", "a,text=b", "a%2Cb", "a,b", "*", "\0", "}{", "ü"];
        let mut all = HashSet::new();
        let mut count = 0;
        for one in hostile {
            for other in hostile {
                let client = Key::from((one, other));
                for key in [key(one, other, "u"), key("n", other, one), key("n", client, "u")] {
                    assert_eq!(key.matches(['{', '}']).count(), 2, "{key}");
                    assert!(key.is_ascii() && !key.contains(['*', '?', '[', '\\', ' ', '\r', '\n']), "{key}");
                    let end = key.find('}').unwrap();
                    assert_eq!(tag(&key), &key[1..end]);
                    count += usize::from(all.insert(key));
                }
            }
        }
        // All keys differ.
        assert_eq!(count, 3 * hostile.len() * hostile.len());
    }

    #[test]
    fn kinds_of_parts_are_kept_apart() {
        let address: IpAddr = "203.0.113.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:203.0.113.7".parse().unwrap();
        let clients = [
            Key::from(address),
            Key::from(mapped),
            Key::from("203.0.113.7"),
            Key::from(42),
            Key::from("42"),
            Key::from("anonymous"),
            Key::anonymous(),
            Key::from(("42", "")),
            Key::from(("", "42")),
        ];
        let all: HashSet<_> = clients.iter().map(|client| key("n", client.clone(), "u")).collect();
        assert_eq!(all.len(), clients.len());
    }

    #[test]
    fn long_names_are_digested_and_stay_apart() {
        let long = |end: &str| key("n", "x".repeat(10_000) + end, "u");
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
        assert!(long("a").starts_with("{n|digest=") && long("a").len() < 80, "{}", long("a"));
        // No client can take the digest of another as its name.
        let (tag, _) = long("a").split_once('}').map(|(tag, rest)| (tag.to_owned(), rest.to_owned())).unwrap();
        assert_ne!(key("n", tag.trim_start_matches("{n|").to_owned(), "u"), long("a"));
    }

    #[test]
    fn secret_is_a_digest_under_the_configured_key_or_an_error() {
        let (limit, client) = (LimitId::new("u", AnyStrategy::default()), Key::secret("sk_live_hunter2"));
        let hit = Hit::new(&limit, &client, Rate::literal("1/s"), 1);
        let error = Keys::new("n", None).of(&hit).unwrap_err().to_string();
        assert!(error.contains(".secret(..)") && !error.contains("hunter2"), "{error}");

        let digested = |secret: &str| Keys::new("n", Some(secret.as_bytes())).of(&hit).unwrap();
        assert!(digested("one").starts_with("{n|secret=") && !digested("one").contains("hunter2"));
        assert_eq!(digested("one"), digested("one"));
        assert_ne!(digested("one"), digested("other"));
        assert_ne!(digested("one"), key_in(&Keys::new("n", Some(b"one")), &Key::from("sk_live_hunter2"), "u"));
    }

    #[test]
    fn pattern_matches_only_the_keys_of_its_namespace() {
        assert_eq!(Keys::new("my*app?", None).pattern(), "{my%2Aapp%3F|*");
    }

    fn escaped(text: &str) -> String {
        let mut key = String::new();
        push_escaped(&mut key, text);
        key
    }

    #[test]
    fn usual_names_stay_readable() {
        for name in ["myapp:prod", "uploads:burst", "alice@example.com", "a-b_c.d/e", ""] {
            assert_eq!(escaped(name), name);
        }
    }

    #[test]
    fn characters_with_a_meaning_in_keys_or_patterns_are_escaped() {
        assert_eq!(escaped("a}|{b"), "a%7D%7C%7Bb");
        assert_eq!(escaped("*?[a]\\^"), "%2A%3F%5Ba%5D%5C%5E");
        assert_eq!(escaped("a,text=b"), "a%2Ctext%3Db");
        assert_eq!(escaped("\0\r\n ü"), "%00%0D%0A%20%C3%BC");
    }

    #[test]
    fn text_that_looks_escaped_is_escaped_again() {
        assert_eq!(escaped("%7D"), "%257D");
    }
}
