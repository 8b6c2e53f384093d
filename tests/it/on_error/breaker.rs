//! The circuit breaker alone: which calls it admits, and the state that it reports.

use std::{
    future::{pending, ready},
    panic::resume_unwind,
    sync::{Barrier, Mutex},
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use tests::until_idle;
use traffik::{
    breaker::{BreakerState, Broken, CircuitBreaker, CircuitBreakerBuilder},
    clock::Clock,
    test::ManualClock,
};

const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_micros(1);

fn builder(clock: &ManualClock) -> CircuitBreakerBuilder {
    CircuitBreaker::builder().failure_threshold(3).recovery_timeout(MINUTE).success_threshold(2).clock(clock.clone())
}

#[expect(clippy::unwrap_used, reason = "the settings are in range")]
fn breaker(clock: &ManualClock) -> CircuitBreaker {
    builder(clock).build().unwrap()
}

fn fail(breaker: &CircuitBreaker, times: usize) {
    (0..times).filter_map(|_| breaker.enter()).for_each(|attempt| attempt.failed());
}

#[test]
fn consecutive_failures_open_the_breaker_and_a_success_resets_them() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 2);
    assert_eq!((breaker.state(), breaker.status().failures), (BreakerState::Closed, 2));
    breaker.enter().unwrap().succeeded();
    assert_eq!(breaker.status().failures, 0);

    fail(&breaker, 2);
    assert_eq!(breaker.state(), BreakerState::Closed);
    clock.advance(MOMENT);
    fail(&breaker, 1);
    let status = breaker.status();
    assert_eq!((status.state, status.opened_at, status.openings), (BreakerState::Open, Some(clock.now()), 1));
    assert!(breaker.enter().is_none());
}

#[test]
fn recovery_timeout_admits_as_many_trials_as_have_to_succeed() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 3);
    clock.advance(MINUTE - MOMENT);
    assert!(breaker.enter().is_none());
    clock.advance(MOMENT);

    let (one, other) = (breaker.enter().unwrap(), breaker.enter().unwrap());
    assert_eq!((breaker.state(), breaker.status().trials), (BreakerState::HalfOpen, 2));
    assert!(breaker.enter().is_none());
    one.succeeded();
    assert!(breaker.enter().is_none(), "one trial succeeded and one is in flight");
    assert_eq!((breaker.status().trials, breaker.status().successes), (1, 1));
    other.succeeded();
    let status = breaker.status();
    assert_eq!((status.state, status.opened_at, status.openings), (BreakerState::Closed, None, 1));
}

#[test]
fn status_has_the_time_from_which_on_a_call_is_a_trial() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    assert_eq!(breaker.status().next_trial_at, None);
    fail(&breaker, 3);
    let next = clock.now().saturating_add(MINUTE);
    assert_eq!(breaker.status().next_trial_at, Some(next));
    clock.advance(MINUTE + MOMENT);
    assert_eq!((breaker.state(), breaker.status().next_trial_at), (BreakerState::Open, Some(next)), "nothing tries");

    let began = clock.now();
    let one = breaker.enter().unwrap();
    assert_eq!(breaker.status().next_trial_at, None, "another trial is free");
    let other = breaker.enter().unwrap();
    assert_eq!(breaker.status().next_trial_at, Some(began.saturating_add(MINUTE)));
    one.succeeded();
    other.succeeded();
    assert_eq!(breaker.status().next_trial_at, None);
}

#[test]
fn failed_trial_opens_the_breaker_for_the_whole_timeout() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let other = breaker.enter().unwrap();
    breaker.enter().unwrap().failed();
    assert_eq!((breaker.state(), breaker.status().openings), (BreakerState::Open, 2));

    // The result of the other trial is from before.
    other.succeeded();
    clock.advance(MINUTE - MOMENT);
    assert!(breaker.enter().is_none());
    clock.advance(MOMENT);
    assert!(breaker.enter().is_some());
}

