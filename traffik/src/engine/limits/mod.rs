//! The outcome of a decision: one [`Limit`] per throttle.

mod account;
mod change;
mod limit;
#[cfg(feature = "serde")]
mod serialize;

use std::{any::TypeId, ops::Range, time::Duration};

use triomphe::Arc as Shared;

pub(super) use self::account::Account;
pub(crate) use self::account::Change;
pub use self::{
    account::{Adjusting, Settlement},
    limit::Limit,
};
use crate::{limit::Throttle, one_or_more::OneOrMore};

/// The limits of one decision: those of a throttle, or of a tuple of them, in the order written. Also those that a request
/// [met](Self::met_by), which may come from several decisions.
///
/// See [`Traffik`](crate::Traffik) for an example.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Each shared with the ledger of its request, so that what is moved and cloned on the way is small.
    all: OneOrMore<Shared<Limit>>,
}

impl Limits {
    pub(super) fn of_all(all: OneOrMore<Shared<Limit>>) -> Self {
        Self { all }
    }

    #[cold]
    pub(super) fn hold(&mut self) {
        // A limit that was charged before is held already, and shared.
        self.all
            .iter_mut()
            .filter_map(Shared::get_mut)
            .filter(|limit| limit.definition().is_held)
            .for_each(Limit::hold);
    }

    /// Returns `true` if any of them holds a permit.
    pub(crate) fn is_held(&self) -> bool {
        self.iter().any(Limit::is_held)
    }

    /// Returns `true` if all of them had room. They were charged only then.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.iter().all(Limit::is_admitted)
    }

    /// Returns the limits that refuse.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.iter().filter(|limit| !limit.is_admitted())
    }

    /// Returns how long until all of them would admit the same cost, if the client sends no other request until then. Returns
    /// `None` if all of them admit, or if one never will, because the cost is above its capacity.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let mut waits = self.exceeded().map(Limit::retry_after);
        let first = waits.next()??;
        waits.try_fold(first, |longest, wait| Some(longest.max(wait?)))
    }

    /// Whether another backend decided than the throttles' own, which gave no answer: see [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_from_fallback(&self) -> bool {
        self.iter().any(Limit::is_from_fallback)
    }

    /// Returns `true` if the request was let through although no backend gave an answer: see [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        self.iter().any(Limit::is_unchecked)
    }

    /// How long the request has to be held before it goes on, from when it was decided: the longest delay of these limits.
    /// Zero, unless one of them [delays](struct@crate::strategy::LeakyBucketWithQueue) and all of them had room.
    ///
    /// `Throttled`, `throttle_layer` and the attribute have waited by the time a handler runs. After
    /// [`ClientLimiter::check`](crate::ClientLimiter::check) the caller waits:
    ///
    /// ```
    /// # use traffik::{DefaultIdentity, LeakyBucketWithQueue, MemoryBackend, Rate, Settings, Throttle, Traffik};
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
    /// # let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// for _ in 0..3 {
    ///     let permit = traffik.limiter::<Mails>("smtp").check().await?;
    ///     traffik.clock().sleep(permit.delay()).await;
    ///     // .. and send it.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.iter().map(Limit::delay).max().unwrap_or_default()
    }

    /// Returns copies of limits as they stand now, which hold no permits. `None` if there are none.
    pub(crate) fn snapshot_of<'l>(mut limits: impl Iterator<Item = &'l Limit>) -> Option<Self> {
        let mut all = OneOrMore::new(Shared::new(limits.next()?.snapshot()));
        limits.for_each(|limit| all.add(Shared::new(limit.snapshot()), |_, _| false));
        Some(Self::of_all(all))
    }

    /// Returns a copy of the limits as they stand now, which holds no permits.
    pub(crate) fn snapshot(&self) -> Self {
        Self::of_all(self.all.map(|limit| Shared::new(limit.snapshot())))
    }

    /// Each limit.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.shared().map(|limit| &**limit)
    }

    pub(crate) fn shared(&self) -> impl Iterator<Item = &Shared<Limit>> + Clone {
        self.all.iter()
    }

    /// Returns the limit of the throttle `T` alone, which is one of these.
    pub(super) fn only_of<T: Throttle>(&self) -> Self {
        let only = self.shared().find(|limit| limit.is_of::<T>()).unwrap_or(self.all.first());
        Self::of_all(OneOrMore::new(Shared::clone(only)))
    }

    /// Returns the limits at some places, if `is_one` returns `true` for the throttle of each.
    pub(super) fn part(&self, places: Range<usize>, is_one: fn(TypeId) -> bool) -> Option<Self> {
        let mut part = self.shared().skip(places.start).take(places.len()).cloned();
        let mut all = OneOrMore::new(part.next()?);
        part.for_each(|limit| all.add(limit, |_, _| false));
        let are_all = all.iter().all(|limit| is_one(limit.definition().type_id));
        are_all.then(|| Self::of_all(all))
    }

    /// How the client stands with the throttle `T`, if it is one of these.
    #[must_use]
    pub fn of<T: Throttle>(&self) -> Option<&Limit> {
        self.iter().find(|limit| limit.is_of::<T>())
    }

    /// Those of two decisions that were made together.
    #[cfg(feature = "ws")]
    pub(crate) fn with(mut self, others: &Self) -> Self {
        others.shared().for_each(|limit| self.all.add(Shared::clone(limit), |_, _| false));
        self
    }

    /// Returns the limit that refuses longest, or the one with least remaining if none refuses. Where nothing is counted, all of
    /// it remains. A limit in a [dry run](crate::Settings::dry_run) is returned only if there is no other.
    #[must_use]
    pub fn tightest(&self) -> &Limit {
        self.iter()
            .fold(self.all.first(), |tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest })
    }
}
