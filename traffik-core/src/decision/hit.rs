use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    client::Key,
    clock::Timestamp,
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

/// A charge that a decision is asked for: the limit, the client, and the cost.
///
/// Entries are stored by the limit and the client's key. The rate and the cost are not part of an entry's key, so both can
/// change while a limit is in use. Several hits of a decision on one entry add up.
///
/// ```
/// use traffik::{Rate, client::Key, decision::{Hit, LimitId}, strategy::AnyStrategy};
///
/// let (limit, key) = (LimitId::new("search", AnyStrategy::default()), Key::from("alice"));
/// let hit = Hit::new(&limit, &key, Rate::literal("5/min"), 2);
/// assert_eq!((hit.cost, hit.at_least, hit.enforced), (2, 2, true));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Hit<'a> {
    /// The limit.
    pub limit: &'a LimitId,
    /// The client.
    pub key: &'a Key,
    /// The rate. A backend admits hits at an unlimited rate, and stores nothing for them.
    pub rate: Rate,
    /// The highest cost to charge.
    pub cost: u64,
    /// The lowest cost to charge. Defaults to `cost`.
    pub at_least: u64,
    /// Whether the hit can refuse the decision. Defaults to `true`.
    ///
    /// A hit that is not enforced is charged if the decision is admitted and the hit fits.
    pub enforced: bool,
}

impl<'a> Hit<'a> {
    /// Creates an enforced hit that takes exactly `cost`.
    #[inline]
    #[must_use]
    pub const fn new(limit: &'a LimitId, key: &'a Key, rate: Rate, cost: u64) -> Self {
        Self { limit, key, rate, cost, at_least: cost, enforced: true }
    }

    /// Sets the rate.
    #[must_use]
    pub const fn at_rate(self, rate: Rate) -> Self {
        Self { rate, ..self }
    }

    /// Sets the cost, and that exactly this cost is charged.
    #[must_use]
    pub const fn costing(self, cost: u64) -> Self {
        Self { cost, at_least: cost, ..self }
    }

    /// Sets the lowest cost to charge. A decision then charges what fits, between `least` and the cost.
    ///
    /// All such hits of a decision get the same amount above their lowest costs: the highest that all of them can have.
    ///
    /// An amount above the cost counts as the cost.
    #[must_use]
    pub const fn at_least(self, least: u64) -> Self {
        Self { at_least: least, ..self }
    }

    /// Creates a hit that never refuses its decision.
    #[must_use]
    pub const fn not_enforced(self) -> Self {
        Self { enforced: false, ..self }
    }

    /// Returns the lowest cost to charge, which is never above the cost.
    #[inline]
    #[must_use]
    pub const fn least(&self) -> u64 {
        if self.at_least < self.cost { self.at_least } else { self.cost }
    }

    /// Returns `true` if the hit is enforced and takes exactly its cost, as most hits do.
    #[inline]
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.enforced && self.at_least >= self.cost
    }
}

/// A charge that a decision made, by which it can be adjusted or renewed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Charge<'a> {
    /// The hit. Its [`cost`](Hit::cost) is what was charged.
    pub hit: Hit<'a>,
    /// The time of the charge: the [`Outcome::at`](super::Outcome::at) of its decision.
    pub at: Timestamp,
}

impl<'a> Charge<'a> {
    /// Creates a charge of the cost of `hit` at a time.
    #[must_use]
    pub const fn new(hit: Hit<'a>, at: Timestamp) -> Self {
        Self { hit, at }
    }

    /// Creates the adjustment that replaces the charged cost by the actual one.
    #[must_use]
    pub const fn settle(self, actual: u64) -> Adjustment<'a> {
        Adjustment { charge: self, actual }
    }

    /// Creates the adjustment that gives back all of the charge.
    #[must_use]
    pub const fn refund(self) -> Adjustment<'a> {
        self.settle(0)
    }
}

/// A charge, and the cost that replaces the charged one.
///
/// A lower cost gives back a part of the charge, as far as it still counts. A higher cost charges the difference, whether it
/// fits or not: see [`Strategy::settle`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Adjustment<'a> {
    /// The charge.
    pub charge: Charge<'a>,
    /// The cost that replaces the charged one.
    pub actual: u64,
}

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