#[test]
fn abandoned_trial_is_available_to_another_caller() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).success_threshold(1).build().unwrap();
    fail(&breaker, 3);
    clock.advance(MINUTE);
    for _ in 0..5 {
        let trial = breaker.enter().unwrap();
        assert!(breaker.enter().is_none());
        drop(trial);
    }
    assert_eq!((breaker.state(), breaker.status().trials), (BreakerState::HalfOpen, 0));
    breaker.enter().unwrap().succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn call_from_before_the_breaker_opened_does_not_change_it() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).success_threshold(1).build().unwrap();
    let (slow, slower) = (breaker.enter().unwrap(), breaker.enter().unwrap());
    fail(&breaker, 3);
    slow.succeeded();
    assert_eq!(breaker.state(), BreakerState::Open);
    clock.advance(MINUTE);
    breaker.enter().unwrap().succeeded();
    slower.failed();
    assert_eq!((breaker.state(), breaker.status().failures), (BreakerState::Closed, 0));
}

#[test]
fn clock_that_goes_back_does_not_keep_the_breaker_open() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    clock.advance(MINUTE * 600);
    let before = clock.now();
    fail(&breaker, 3);
    clock.set(ManualClock::new().now());
    assert!(clock.now() < before && breaker.enter().is_some());
}

#[test]
fn kept_trials_after_the_recovery_timeout_are_replaced_by_a_new_round() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let mut changes = breaker.changes();
    let kept = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    clock.advance(MINUTE - MOMENT);
    assert!(breaker.enter().is_none(), "the round lasts as long as the breaker was open");

    clock.advance(MOMENT);
    let again = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    assert!(breaker.enter().is_none(), "a round has as many trials as have to succeed");
    let status = breaker.status();
    assert_eq!((status.state, status.trials, status.successes), (BreakerState::HalfOpen, 2, 0));
    assert_eq!(status.openings, 1);
    again.into_iter().for_each(|trial| trial.succeeded());
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(changes.next().now_or_never(), Some(Some(BreakerState::Closed)));
    drop(kept);
}

#[test]
fn late_results_of_an_old_round_change_nothing() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).success_threshold(3).build().unwrap();
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let [succeeds, fails, dropped] = [(); 3].map(|()| breaker.enter().unwrap());
    clock.advance(MINUTE);
    let trial = breaker.enter().unwrap();
    let before = breaker.status();
    succeeds.succeeded();
    fails.failed();
    drop(dropped);
    assert_eq!(breaker.status(), before);

    trial.succeeded();
    let others = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    assert!(breaker.enter().is_none());
    others.into_iter().for_each(|trial| trial.succeeded());
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn kept_trial_after_two_successes_is_replaced_by_a_new_round() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).success_threshold(3).build().unwrap();
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let _kept = breaker.enter().unwrap();
    breaker.enter().unwrap().succeeded();
    clock.advance(MINUTE / 2);
    breaker.enter().unwrap().succeeded();
    clock.advance(MINUTE - MOMENT);
    assert!(breaker.enter().is_none(), "the last result is less than a minute old");

    clock.advance(MOMENT);
    let first = breaker.enter().unwrap();
    assert_eq!((breaker.status().trials, breaker.status().successes), (1, 0));
    first.failed();
    assert_eq!((breaker.state(), breaker.status().openings), (BreakerState::Open, 2));
}

