use super::LimitId;
use crate::{client::Key, clock::Timestamp, rate::Rate};

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
/// fits or not: see [`Strategy::settle`](crate::strategy::Strategy::settle).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Adjustment<'a> {
    /// The charge.
    pub charge: Charge<'a>,
    /// The cost that replaces the charged one.
    pub actual: u64,
}
