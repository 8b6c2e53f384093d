use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use traffik_core::{backend::BackendError, clock::AnyClock};

/// Waits for `call`, but returns an error once `deadline` has passed on `clock`.
///
/// What is ready reads no clock.
pub(crate) async fn within<T>(
    clock: &AnyClock,
    deadline: Duration,
    call: impl IntoFuture<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    let mut call = pin!(call.into_future());
    let mut end = pin!(clock.sleep(deadline));
    poll_fn(|cx| {
        if let Poll::Ready(answer) = call.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        end.as_mut().poll(cx).map(|()| Err(BackendError::Timeout(deadline)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use traffik_core::clock::ManualClock;

    #[tokio::test]
    async fn a_call_that_never_answers_ends_at_the_deadline() {
        let manual = ManualClock::new();
        let (clock, deadline) = (AnyClock::new(manual.clone()), Duration::from_millis(50));
        let call = tokio::spawn(async move { within(&clock, deadline, pending::<Result<(), _>>()).await });
        tokio::task::yield_now().await;

        manual.advance(Duration::from_millis(49));
        tokio::task::yield_now().await;
        assert!(!call.is_finished());

        manual.advance(Duration::from_millis(1));
        assert!(matches!(call.await.unwrap(), Err(BackendError::Timeout(d)) if d == deadline));
    }

    #[tokio::test]
    async fn an_answer_comes_through() {
        let clock = AnyClock::new(ManualClock::new());
        assert_eq!(within(&clock, Duration::ZERO, async { Ok(7) }).await.unwrap(), 7);
    }
}