#[test]
fn round_with_a_free_trial_goes_on_however_old_it_is() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 3);
    clock.advance(MINUTE);
    breaker.enter().unwrap().succeeded();
    clock.advance(MINUTE * 5);
    breaker.enter().unwrap().succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn clock_that_goes_back_does_not_pin_a_round() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).success_threshold(1).build().unwrap();
    clock.advance(MINUTE * 600);
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let _kept = breaker.enter().unwrap();
    clock.set(ManualClock::new().now());
    breaker.enter().unwrap().succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn kept_calls_do_not_pin_the_breaker() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let mut kept = [(); 2].map(|()| Box::pin(breaker.call(pending::<Result<(), ()>>())));
    for call in &mut kept {
        assert!(call.now_or_never().is_none());
    }
    assert_eq!(breaker.call(ready(Ok::<_, ()>(7))).now_or_never(), Some(Err(Broken::Open)));
    clock.advance(MINUTE);
    for _ in 0..2 {
        assert_eq!(breaker.call(ready(Ok::<_, ()>(7))).now_or_never(), Some(Ok(7)));
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn clones_share_their_state() {
    let builder = CircuitBreaker::builder().failure_threshold(1).success_threshold(1).recovery_timeout(Duration::ZERO);
    let breaker = builder.build().unwrap();
    let clone = breaker.clone();
    breaker.enter().unwrap().failed();
    assert_eq!(clone.state(), BreakerState::Open);
    clone.enter().unwrap().succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn threshold_of_zero_is_an_error() {
    let failures = CircuitBreaker::builder().failure_threshold(0).build().unwrap_err();
    assert_eq!(
        failures.to_string(),
        "`CircuitBreakerBuilder::failure_threshold` is 0: set it to a value of at least 1"
    );
    let successes = CircuitBreaker::builder().success_threshold(0).build().unwrap_err();
    assert_eq!((successes.setting(), successes.value()), ("CircuitBreakerBuilder::success_threshold", 0));
}

#[tokio::test]
async fn state_changes_wake_their_waiters() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).success_threshold(1).build().unwrap();
    let mut changes = breaker.changes();
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(state) = changes.next().await {
            seen.push(state);
        }
        seen
    });
    fail(&breaker, 3);
    until_idle().await;
    clock.advance(MINUTE);
    let trial = breaker.enter();
    until_idle().await;
    trial.unwrap().succeeded();
    until_idle().await;
    drop(breaker);
    assert_eq!(seen.await.unwrap(), [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed]);
}

#[tokio::test]
async fn cancelled_call_leaves_no_trial() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).success_threshold(1).build().unwrap();
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let call = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.call(std::future::pending::<Result<(), ()>>()).await }
    });
    until_idle().await;
    assert_eq!(breaker.status().trials, 1);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(breaker.call(async { Ok::<_, ()>(7) }).await, Ok(7));
    assert_eq!(breaker.call(async { Err::<(), _>(8) }).await, Err(Broken::Failed(8)));
}

/// Runs `act` in four threads that start together, and returns their results.
fn in_four_threads<R: Send>(act: impl Fn() -> R + Sync) -> Vec<R> {
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        let start = || {
            barrier.wait();
            act()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

#[test]
fn threads_that_enter_a_round_get_as_many_trials_as_have_to_succeed() {
    let clock = ManualClock::new();
    for _ in 0..200 {
        let breaker = breaker(&clock);
        fail(&breaker, 3);
        let enter = || (0..50).filter_map(|_| breaker.enter()).collect::<Vec<_>>();
        let rounds = [(); 3].map(|()| {
            clock.advance(MINUTE);
            in_four_threads(enter).into_iter().flatten().collect::<Vec<_>>()
        });
        assert_eq!(rounds.each_ref().map(Vec::len), [2; 3]);

        // Only the results of the last round count.
        let trials = Mutex::new(rounds.into_iter().flatten().collect::<Vec<_>>());
        let next = || trials.lock().unwrap().pop();
        in_four_threads(|| {
            while let Some(trial) = next() {
                trial.succeeded();
            }
        });
        assert_eq!((breaker.state(), breaker.status().openings), (BreakerState::Closed, 1));
    }
}

#[test]
fn failures_of_many_threads_are_all_counted() {
    let clock = ManualClock::new();
    for _ in 0..200 {
        let breaker = builder(&clock).failure_threshold(400).build().unwrap();
        let fail_often = || (0..50).filter_map(|_| breaker.enter()).for_each(|attempt| attempt.failed());
        in_four_threads(fail_often);
        assert_eq!((breaker.state(), breaker.status().failures), (BreakerState::Closed, 200));
        in_four_threads(fail_often);
        assert_eq!((breaker.state(), breaker.status().openings), (BreakerState::Open, 1));
    }
}
