//! The client that a limit counts.
//!
//! An identity returns a [`Client`]: a [`Key`], or [`EXEMPTED`]. A key is an address, a number, a text, bytes, or several of
//! them.
//! Clients with IPv6 addresses are counted by network. Defaults to networks of 64 bits.
//!
//! ```
//! use traffik::{Client, EXEMPTED, client::Key};
//!
//! let by_user = Client::from(("user", 42));
//! let by_key = Client::secret("sk_live_4eC39HqL");
//! assert_ne!(by_user, by_key);
//! assert_eq!(EXEMPTED.key(), None);
//!
//! // Keys of several parts never collide, whatever their parts contain.
//! assert_ne!(Key::from(("a:b", "c")), Key::from(("a", "b:c")));
//! ```

mod key;
mod networks;
mod part;

pub use self::{
    key::{Key, KeyTextError},
    networks::{Nat64Prefix, Nat64PrefixError},
    part::{Bytes, Number, Part, Text},
};

/// A client without limits: [`Client::exempt()`] as a constant.
pub const EXEMPTED: Client = Client::exempt();

/// The client of a request: a [`Key`], or [`EXEMPTED`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client(Option<Key>);

impl Client {
    /// Creates a client without limits. Its requests do not call a backend, and nothing is counted.
    #[must_use]
    pub const fn exempt() -> Self {
        Self(None)
    }

    /// Creates a client from a secret, such as an API key.
    ///
    /// The secret is in no log, header or metric. It leaves the process only as a digest.
    #[must_use]
    pub fn secret(secret: impl Into<Part>) -> Self {
        Self(Some(Key::secret(secret)))
    }

    /// Returns the key, or `None` if the client is exempt.
    #[must_use]
    pub const fn key(&self) -> Option<&Key> {
        self.0.as_ref()
    }

    /// Returns `true` if the client has no limits.
    #[must_use]
    pub const fn is_exempt(&self) -> bool {
        self.0.is_none()
    }
}

impl<K: Into<Key>> From<K> for Client {
    fn from(key: K) -> Self {
        Self(Some(key.into()))
    }
}
