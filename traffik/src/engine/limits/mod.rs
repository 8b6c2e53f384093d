//! What came of it: the limits that a request met, and how its client stands with each.

mod limit;

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use traffik_core::{
    backend::BackendError,
    client::Key,
    decision::{Decision, Receipt},
};

pub(crate) use self::limit::Judge;
pub use self::limit::Limit;
use crate::{engine::Asked, limit::Throttle, one_or_more::OneOrMore, store::Store};

/// The limits of one decision: those of a throttle, or of a tuple of them, in the order written.
///
/// See [`Traffik`](crate::Traffik) for an example.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Each shared with the ledger of its request, so that what is moved and cloned on the way is small.
    all: OneOrMore<Arc<Limit>>,
}

impl Limits {
    /// What a decision comes to. Its outcomes are those of the counted ones, in the same order.
    ///
    /// # Errors
    ///
    /// Returns an error if the decision leaves out a hit: it admits nothing.
    pub(crate) fn decided(
        asked: &OneOrMore<Asked<'_>>,
        decision: &mut Decision,
        judge: &Judge,
    ) -> Result<Self, BackendError> {
        check_complete(asked, decision)?;
        Ok(Self::new(asked, decision, judge))
    }

    /// Those of a request of which nothing is counted.
    pub(crate) fn uncounted(asked: &OneOrMore<Asked<'_>>) -> Self {
        Self::new(asked, &mut Decision::from_iter([]), &Judge::Backend)
    }

    pub(crate) fn new(asked: &OneOrMore<Asked<'_>>, decision: &mut Decision, judge: &Judge) -> Self {
        let is_charged = decision.is_admitted();
        let mut limits = Self::of_call(asked, decision, judge, is_charged);
        if is_charged && Self::holds_any(asked) {
            limits.hold(asked);
        }
        limits
    }

    /// What a decision comes to that charged nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the decision leaves out a hit.
    pub(crate) fn peeked(
        asked: &OneOrMore<Asked<'_>>,
        decision: &mut Decision,
        judge: &Judge,
    ) -> Result<Self, BackendError> {
        check_complete(asked, decision)?;
        Ok(Self::of_call(asked, decision, judge, false))
    }

    #[inline]
    fn of_call(asked: &OneOrMore<Asked<'_>>, decision: &mut Decision, judge: &Judge, is_charged: bool) -> Self {
        let mut outcomes = decision.take_outcomes();
        let limit = |one: &Asked<'_>| match &one.charged_before {
            Some(limit) => Arc::clone(limit),
            None if one.is_counted() => {
                let queued = if is_charged && one.definition.queue.is_some() { one.with_others_of(asked) } else { 0 };
                Arc::new(Limit::new(one, outcomes.next(), judge.clone(), queued))
            }
            None => Arc::new(Limit::new(one, None, Judge::Backend, 0)),
        };
        Self { all: asked.map(limit) }
    }

    /// Whether any of what is asked holds a place for as long as somebody is there.
    #[inline]
    pub(crate) fn holds_any(asked: &OneOrMore<Asked<'_>>) -> bool {
        asked.iter().any(|asked| asked.definition.is_held)
    }

    #[cold]
    fn hold(&mut self, asked: &OneOrMore<Asked<'_>>) {
        for (limit, asked) in self.all.iter_mut().zip(asked.iter()) {
            // One that was charged before is held already, and shared.
            if let (Some(hit), Some(limit)) = (asked.hit().filter(|_| asked.definition.is_held), Arc::get_mut(limit)) {
                limit.hold(&hit);
            }
        }
    }

    /// Whether any of them holds a place for as long as it is there.
    pub(crate) fn is_held(&self) -> bool {
        self.iter().any(Limit::is_held)
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

    /// How long the request has to be held before it goes on, from when it was decided: the longest delay of these limits.
    /// Zero, unless one of them [delays](crate::strategy::LeakyBucketWithQueue) and all of them had room.
    ///
    /// `Throttled`, `throttle_layer` and the attribute have waited by the time a handler runs. After
    /// [`Traffik::hit`](crate::Traffik::hit) it is yours to wait:
    ///
    /// ```
    /// # use traffik::{DefaultIdentity, Rate, Settings, Throttle, Traffik, backend::MemoryBackend, strategy::LeakyBucketWithQueue};
    /// /// Ten a second leave, and no more than 50 wait.
    /// struct Mails;
    ///
    /// impl Throttle for Mails {
    ///     const UID: &'static str = "delay:mails";
    ///     const RATE: Rate = Rate::literal("10/s");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().strategy(LeakyBucketWithQueue::new().queue(50))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let traffik = Traffik::new(MemoryBackend::new("myapp"));
    /// for _ in 0..3 {
    ///     let charge = traffik.hit::<Mails>("smtp").await?;
    ///     if charge.is_admitted() {
    ///         traffik.clock().sleep(charge.delay()).await;
    ///         // .. and send it.
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.iter().map(Limit::delay).max().unwrap_or_default()
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

    /// Those of two decisions that were made together.
    #[cfg(feature = "ws")]
    pub(crate) fn with(mut self, others: &Self) -> Self {
        others.shared().for_each(|limit| self.all.add(Arc::clone(limit), |_, _| false));
        self
    }

    pub(crate) fn receipts<'a>(&'a self, key: &'a Key) -> SmallVec<[Receipt<'a>; crate::engine::INLINE]> {
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

fn check_complete(asked: &OneOrMore<Asked<'_>>, decision: &Decision) -> Result<(), BackendError> {
    let hits = asked.iter().filter(|asked| asked.is_counted()).count();
    match decision.outcomes().len() {
        outcomes if outcomes == hits => Ok(()),
        outcomes => Err(BackendError::unavailable(format!("the backend returned {outcomes} outcomes of {hits} hits"))),
    }
}
