//! Who: the client that a limit is kept for.
//!
//! Clients at IPv6 addresses are counted by network, of 64 bits unless the app says otherwise.
//!
//! An identifier answers with a [`Client`]: a [`Key`], or [`EXEMPTED`]. Everything that can name a client turns into
//! one: an address, a number, a text, or several of these together.
//!
//! ```
//! use traffik::{Client, EXEMPTED, client::Key};
//!
//! let by_user = Client::from(("user", 42));
//! let by_key = Client::secret("sk_live_4eC39HqL");
//! assert_ne!(by_user, by_key);
//! assert_eq!(EXEMPTED.key(), None);
//!
//! // Keys of several parts cannot collide, whatever is in the parts.
//! assert_ne!(Key::from(("a:b", "c")), Key::from(("a", "b:c")));
//! ```

mod key;
mod networks;
mod part;

pub use self::{
    key::Key,
    part::{Number, Part},
};

/// A client that no limit holds for: no backend is asked, and nothing is counted.
pub const EXEMPTED: Client = Client(None);

/// Who makes a request: a client with a [`Key`] of its own, or one that is [`EXEMPTED`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client(Option<Key>);

impl Client {
    /// A client named by a secret, such as an API key: it reaches no log, no header and no metric in the clear, and
    /// leaves the process only as a digest.
    #[must_use]
    pub fn secret(secret: impl Into<Part>) -> Self {
        Self(Some(Key::secret(secret)))
    }

    /// The key its limits are kept under, unless it is exempted.
    #[must_use]
    pub const fn key(&self) -> Option<&Key> {
        self.0.as_ref()
    }

    /// Whether no limit holds for it.
    #[must_use]
    pub const fn is_exempted(&self) -> bool {
        self.0.is_none()
    }
}

impl<K: Into<Key>> From<K> for Client {
    fn from(key: K) -> Self {
        Self(Some(key.into()))
    }
}
