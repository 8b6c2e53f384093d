//! A circuit breaker alone: who goes through, and what can be read of it.

use std::time::Duration;

use traffik::{
    breaker::{BreakerState, Broken, CircuitBreaker},
    clock::Clock,
    test::ManualClock,
};

const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_micros(1);

fn breaker(clock: &ManualClock) -> CircuitBreaker {
    let breaker = CircuitBreaker::new().failure_threshold(3).recovery_timeout(MINUTE).success_threshold(2);
    breaker.clock(clock.clone())
}

fn fail(breaker: &CircuitBreaker, times: usize) {
    (0..times).filter_map(|_| breaker.enter()).for_each(|attempt| attempt.failed());
}

#[test]
fn failures_in_a_row_open_it_and_a_success_starts_them_again() {
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
fn after_the_recovery_timeout_as_many_try_as_have_to_succeed() {
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
    assert!(breaker.enter().is_none(), "one succeeded and one is under way");
    assert_eq!((breaker.status().trials, breaker.status().successes), (1, 1));
    other.succeeded();
    let status = breaker.status();
    assert_eq!((status.state, status.opened_at, status.openings), (BreakerState::Closed, None, 1));
}

#[test]
fn a_trial_that_fails_opens_it_for_the_whole_time_again() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let other = breaker.enter().unwrap();
    breaker.enter().unwrap().failed();
    assert_eq!((breaker.state(), breaker.status().openings), (BreakerState::Open, 2));

    // What the other saw was before.
    other.succeeded();
    clock.advance(MINUTE - MOMENT);
    assert!(breaker.enter().is_none());
    clock.advance(MOMENT);
    assert!(breaker.enter().is_some());
}

#[test]
fn a_trial_that_is_given_up_may_be_made_by_somebody_else() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock).success_threshold(1);
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
fn what_began_before_it_opened_neither_closes_nor_opens_it_later() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock).success_threshold(1);
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
fn a_clock_that_goes_back_does_not_keep_it_open() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    clock.advance(MINUTE * 600);
    let before = clock.now();
    fail(&breaker, 3);
    clock.set(ManualClock::new().now());
    assert!(clock.now() < before && breaker.enter().is_some());
}

#[test]
fn clones_are_one_and_thresholds_of_nothing_are_one() {
    let breaker = CircuitBreaker::new().failure_threshold(0).success_threshold(0).recovery_timeout(Duration::ZERO);
    let clone = breaker.clone();
    breaker.enter().unwrap().failed();
    assert_eq!(clone.state(), BreakerState::Open);
    clone.enter().unwrap().succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn changes_can_be_waited_for() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock).success_threshold(1);
    let mut changes = breaker.changes();
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some(state) = changes.next().await {
            told.push(state);
        }
        told
    });
    let pause = tokio::task::yield_now;
    fail(&breaker, 3);
    pause().await;
    clock.advance(MINUTE);
    let trial = breaker.enter();
    pause().await;
    trial.unwrap().succeeded();
    pause().await;
    drop(breaker);
    assert_eq!(told.await.unwrap(), [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed]);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_no_trial() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock).success_threshold(1);
    fail(&breaker, 3);
    clock.advance(MINUTE);
    let call = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.call(std::future::pending::<Result<(), ()>>()).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(breaker.status().trials, 1);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(breaker.call(async { Ok::<_, ()>(7) }).await, Ok(7));
    assert_eq!(breaker.call(async { Err::<(), _>(8) }).await, Err(Broken::Failed(8)));
}

/// However many threads come at once, no more try than have to succeed, and each of the others is told so at once.
#[test]
fn a_crowd_is_held_back_while_it_is_half_open() {
    let clock = ManualClock::new();
    for _ in 0..200 {
        let breaker = breaker(&clock);
        fail(&breaker, 3);
        clock.advance(MINUTE);
        let barrier = std::sync::Barrier::new(4);
        let entered: Vec<_> = std::thread::scope(|scope| {
            let enter = || {
                barrier.wait();
                (0..50).filter_map(|_| breaker.enter()).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(entered.len(), 2);
        entered.into_iter().for_each(|trial| trial.succeeded());
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
