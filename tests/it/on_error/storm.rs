//! A backend with random failures under load: each request is answered in time, and the backend decides again once it
//! works.

use std::time::Duration;

use tests::until_idle;
use traffik::{
    CheckError,
    breaker::{BreakerState, CircuitBreaker},
    clock::Clock,
    on_error::Failover,
};

use super::{
    Five,
    backends::{Mood, advance, app, store},
};
use crate::{patience::times, strategies::random::Random};

const MS: Duration = Duration::from_millis(1);

/// Answering is as likely as all failures together.
fn mood(random: &mut Random) -> Mood {
    let all = [Mood::IsAway, Mood::Fails, Mood::Hangs, Mood::ChargesAndHangs];
    if random.upto(1) == 0 { random.pick(&all, Mood::Fails) } else { Mood::Answers }
}

#[tokio::test]
async fn random_backend_failures_are_answered_in_time() {
    for seed in 1..=times(10, 1000) {
        let mut random = Random::new(seed);
        let breaker = CircuitBreaker::builder()
            .failure_threshold(3)
            .recovery_timeout(200 * MS)
            .success_threshold(2)
            .build()
            .unwrap();
        let (traffik, backend, clock) =
            app(|builder, clock| builder.on_error(Failover::to(store(clock)).breaker(breaker.clone()).retries(2)));
        let mut calls = Vec::new();
        for _ in 0..400 {
            if random.upto(9) == 0 {
                backend.is(mood(&mut random));
            }
            let (app, by, client) = (traffik.clone(), clock.clone(), random.upto(19));
            let call = tokio::spawn(async move {
                let asked = by.now();
                let answer = app.limiter::<Five>(client).check().await;
                (!matches!(answer, Err(CheckError::Failed(_))), by.now().saturating_since(asked))
            });
            if random.upto(7) == 0 {
                until_idle().await;
                call.abort();
            } else {
                calls.push(call);
            }
            for _ in 0..random.upto(3) {
                advance(&clock, MS).await;
            }
        }
        for _ in 0..100 {
            advance(&clock, MS).await;
        }
        for call in calls {
            assert!(call.is_finished(), "{seed}");
            let (is_decided, waited) = call.await.unwrap();
            assert!(is_decided && waited <= 76 * MS, "{seed}: {waited:?}");
        }
        assert_eq!(breaker.status().trials, 0, "{seed}");

        backend.is(Mood::Answers);
        clock.advance(200 * MS);
        for newcomer in 100..103_u64 {
            assert!(!traffik.limiter::<Five>(newcomer).check().await.unwrap().is_from_fallback(), "{seed}");
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "{seed}");
    }
}
