//! A backend that never answers delays a caller until the deadline at most.

use std::{future::pending, time::Duration};

use tests::{admits, until_idle};
use traffik::{
    CheckError, Error, Traffik,
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
    on_error::Fallback,
    test::ManualClock,
};

use super::{Five, Free, One, Unlimited};

#[derive(Debug)]
struct Silent(ManualClock);

impl Backend for Silent {
    fn namespace(&self) -> &str {
        "silent"
    }

    fn clock(&self) -> AnyClock {
        self.0.clone().into()
    }

    fn decide<'a>(&'a self, _: &[Hit<'_>]) -> Answer<'a, Decision> {
        MaybeReady::pending(async move { pending().await })
    }

    fn peek<'a>(&'a self, _: &[Hit<'_>]) -> Answer<'a, Decision> {
        MaybeReady::pending(async move { pending().await })
    }

    fn adjust<'a>(&'a self, _: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        MaybeReady::pending(async move { pending().await })
    }

    fn renew<'a>(&'a self, _: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        MaybeReady::pending(pending())
    }

    fn control<'a>(&'a self, _: ControlRequest<'_>) -> Answer<'a, Control> {
        MaybeReady::Ready(Err(BackendError::not_run("it has no settings")))
    }

    fn reset<'a>(&'a self, _: &[Hit<'_>]) -> Answer<'a, ()> {
        MaybeReady::pending(async move { pending().await })
    }

    fn clear(&self) -> Answer<'_, ()> {
        MaybeReady::pending(async move { Ok(()) })
    }

    fn close(&self) -> Answer<'_, ()> {
        MaybeReady::pending(async move { pending().await })
    }
}

/// Starts `call` and checks that it ends at the deadline and not earlier.
async fn assert_ends_at<T: Send + 'static>(
    clock: &ManualClock,
    deadline: Duration,
    call: impl Future<Output = Result<T, CheckError>> + Send + 'static,
) {
    let call = tokio::spawn(call);
    until_idle().await;
    clock.advance(deadline - Duration::from_micros(1));
    until_idle().await;
    assert!(!call.is_finished());
    clock.advance(Duration::from_micros(1));
    let answer = call.await;
    assert!(
        matches!(answer, Ok(Err(CheckError::Failed(Error::Backend(BackendError::Timeout(after))))) if after == deadline)
    );
}

#[tokio::test]
async fn unanswered_call_ends_at_the_deadline() {
    let clock = ManualClock::new();
    for timeout in [None, Some(Duration::from_millis(50)), Some(Duration::from_secs(3600))] {
        let builder = Traffik::builder(Silent(clock.clone()));
        let traffik = match timeout {
            Some(timeout) => builder.backend_timeout(timeout),
            None => builder,
        };
        let (traffik, deadline) = (traffik.build().unwrap(), timeout.unwrap_or(Duration::from_millis(100)));

        let app = traffik.clone();
        assert_ends_at(&clock, deadline, async move { app.limiter::<One>("alice").check().await }).await;
        let app = traffik.clone();
        assert_ends_at(&clock, deadline, async move { app.limiter::<(One, Five)>("alice").check().await }).await;
        let app = traffik.clone();
        assert_ends_at(&clock, deadline, async move { Ok(app.limiter::<One>("alice").peek().await?) }).await;
        assert_ends_at(&clock, deadline, async move { Ok(traffik.reset::<One>("alice").await?) }).await;
    }
}

#[tokio::test]
async fn unanswered_close_ends_at_the_deadline_and_closes_other_backends() {
    let (clock, deadline) = (ManualClock::new(), Duration::from_secs(3));
    let [named, fallback] = [(); 2].map(|()| MemoryBackend::new("sound"));
    let builder = Traffik::builder(Silent(clock.clone())).backend("named", named.clone()).backend_timeout(deadline);
    let traffik = builder.on_error(Fallback::to(fallback.clone())).build().unwrap();
    assert_ends_at(&clock, deadline, async move { Ok(traffik.close().await.map_err(Error::from)?) }).await;
    for sound in [named, fallback] {
        assert!(matches!(sound.clear().await, Err(BackendError::Closed)));
    }
}

#[tokio::test]
async fn timeout_error_states_the_deadline() {
    let clock = ManualClock::new();
    let traffik = Traffik::new(Silent(clock.clone())).unwrap();
    let call = tokio::spawn(async move { traffik.limiter::<One>("alice").check().await });
    until_idle().await;
    clock.advance(Duration::from_secs(1));
    assert_eq!(call.await.unwrap().unwrap_err().to_string(), "the backend did not answer within 100ms");
}

#[tokio::test]
async fn uncounted_check_waits_for_no_backend() {
    let traffik = Traffik::new(Silent(ManualClock::new())).unwrap();
    assert!(admits::<(Unlimited, Free)>(&traffik, "alice").await.unwrap());
    assert!(admits::<One>(&traffik, traffik::EXEMPTED).await.unwrap());
}
