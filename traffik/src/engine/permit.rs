use std::{fmt, marker::PhantomData, ops::Deref};

use smallvec::SmallVec;
use traffik_core::backend::MaybeReady;

use super::{
    Limit, Limits,
    limits::{Adjusting, Change, Settlement},
};
use crate::{
    limit::{ByUid, Throttle, Throttles},
    store::HITS_INLINE,
};

/// The permit of an admitted client, for a throttle or a tuple of throttles. [`Limiter::check`](crate::Limiter::check) returns
/// it, and [`Throttled`](crate::Throttled) holds one.
///
/// It dereferences to the [`Limits`] that were charged. It holds a permit of each [`Concurrency`] limit among them until it, and
/// each clone, is dropped or it is refunded. The charges of other limits stay when it is dropped.
///
/// # The cost is known later
///
/// Charge what a request is likely to cost, and [settle](Self::settle) the charge once the cost is known:
///
/// ```
/// # use traffik::{DefaultIdentity, MemoryBackend, Rate, Settings, SlidingWindowCounter, Throttle, Traffik};
/// struct Tokens;
///
/// impl Throttle for Tokens {
///     const UID: &'static str = "permit:tokens";
///     const RATE: Rate = Rate::literal("10000/min");
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         Settings::new().strategy(SlidingWindowCounter)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let permit = traffik.limiter::<Tokens>("alice").cost(1000).check().await?;
/// assert_eq!(permit.tightest().remaining(), 9000);
///
/// // The answer took 300 tokens.
/// permit.settle(300).await?;
/// assert_eq!(permit.tightest().remaining(), 9700);
/// # Ok(())
/// # }
/// ```
///
/// A change starts when the method is called. Awaiting the answer only receives the result, so a change can be made where nothing
/// can be awaited: in [`Drop`], or in the `poll_frame` of a body. A backend that does not wait makes it in the call. Elsewhere a
/// task makes it: in a queue of at most 10 000 changes for each backend, repeated as long as the call surely did not run, up to
/// three times. [`Traffik::close`](crate::Traffik::close) waits for the queue.
///
/// A change is made in the backend that made the charge, which may be a [fallback](crate::on_error). If the process ends before,
/// the charge stays.
///
/// [`Concurrency`]: crate::strategy::Concurrency
#[must_use = "dropping a permit ends its hold on a `Concurrency` limit; use `let _ = ..` if only the charge matters"]
pub struct Permit<T> {
    limits: Limits,
    throttles: PhantomData<fn() -> T>,
}

impl<T> Permit<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, throttles: PhantomData }
    }

    /// Returns the limits that were charged, in the order written.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the cost that was charged: what was asked for, or [what fitted](crate::Limiter::at_least). Returns 0 if nothing
    /// was counted.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.limits.iter().map(Limit::cost).max().unwrap_or_default()
    }

    /// Gives the charges back, as far as they still count, and ends them. The guide has a table for each strategy, in
    /// `docs/strategies.md#after-the-charge`.
    ///
    /// Call it soon after the check. A client that was [reset](crate::Traffik::reset) since then would be refunded a charge that
    /// is gone.
    ///
    /// # Errors
    ///
    /// Returns an error if a charge was settled or refunded before, or if the backend does not answer. The other limits of a
    /// tuple are refunded all the same.
    pub fn refund(&self) -> Adjusting<'_> {
        self.change(Change::Settle(0))
    }

    fn change(&self, change: Change) -> Adjusting<'_> {
        // All start before the first is awaited.
        let answers: SmallVec<[_; HITS_INLINE]> =
            self.limits.shared().map(|limit| Limit::change(limit, change)).collect();
        let mut all = Ok(Settlement::NotCounted);
        let mut waiting: SmallVec<[_; HITS_INLINE]> = SmallVec::new();
        for answer in answers {
            match answer {
                MaybeReady::Ready(one) => all = both(all, one),
                MaybeReady::Pending(one) => waiting.push(one),
            }
        }
        if waiting.is_empty() {
            return MaybeReady::Ready(all);
        }
        MaybeReady::pending(async move {
            for one in waiting {
                all = both(all, one.await);
            }
            all
        })
    }
}

