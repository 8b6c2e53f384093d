//! The backends of an app: their deadlines, the permits that are held in them, and the charges that are settled later.

mod handle;
mod lease_table;
mod leases;
mod settlement;
mod tasks;
mod upkeep;
mod watchers;

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use traffik_core::{backend::BackendError, clock::AnyClock};

pub use self::settlement::AdjustError;
#[cfg(feature = "ws")]
pub(crate) use self::settlement::{Pending, Settlement};
pub(crate) use self::{
    handle::{AvailabilityState, Store, Stores},
    leases::Lease,
    settlement::{AdjustResult, Done, Settles},
    watchers::{Signal, Watch},
};

/// The number of hits of one decision that are kept without an allocation.
pub(crate) const HITS_INLINE: usize = 4;

/// Makes the calls one after the other, also after one that fails. Returns the first error.
pub(crate) fn each<F: Future<Output = Result<(), E>>, E>(
    calls: impl IntoIterator<Item = F>,
) -> impl Future<Output = Result<(), E>> {
    let calls: Vec<_> = calls.into_iter().collect();
    async {
        let mut all = Ok(());
        for call in calls {
            all = all.and(call.await);
        }
        all
    }
}

/// Waits for `call`, but returns an error once `deadline` has passed on `clock`.
///
/// It reads no clock if `call` is ready.
pub(crate) async fn within<T>(
    clock: &AnyClock,
    deadline: Duration,
    call: impl IntoFuture<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    let answer = first_of(call.into_future(), clock.sleep(deadline)).await;
    answer.unwrap_or(Err(BackendError::Timeout(deadline)))
}

/// Does the same without the timers of a runtime, for a task that may move to another one.
pub(crate) async fn within_on_any_runtime<T>(
    clock: &AnyClock,
    deadline: Duration,
    call: impl IntoFuture<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    let answer = first_of(call.into_future(), clock.sleep_on_any_runtime(deadline)).await;
    answer.unwrap_or(Err(BackendError::Timeout(deadline)))
}

/// Returns the output of `one`, or `None` if `other` ends first.
pub(crate) async fn first_of<T>(one: impl Future<Output = T>, other: impl Future<Output = ()>) -> Option<T> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => other.as_mut().poll(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        task::{Context, Waker},
    };

    use traffik_core::clock::ManualClock;

    use super::*;

    #[test]
    fn call_without_an_answer_ends_at_the_deadline() {
        let manual = ManualClock::new();
        let (clock, deadline) = (AnyClock::new(manual.clone()), Duration::from_millis(50));
        let mut call = pin!(within(&clock, deadline, pending::<Result<(), _>>()));
        let mut poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        manual.advance(Duration::from_millis(49));
        assert!(poll().is_pending());
        manual.advance(Duration::from_millis(1));
        assert!(matches!(poll(), Poll::Ready(Err(BackendError::Timeout(after))) if after == deadline));
    }

    #[tokio::test]
    async fn answer_is_returned() {
        let clock = AnyClock::new(ManualClock::new());
        assert_eq!(within(&clock, Duration::ZERO, async { Ok(7) }).await.unwrap(), 7);
    }
}
