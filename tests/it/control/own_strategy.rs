//! A strategy of the application that uses its app while a shared change is put in force.

use std::sync::OnceLock;

use traffik::{
    Rate, Settings, Throttle, Traffik,
    clock::Timestamp,
    strategy::{AnyStrategy, FixedWindow, State, StoredState, Strategy, StrategyError},
};

use super::{FIVE, Result, in_force};
use crate::http::app::{builder, throttle};

static APP: OnceLock<Traffik> = OnceLock::new();

/// A fixed window that looks at the shared changes whenever it checks a rate.
#[derive(Debug)]
struct Curious;

impl Strategy for Curious {
    fn name(&self) -> &'static str {
        "curious"
    }

    fn check(&self, rate: Rate) -> std::result::Result<(), StrategyError> {
        if let Some(app) = APP.get() {
            assert!(app.shared().limit(Watched::UID).is_ok());
        }
        FixedWindow.check(rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        FixedWindow.capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        FixedWindow.available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        FixedWindow.available_at(past, rate, cost, now)
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        FixedWindow.charge(past, rate, cost, now)
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        FixedWindow.refund(past, cost, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        FixedWindow.clamped_to(past, now)
    }
}

throttle!(Watched, "own_strategy:watched", "3/hour", Settings::new().strategy(AnyStrategy::custom(Curious)));

#[tokio::test]
async fn strategy_that_checks_the_rate_of_a_shared_change_may_use_the_app() -> Result {
    let traffik = builder().0.register::<Watched>().build()?;
    APP.set(traffik.clone()).map_err(|_| "it is set")?;
    traffik.shared().limit(Watched::UID)?.set_rate(FIVE).await?;
    assert_eq!(in_force::<Watched>(&traffik).await?, (FIVE, 1));
    Ok(())
}
