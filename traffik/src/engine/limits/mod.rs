//! The outcome of a decision: one [`Limit`] per throttle, and what became of its charge since.

mod change;
mod limit;
#[cfg(feature = "serde")]
mod serialize;

use std::{
    any::TypeId,
    collections::VecDeque,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;
use traffik_core::{backend::MaybeReady, clock::Timestamp, decision::Outcome};
use triomphe::Arc as Shared;

pub use self::limit::Limit;
use crate::{limit::Throttle, one_or_more::OneOrMore, store::AdjustError};

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
    pub(crate) fn snapshot_of<'l>(limits: impl Iterator<Item = &'l Limit>) -> Option<Self> {
        OneOrMore::collect(limits.map(|limit| Shared::new(limit.snapshot()))).map(Self::of_all)
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
        let all = OneOrMore::collect(self.shared().skip(places.start).take(places.len()).cloned())?;
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

/// The number of parts of a charge that are remembered. Of a charge that grew more often, later parts are given back like the
/// last one that is remembered, which may give back less.
const MAX_PARTS: usize = 16;

/// The result of a change that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The charge has the new cost.
    Done,
    /// There was no charge: the client is exempt, the cost was 0, the rate is unlimited, limits are
    /// [disabled](crate::Traffik::disabled), no backend answered and [`on_error`](crate::on_error) admitted the client, or the
    /// client is over a limit in a [dry run](crate::Settings::dry_run).
    NotCounted,
}

/// The answer to a change of a charge. The change has begun. Awaiting the answer only receives the result.
pub type Adjusting<'a> = MaybeReady<'a, Result<Settlement, AdjustError>>;

/// A change of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Replaces the cost, and ends the charge.
    Settle(u64),
    /// Charges more.
    More(u64),
    /// Gives back all of it, even if the charge has ended: the request is refused.
    GiveBack,
}

/// The account of a charge. Its changes are made one after the other.
#[derive(Debug, Default)]
pub(in crate::engine) struct Account {
    /// Whether there is a `latest`. Readers take no lock if there is none.
    has_latest: AtomicBool,
    /// `None` until the first change, as most charges stay.
    state: Mutex<Option<Box<State>>>,
}

#[derive(Debug, Default)]
struct State {
    has_ended: bool,
    /// Whether a body settles the charge, and the head of its response does not.
    is_left_to_body: bool,
    /// The cost after the change that waits for the backend, if there is one.
    changing_to: Option<u64>,
    /// What was charged, the latest last. Empty until the first change: the charge is then that of the decision.
    parts: SmallVec<[Part; 1]>,
    /// The outcome of the latest change.
    latest: Option<Outcome>,
    /// Changes that wait, at most three: later additions join the last one.
    waiting: VecDeque<Waiting>,
}

/// A part of a charge, and when it was charged.
#[derive(Clone, Copy, Debug)]
struct Part {
    cost: u64,
    at: Timestamp,
}

/// A change that waits for the one before, and those who wait for its result.
#[derive(Debug)]
struct Waiting {
    change: Change,
    replies: SmallVec<[Reply; 1]>,
}

type Reply = oneshot::Sender<Result<Settlement, AdjustError>>;

impl State {
    /// Returns what is charged in total.
    fn charged(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.cost))
    }

    /// Adds a change that waits. Additions that follow each other are one change.
    fn wait(&mut self, change: Change, reply: Reply) {
        match (self.waiting.back_mut(), change) {
            (Some(Waiting { change: Change::More(sum), replies }), Change::More(more)) => {
                *sum = sum.saturating_add(more);
                replies.retain(|reply| !reply.is_closed());
                replies.push(reply);
            }
            _ => self.waiting.push_back(Waiting { change, replies: smallvec![reply] }),
        }
    }

    /// Returns the parts to change so that `less` is given back, the latest first, and the new cost of each.
    fn shrinking(&self, mut less: u64) -> impl Iterator<Item = (Part, u64)> {
        let changed = self.parts.iter().rev().map(move |part| {
            let given_back = part.cost.min(less);
            less -= given_back;
            (*part, part.cost - given_back)
        });
        changed.take_while(|(part, actual)| part.cost != *actual)
    }

    /// Records that `actual` is charged since `at`.
    fn record(&mut self, actual: u64, at: Timestamp) {
        let charged = self.charged();
        if actual > charged {
            return self.grow(actual - charged, at);
        }
        let kept: SmallVec<[_; 1]> = self.shrinking(charged - actual).collect();
        for ((_, cost), part) in kept.into_iter().zip(self.parts.iter_mut().rev()) {
            part.cost = cost;
        }
        self.parts.retain(|part| part.cost > 0);
        if self.parts.is_empty() {
            self.parts.push(Part { cost: 0, at });
        }
    }

    /// Adds a part. If there are many, it joins the last one.
    fn grow(&mut self, cost: u64, at: Timestamp) {
        let is_full = self.parts.len() == MAX_PARTS;
        match self.parts.last_mut() {
            Some(last) if last.at == at || is_full => last.cost = last.cost.saturating_add(cost),
            _ => self.parts.push(Part { cost, at }),
        }
    }
}

impl Account {
    /// Calls `read` with the outcome of the latest change, if there is one.
    fn with_latest<R>(&self, read: impl FnOnce(Option<&Outcome>) -> R) -> R {
        if self.has_latest.load(Ordering::Acquire) {
            read(self.state.lock().as_ref().and_then(|state| state.latest.as_ref()))
        } else {
            read(None)
        }
    }

    fn set_latest(&self, state: &mut State, outcome: Outcome) {
        state.latest = Some(outcome);
        self.has_latest.store(true, Ordering::Release);
    }
}

/// A clone shows the same, and has no changes of its own.
impl Clone for Account {
    fn clone(&self) -> Self {
        let clone = Self::default();
        self.with_latest(|latest| {
            latest.cloned().map(|outcome| clone.set_latest(clone.state.lock().get_or_insert_default(), outcome))
        });
        clone
    }
}
