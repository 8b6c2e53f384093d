//! What happens between a refusal and a place in the line, and outside of the lock of a line.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{FixedWindow, State, StoredState, Strategy, StrategyError},
};

use super::{LONG, MINUTE, One, Own, Result, Waiting, decided, exhaust, traffik, waits};
use crate::on_error::backends::{Mood, app};

#[tokio::test]
async fn charge_given_back_before_a_refused_caller_is_in_the_line_lets_it_pass() -> Result {
    let (traffik, backend, _) = app(|builder, _| builder);
    backend.is(Mood::AnswersNow);
    let permit = traffik.limiter::<One>("alice").check().await?;
    backend.then(move || drop(permit.refund()));
    let states = decided(&mut [waits::<One>(&traffik, LONG)]).await;
    assert!(matches!(states.as_slice(), [Some(Ok(_))]), "{states:?}");
    Ok(())
}

/// The waiters that leave while the strategy computes.
static LEAVING: Mutex<Vec<Waiting<Own>>> = Mutex::new(Vec::new());
static IS_LOCKED: AtomicBool = AtomicBool::new(false);

fn leaving() -> usize {
    LEAVING.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// A fixed window during whose computation a waiter leaves its line on another thread.
#[derive(Debug)]
pub(super) struct Interrupted;

impl Strategy for Interrupted {
    fn name(&self) -> &'static str {
        "interrupted"
    }

    fn check(&self, rate: Rate) -> std::result::Result<(), StrategyError> {
        FixedWindow.check(rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        FixedWindow.capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        FixedWindow.available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        if let Some(waiter) = LEAVING.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            let (left, has_left) = mpsc::channel();
            thread::spawn(move || {
                drop(waiter);
                let _ = left.send(());
            });
            IS_LOCKED.fetch_or(has_left.recv_timeout(Duration::from_secs(5)).is_err(), SeqCst);
        }
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

#[tokio::test]
async fn line_is_not_locked_while_a_custom_strategy_computes() -> Result {
    let (traffik, clock) = traffik()?;
    traffik.register::<Own>()?;
    exhaust::<Own>(&traffik).await?;
    let head = waits::<Own>(&traffik, LONG);
    let others = (0..20).map(|_| waits::<Own>(&traffik, LONG)).collect();
    tests::until_idle().await;
    *LEAVING.lock().unwrap_or_else(PoisonError::into_inner) = others;
    // The head is asked for again, and refused.
    traffik.limit("waiting:own")?.set_cost(1);
    tests::until_idle().await;
    assert!(leaving() < 20 && !IS_LOCKED.load(SeqCst));
    LEAVING.lock().unwrap_or_else(PoisonError::into_inner).clear();
    clock.advance(MINUTE);
    assert!(head.await.is_ok());
    Ok(())
}
