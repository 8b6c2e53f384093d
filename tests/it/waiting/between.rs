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

use tests::Call;

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

/// Lets a waiter leave its line on another thread while the strategy computes when a cost fits.
pub(super) fn interrupt(call: Call) {
    if call != Call::AvailableAt {
        return;
    }
    if let Some(waiter) = LEAVING.lock().unwrap_or_else(PoisonError::into_inner).pop() {
        let (left, has_left) = mpsc::channel();
        thread::spawn(move || {
            drop(waiter);
            let _ = left.send(());
        });
        IS_LOCKED.fetch_or(has_left.recv_timeout(Duration::from_secs(5)).is_err(), SeqCst);
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
