//! A strategy of the application that uses its app while a shared change is put in force.

use std::{
    sync::{
        Barrier, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use tests::{Call, Calling, until_idle};
use traffik::{
    Settings, Throttle, Traffik,
    backend::{Backend, ControlRequest, MemoryBackend},
    strategy::AnyStrategy,
    test::ManualClock,
};

use super::{FIVE, Result, in_force};
use crate::http::app::{builder, throttle};

static APP: OnceLock<Traffik> = OnceLock::new();

/// Returns whether a strategy checks a rate of this limit.
pub(super) fn checks(call: Call, limit: u64) -> bool {
    matches!(call, Call::Check(rate) if rate.limit() == limit)
}

pub(super) fn panic_at_13(call: Call) {
    assert!(!checks(call, 13), "it panics on purpose");
}

throttle!(Picky, "own_strategy:picky", "3/hour", Settings::new().strategy(AnyStrategy::custom(Calling(panic_at_13))));

/// The first check of 17 meets the test, and goes on when it meets it again.
static MEETING: Barrier = Barrier::new(2);
static HAS_MET: AtomicBool = AtomicBool::new(false);

fn meet_at_17(call: Call) {
    if checks(call, 17) && !HAS_MET.swap(true, SeqCst) {
        MEETING.wait();
        MEETING.wait();
    }
}

throttle!(Slow, "own_strategy:slow", "3/hour", Settings::new().strategy(AnyStrategy::custom(Calling(meet_at_17))));

fn look_at_shared_changes(call: Call) {
    if let (Call::Check(_), Some(app)) = (call, APP.get()) {
        assert!(app.shared().limit(Watched::UID).is_ok());
    }
}

throttle!(
    Watched,
    "own_strategy:watched",
    "3/hour",
    Settings::new().strategy(AnyStrategy::custom(Calling(look_at_shared_changes)))
);

#[tokio::test]
async fn strategy_that_checks_the_rate_of_a_shared_change_may_use_the_app() -> Result {
    let traffik = builder().0.register::<Watched>().build()?;
    APP.set(traffik.clone()).map_err(|_| "it is set")?;
    traffik.shared().limit(Watched::UID)?.set_rate(FIVE).await?;
    assert_eq!(in_force::<Watched>(&traffik).await?, (FIVE, 1));
    Ok(())
}

#[tokio::test]
async fn shared_rate_whose_check_panics_has_no_effect_and_later_changes_have() -> Result {
    let clock = ManualClock::new();
    let backend = MemoryBackend::with_clock("test", clock.clone());
    let traffik = Traffik::builder(backend.clone()).register::<Picky>().build()?;
    let _ = traffik.shared();
    for (name, value) in [("rate\nown_strategy:picky", "13/hour"), ("cost\nown_strategy:picky", "2")] {
        let request = ControlRequest::Replace { name, expected: None, value: Some(value) };
        assert!(backend.control(request).await?.is_replaced);
        clock.advance(Duration::from_secs(1));
        until_idle().await;
    }
    assert_eq!(in_force::<Picky>(&traffik).await?, ("3/hour".parse()?, 2));
    Ok(())
}

/// One thread has read a change and is about to put it in force, while another one reads the changes.
#[tokio::test]
async fn change_is_in_force_when_changes_were_read() -> Result {
    let backend = MemoryBackend::new("test");
    let traffik = Traffik::builder(backend.clone()).register::<Slow>().build()?;
    let shared = traffik.shared();
    let request = ControlRequest::Replace { name: "rate\nown_strategy:slow", expected: None, value: Some("17/hour") };
    assert!(backend.control(request).await?.is_replaced);
    thread::scope(|scope| {
        scope.spawn(|| shared.refresh().now_or_never());
        MEETING.wait();
        let refreshed = shared.refresh().now_or_never();
        let rate = in_force::<Slow>(&traffik).now_or_never();
        MEETING.wait();
        assert!(matches!(refreshed, Some(Ok(()))), "{refreshed:?}");
        assert_eq!(rate.ok_or("it waits")??, ("17/hour".parse()?, 1));
        Ok(())
    })
}