impl<T: Throttles> Permit<T> {
    /// Returns the permit of one throttle of a tuple. It shares its charge with this permit.
    ///
    /// A throttle that is not in the tuple does not compile.
    ///
    /// ```
    /// use traffik::{AdjustError, Throttle, Throttled};
    ///
    /// async fn complete<Requests: Throttle, Tokens: Throttle>(
    ///     permit: Throttled<(Requests, Tokens)>,
    /// ) -> Result<&'static str, AdjustError> {
    ///     // ..
    ///     permit.of::<Tokens>().settle(300).await?;
    ///     Ok("an answer")
    /// }
    /// ```
    ///
    /// ```compile_fail
    /// # use traffik::{Permit, Throttle, Throttled};
    /// struct Requests;
    /// struct Tokens;
    /// # impl Throttle for Requests {
    /// #     const UID: &'static str = "permit:requests";
    /// #     const RATE: traffik::Rate = traffik::Rate::literal("1/min");
    /// #     type Identity = traffik::DefaultIdentity;
    /// # }
    /// # impl Throttle for Tokens {
    /// #     const UID: &'static str = "permit:other";
    /// #     const RATE: traffik::Rate = traffik::Rate::literal("1/min");
    /// #     type Identity = traffik::DefaultIdentity;
    /// # }
    ///
    /// let tokens: fn(Throttled<Requests>) -> Permit<Tokens> = |permit| permit.of::<Tokens>();
    /// ```
    pub fn of<U: Throttle>(&self) -> Permit<U> {
        const { assert!(contains(T::UIDS, U::UID), "the permit is not of this throttle, nor of a tuple with it") }
        Permit::new(self.limits.only_of::<U>())
    }
}

/// Changes of the charge of one throttle. For a tuple write [`permit.of::<Tokens>()`](Permit::of) before.
impl<T: Throttle> Permit<T> {
    /// Replaces the cost that was charged by the actual one, and ends the charge.
    ///
    /// A lower cost gives the difference back, as far as it still counts. A higher cost charges the difference now, whether it
    /// fits or not: the client may stand above its limit, and later requests are refused until that is worked off. The guide has
    /// a table for each strategy, in `docs/strategies.md#after-the-charge`.
    ///
    /// If nothing was charged, nothing changes, and the result is [`Settlement::NotCounted`].
    ///
    /// # Errors
    ///
    /// Returns an error if the charge was settled or refunded before, by this permit or by a clone. Returns an error if the
    /// strategy cannot store the cost: for [`Concurrency`](crate::strategy::Concurrency) always, for others if it is too far
    /// above the limit. Returns an error if the backend does not answer.
    pub fn settle(&self, actual: u64) -> Adjusting<'_> {
        self.change(Change::Settle(actual))
    }

    /// Charges `cost` in addition, whether it fits or not. The charge can be settled or refunded later, as a whole.
    ///
    /// ```
    /// # use traffik::{AdjustError, Permit, Throttle};
    /// async fn stream<Bytes: Throttle>(permit: Permit<Bytes>, chunks: Vec<Vec<u8>>) -> Result<(), AdjustError> {
    ///     for chunk in chunks {
    ///         permit.charge_more(chunk.len() as u64).await?;
    ///         // .. and send it.
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`settle`](Self::settle).
    pub fn charge_more(&self, cost: u64) -> Adjusting<'_> {
        self.change(Change::More(cost))
    }
}

/// Changes of the charge of a limit that is a value.
impl Permit<ByUid> {
    /// Replaces the cost that was charged by the actual one, and ends the charge. It is the same as for a throttle: see
    /// [`settle`](Permit::settle).
    ///
    /// # Errors
    ///
    /// See [`settle`](Permit::settle).
    pub fn settle(&self, actual: u64) -> Adjusting<'_> {
        self.change(Change::Settle(actual))
    }

    /// Charges `cost` in addition, whether it fits or not: see [`charge_more`](Permit::charge_more).
    ///
    /// # Errors
    ///
    /// See [`settle`](Permit::settle).
    pub fn charge_more(&self, cost: u64) -> Adjusting<'_> {
        self.change(Change::More(cost))
    }
}

/// An error comes first, and then a change.
fn both<E>(one: Result<Settlement, E>, other: Result<Settlement, E>) -> Result<Settlement, E> {
    let (one, other) = (one?, other?);
    Ok(if one == Settlement::NotCounted { other } else { one })
}

const fn contains(mut uids: &[&str], uid: &str) -> bool {
    while let [first, rest @ ..] = uids {
        if is_same(first.as_bytes(), uid.as_bytes()) {
            return true;
        }
        uids = rest;
    }
    false
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (rest, others);
    }
    one.is_empty() && other.is_empty()
}

impl<T> Deref for Permit<T> {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.limits
    }
}

/// A clone is a permit for the same charges.
impl<T> Clone for Permit<T> {
    fn clone(&self) -> Self {
        Self::new(self.limits.clone())
    }
}

impl<T> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.limits).finish()
    }
}
