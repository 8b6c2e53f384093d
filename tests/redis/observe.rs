//! Events, dry runs and health on a real server.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep;
use traffik::{
    CheckError, DefaultIdentity, MemoryBackend, Rate, Settings, Throttle, Throttles, Traffik,
    breaker::{BreakerState, CircuitBreaker},
    health::Deciding,
    observe::{
        Decider,
        EventOutcome::{self, Admitted, Refused, WouldRefuse},
    },
    on_error::Failover,
    strategy::Concurrency,
};

use crate::{PLENTY, Result, builder, server::Server};

throttles! {
    One: "observe:one", "1/30d", Settings::new();
    Five: "observe:five", "5/30d", Settings::new();
    Dry: "observe:dry", "1/30d", Settings::new().dry_run();
    DryPermits: "observe:dry-permits", "1/30s", Settings::new().strategy(Concurrency).dry_run();
}

type Seen = Arc<Mutex<Vec<(EventOutcome, Decider)>>>;

async fn app(server: &Server) -> Result<(Traffik, Seen)> {
    let seen = Seen::default();
    let events = Arc::clone(&seen);
    let hook = move |event: &traffik::observe::Event<'_>| {
        events.lock().unwrap_or_else(PoisonError::into_inner).push((event.outcome(), event.decided_by()));
    };
    let traffik = Traffik::builder(builder(server).connect().await?).backend_timeout(PLENTY).on_event(hook).build()?;
    Ok((traffik, seen))
}

fn take(seen: &Seen) -> Vec<(EventOutcome, Decider)> {
    std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
}

fn outcomes(seen: &Seen) -> Vec<EventOutcome> {
    take(seen).into_iter().map(|(outcome, _)| outcome).collect()
}

async fn is_admitted<T: Throttles>(traffik: &Traffik) -> Result<bool> {
    match traffik.limiter::<T>("alice").check().await {
        Ok(_) => Ok(true),
        Err(CheckError::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn refusal_that_is_repeated_without_a_call_is_a_local_refusal() -> Result {
    let server = Server::start()?;
    let (traffik, seen) = app(&server).await?;
    let mut admitted = Vec::new();
    for _ in 0..3 {
        admitted.push(is_admitted::<One>(&traffik).await?);
    }
    assert_eq!(admitted, [true, false, false]);
    assert_eq!(
        take(&seen),
        [(Admitted, Decider::Primary), (Refused, Decider::Primary), (Refused, Decider::LocalRefusal)]
    );
    Ok(())
}

#[tokio::test]
async fn dry_limit_counts_on_redis_and_refuses_nothing() -> Result {
    let server = Server::start()?;
    let (traffik, seen) = app(&server).await?;
    for outcome in [Admitted, WouldRefuse, WouldRefuse] {
        assert!(is_admitted::<Dry>(&traffik).await?);
        assert_eq!(take(&seen), [(outcome, Decider::Primary)], "such a refusal is not repeated without a call");
    }
    for outcomes_of_both in [[WouldRefuse, Admitted], [WouldRefuse, Refused]] {
        let admitted = is_admitted::<(Dry, One)>(&traffik).await?;
        assert_eq!(admitted, outcomes_of_both.contains(&Admitted));
        assert_eq!(outcomes(&seen), outcomes_of_both);
    }
    assert!(is_admitted::<(Dry, Five)>(&traffik).await?);
    assert_eq!(traffik.limiter::<Five>("alice").peek().await?.tightest().remaining(), 4);
    Ok(())
}

#[tokio::test]
async fn dry_limit_on_concurrency_holds_permits_on_redis() -> Result {
    let server = Server::start()?;
    let (traffik, seen) = app(&server).await?;
    let first = traffik.limiter::<DryPermits>("alice").check().await?;
    let second = traffik.limiter::<DryPermits>("alice").check().await?;
    assert_eq!(outcomes(&seen), [Admitted, WouldRefuse]);
    assert_eq!(second.refund().await?, traffik::Settlement::NotCounted);
    first.refund().await?;
    let _third = traffik.limiter::<DryPermits>("alice").check().await?;
    assert_eq!(outcomes(&seen), [Admitted]);
    Ok(())
}

/// Checks the health until it is as expected.
async fn until(traffik: &Traffik, is_expected: impl Fn(&traffik::health::Health) -> bool) -> Result {
    let began = Instant::now();
    loop {
        let health = traffik.check_health().await;
        if is_expected(&health) {
            return Ok(());
        }
        if began.elapsed() > PLENTY {
            return Err(format!("{health:?}").into());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn readiness_recovers_with_the_server_without_traffic() -> Result {
    let mut server = Server::start()?;
    let breaker = CircuitBreaker::builder()
        .failure_threshold(3)
        .recovery_timeout(Duration::from_millis(50))
        .success_threshold(2)
        .build()?;
    let failover = Failover::to(MemoryBackend::new("test:fallback")).breaker(breaker.clone());
    let failing_over = Traffik::builder(builder(&server).connect().await?).on_error(failover).build()?;
    let refusing = Traffik::new(builder(&server).connect().await?)?;
    for traffik in [&failing_over, &refusing] {
        until(traffik, |health| health.is_ready() && health.is_undisturbed()).await?;
    }

    server.kill()?;
    until(&refusing, |health| !health.is_ready()).await?;
    until(&failing_over, |health| health.backends().iter().any(|one| one.deciding() == Some(Deciding::Fallback)))
        .await?;
    until(&failing_over, |_| breaker.state() != BreakerState::Closed).await?;
    assert!(failing_over.health().is_ready(), "the fallback decides");

    server.start_again()?;
    for traffik in [&failing_over, &refusing] {
        until(traffik, |health| health.is_ready() && health.is_undisturbed()).await?;
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!(is_admitted::<One>(&failing_over).await?);
    Ok(())
}
