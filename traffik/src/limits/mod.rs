//! What came of it: the limits that a request met, and how its client stands with each.

mod limit;

use std::sync::Arc;

pub(crate) use self::limit::Judge;
pub use self::limit::Limit;
use smallvec::SmallVec;

use crate::{
    app::Asked,
    backend::Store,
    client::Key,
    decision::{Decision, INLINE, Receipt},
    one_or_more::OneOrMore,
    throttle::Throttle,
};

/// The limits of one decision: those of a throttle, or of a tuple of them, in the order written.
///
/// See [`Traffik`](crate::Traffik) for an example.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Each shared with the ledger of its request, so that what is moved and cloned on the way is small.
    all: OneOrMore<Arc<Limit>>,
}

impl Limits {
    /// The outcomes are those of the asked that the backend was asked about, in the same order.
    pub(crate) fn new(asked: &OneOrMore<Asked<'_>>, decision: &mut Decision, judge: &Judge) -> Self {
        let mut outcomes = decision.take_outcomes();
        let limit = |asked: &Asked<'_>| match &asked.charged_before {
            Some(limit) => Arc::clone(limit),
            None if asked.is_counted() => Arc::new(Limit::new(asked, outcomes.next(), judge.clone())),
            None => Arc::new(Limit::new(asked, None, Judge::Backend)),
        };
        Self { all: asked.map(limit) }
    }

    /// Those of a request that gets through although nobody decided.
    pub(crate) fn unchecked(asked: &OneOrMore<Asked<'_>>) -> Self {
        Self::new(asked, &mut Decision::from_iter([]), &Judge::Nobody)
    }

    /// Whether all of them had room. They were charged only then.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.iter().all(Limit::is_admitted)
    }

    /// Whether another backend decided than the throttles' own, which gave no answer: see [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_from_fallback(&self) -> bool {
        self.iter().any(Limit::is_from_fallback)
    }

    /// Whether the request was let through although no backend gave an answer: see [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        self.iter().any(Limit::is_unchecked)
    }

    /// Each limit.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.shared().map(|limit| &**limit)
    }

    pub(crate) fn shared(&self) -> impl Iterator<Item = &Arc<Limit>> + Clone {
        self.all.iter()
    }

    /// How the client stands with the throttle `T`, if it is one of these.
    #[must_use]
    pub fn of<T: Throttle>(&self) -> Option<&Limit> {
        self.iter().find(|limit| limit.is_of::<T>())
    }

    /// Where all of them that were counted are kept. Those that were not say nothing of a fallback.
    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        self.iter().find(|limit| limit.is_counted()).unwrap_or(self.all.first()).store()
    }

    pub(crate) fn receipts<'a>(&'a self, key: &'a Key) -> SmallVec<[Receipt<'a>; INLINE]> {
        self.iter().filter_map(|limit| limit.receipt(key)).collect()
    }

    /// The limit that decides (where nothing is counted, one of which all remains): of those that refused, the one that refuses longest, and if none did, the one with least
    /// remaining.
    #[must_use]
    pub fn tightest(&self) -> &Limit {
        self.iter()
            .fold(self.all.first(), |tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest })
    }
}
