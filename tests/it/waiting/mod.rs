//! Callers that wait for their turn.

mod between;
mod bounds;
mod concurrency;
mod grants;
mod leaving;
mod order;
mod outages;
mod runtimes;
mod shutdown;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tests::Calling;
use traffik::{
    CheckError, ClientLimiter, DefaultIdentity, Permit, Rate, Settings, Throttle, Throttles, Traffik,
    backend::MemoryBackend,
    on_error,
    strategy::{AnyStrategy, Concurrency, Gcra, SlidingWindowLog, TokenBucket},
    test::ManualClock,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

throttles! {
    One: "waiting:one", "1/min", Settings::new();
    Two: "waiting:two", "2/min", Settings::new();
    Three: "waiting:three", "3/min", Settings::new();
    Ten: "waiting:ten", "10/min", Settings::new().strategy(TokenBucket::new());
    Own: "waiting:own", "1/min", Settings::new().strategy(AnyStrategy::custom(Calling(between::interrupt)));
    Even: "waiting:even", "60/min", Settings::new().strategy(Gcra::new());
    Fast: "waiting:fast", "2000/s", Settings::new().strategy(Gcra::new());
    Logged: "waiting:logged", "2/min", Settings::new().strategy(SlidingWindowLog);
    Permits: "waiting:permits", "2/30s", Settings::new().strategy(Concurrency);
    Few: "waiting:few", "1/min", Settings::new().max_waiters(2);
    Nobody: "waiting:nobody", "1/min", Settings::new().max_waiters(0);
    Allowed: "waiting:allowed", "1/min", Settings::new().on_error(on_error::Allow);
}

const MINUTE: Duration = Duration::from_secs(60);

/// Longer than any wait of these tests.
const LONG: Duration = Duration::from_secs(24 * 3600);

type Checked<T> = std::result::Result<Permit<T>, CheckError>;

/// A caller that waits.
type Waiting<T> = Pin<Box<dyn Future<Output = Checked<T>> + Send>>;

fn traffik() -> Result<(Traffik, ManualClock)> {
    let clock = ManualClock::new();
    Ok((Traffik::new(MemoryBackend::with_clock("test", clock.clone()))?, clock))
}

/// Starts a check of alice that waits for this long at most, by polling it once.
fn waits<T: Throttles>(traffik: &Traffik, max: Duration) -> Waiting<T> {
    started(traffik, move |limiter| limiter.wait(max))
}

/// Starts a check of alice, by polling it once. It has to wait.
fn started<T: Throttles>(
    traffik: &Traffik,
    set_up: impl FnOnce(ClientLimiter<'_, T>) -> ClientLimiter<'_, T> + Send + 'static,
) -> Waiting<T> {
    let traffik = traffik.clone();
    let mut waiting: Waiting<T> = Box::pin(async move { set_up(traffik.limiter::<T>("alice")).check().await });
    assert!(is_pending(&mut waiting), "it was decided without waiting");
    waiting
}

fn is_pending<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Charges all of what alice may use now.
async fn exhaust<T: Throttle>(traffik: &Traffik) -> Result {
    while tests::admits::<T>(traffik, "alice").await? {}
    Ok(())
}

/// Returns how many of the callers have been decided. The others still wait.
async fn decided<T>(waiting: &mut [Waiting<T>]) -> Vec<Option<Checked<T>>> {
    tests::until_idle().await;
    waiting
        .iter_mut()
        .map(|one| match one.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(checked) => Some(checked),
            Poll::Pending => None,
        })
        .collect()
}
