use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::strategy::{AnyStrategy, Strategy};

/// The identity of a limit in a store: a unique id and a strategy. An app creates one for each of its limits.
///
/// ```
/// use traffik::{decision::LimitId, strategy::FixedWindow};
///
/// let limit = LimitId::new("search", FixedWindow);
/// assert_eq!(limit.uid(), "search");
/// assert_eq!(limit.salt(), LimitId::new("search", FixedWindow).salt());
/// ```
#[derive(Clone, Debug)]
pub struct LimitId {
    uid: Box<str>,
    strategy: AnyStrategy,
    salt: u64,
    number: u64,
}

impl LimitId {
    /// Creates the identity of the limit with the unique id `uid`.
    #[must_use]
    pub fn new(uid: impl Into<Box<str>>, strategy: impl Into<AnyStrategy>) -> Self {
        /// Drawn at random, so that no client can search for two limits with one salt.
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (uid, strategy) = (uid.into(), strategy.into());
        let salt = KEYS.hash_one((strategy.name(), &uid));
        Self { uid, strategy, salt, number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Returns the unique id.
    #[inline]
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Returns the strategy.
    #[inline]
    #[must_use]
    pub const fn strategy(&self) -> &AnyStrategy {
        &self.strategy
    }

    /// Returns a hash of the uid and the strategy's name under a secret key of this process.
    ///
    /// A store in memory can use it instead of both. It differs in each process.
    #[inline]
    #[must_use]
    pub const fn salt(&self) -> u64 {
        self.salt
    }

    /// Returns a number that this value shares only with its clones. It is never 0.
    ///
    /// A store in memory can recognise the strategy and its settings by it.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// Limits are equal if their uids and the names of their strategies are.
impl PartialEq for LimitId {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid && self.strategy.name() == other.strategy.name()
    }
}

impl Eq for LimitId {}
