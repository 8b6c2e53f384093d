//! Builds the key of an entry: `{namespace|client}|uid|strategy`.
//!
//! The text in braces is the hash tag, which decides the slot in a cluster. So all entries of a client are in one slot.
//! Text from outside is escaped, so it cannot end the tag or a part.

mod client;
mod escape;

use thiserror::Error;
use traffik_core::{decision::Hit, strategy::Strategy};

use self::{
    client::{Secret, push_client},
    escape::push_escaped,
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
}
