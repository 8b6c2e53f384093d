//! Dry runs, without a request.

use std::time::Duration;

use traffik::{
    Amount, Settlement, Traffik,
    backend::MemoryBackend,
    observe::EventOutcome::{Admitted, HadRoom, Refused, WouldRefuse},
    test::ManualClock,
};

use super::{
    Concurrent, Dry, DryConcurrent, DryFive, DryQueue, DryTwo, DryWaiters, Events, Five, MINUTE, One, Result, app,
    event,
};

#[tokio::test]
async fn dry_limit_counts_and_never_refuses() -> Result {
    let (traffik, events, clock) = app(|builder| builder)?;
    for outcome in [Admitted, Admitted, WouldRefuse, WouldRefuse] {
        let permit = traffik.limiter::<DryTwo>("alice").check().await?;
        let limit = permit.tightest();
        assert_eq!((limit.is_enforced(), limit.would_refuse()), (false, outcome == WouldRefuse));
        assert_eq!(permit.granted(), 1);
        let seen = events.take().pop().ok_or("no event")?;
        assert_eq!((seen.outcome, seen.is_enforced), (outcome, false));
        assert_eq!(seen.retry_after, (outcome == WouldRefuse).then_some(MINUTE));
    }
    clock.advance(MINUTE);
    let _ = traffik.limiter::<DryTwo>("alice").check().await?;
    assert_eq!(events.outcomes(), [event::<DryTwo>(Admitted)]);
    Ok(())
}

#[tokio::test]
async fn dry_run_of_the_app_applies_to_every_throttle() -> Result {
    let (traffik, events, _) = app(|builder| builder.dry_run())?;
    for outcome in [Admitted, WouldRefuse, WouldRefuse] {
        let _ = traffik.limiter::<One>("alice").check().await?;
        assert_eq!(events.outcomes(), [event::<One>(outcome)]);
    }
    Ok(())
}

#[tokio::test]
async fn enforcing_after_a_dry_run_needs_no_fresh_start() -> Result {
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    let dry = Traffik::builder(backend.clone()).dry_run().build()?;
    for _ in 0..7 {
        let _ = dry.limiter::<Five>("alice").check().await?;
    }
    let enforced = Traffik::new(backend)?;
    assert_eq!(enforced.limiter::<Five>("alice").peek().await?.tightest().remaining(), 0);
    let _ = tests::refused(enforced.limiter::<Five>("alice").check().await);
    Ok(())
}

#[tokio::test]
async fn dry_limit_of_a_tuple_is_charged_if_it_fits_and_the_others_are_enforced() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let _ = traffik.limiter::<(Dry, Five)>("alice").check().await?;
    assert_eq!(events.outcomes(), [event::<Dry>(Admitted), event::<Five>(Admitted)]);
    let permit = traffik.limiter::<(Dry, Five)>("alice").check().await?;
    assert_eq!(permit.tightest().uid(), "observe:five", "a dry limit is not the tightest");
    assert_eq!(permit.tightest().remaining(), 3, "the enforced one is charged");
    assert_eq!(events.outcomes(), [event::<Dry>(WouldRefuse), event::<Five>(Admitted)]);
    // A refusal by the other charges neither.
    let refusal = tests::refused(traffik.limiter::<(DryTwo, Five)>("alice").cost(4).check().await);
    assert_eq!(refusal.exceeded().map(|limit| limit.uid()).collect::<Vec<_>>(), ["observe:five"]);
    assert_eq!(events.outcomes(), [event::<DryTwo>(WouldRefuse), event::<Five>(Refused)]);
    let refusal = tests::refused(traffik.limiter::<(DryFive, Five)>("alice").cost(4).check().await);
    assert_eq!(refusal.retry_after(), Some(MINUTE));
    assert_eq!(events.outcomes(), [event::<DryFive>(HadRoom), event::<Five>(Refused)]);
    assert_eq!(traffik.limiter::<DryFive>("alice").peek().await?.tightest().remaining(), 5);
    Ok(())
}

#[tokio::test]
async fn charge_of_a_dry_limit_is_refunded_and_settled_if_it_was_made() -> Result {
    let (traffik, ..) = app(|builder| builder)?;
    let left = async || traffik.limiter::<DryFive>("alice").peek().await.map(|limits| limits.tightest().remaining());
    let permit = traffik.limiter::<DryFive>("alice").cost(4).check().await?;
    let over = traffik.limiter::<DryFive>("alice").cost(4).check().await?;
    assert_eq!(over.refund().await?, Settlement::NotCounted, "it was not charged");
    assert_eq!(over.settle(1).await?, Settlement::NotCounted);
    assert_eq!(left().await?, 1);
    assert_eq!(permit.charge_more(1).await?, Settlement::Done);
    assert_eq!(left().await?, 0);
    assert_eq!(permit.settle(2).await?, Settlement::Done);
    assert_eq!(left().await?, 3);
    Ok(())
}

#[tokio::test]
async fn dry_limit_on_concurrency_holds_permits_and_refuses_none() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let first = traffik.limiter::<DryConcurrent>("alice").check().await?;
    let second = traffik.limiter::<DryConcurrent>("alice").check().await?;
    assert_eq!(events.outcomes(), [event::<DryConcurrent>(Admitted), event::<DryConcurrent>(WouldRefuse)]);
    drop(second);
    let _third = traffik.limiter::<DryConcurrent>("alice").check().await?;
    assert_eq!(
        events.outcomes(),
        [event::<DryConcurrent>(WouldRefuse)],
        "the first is still held, and the second held none"
    );
    drop(first);
    let _fourth = traffik.limiter::<(DryConcurrent, Concurrent)>("alice").check().await?;
    assert_eq!(events.outcomes(), [event::<DryConcurrent>(Admitted), event::<Concurrent>(Admitted)]);
    Ok(())
}

#[tokio::test]
async fn dry_queue_does_not_delay() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    for _ in 0..3 {
        let permit = traffik.limiter::<DryQueue>("alice").check().await?;
        assert_eq!(permit.delay(), Duration::ZERO);
    }
    assert!(events.outcomes().iter().all(|(_, outcome)| *outcome == Admitted), "the queue has room");
    Ok(())
}

#[tokio::test]
async fn caller_does_not_wait_for_a_dry_limit() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    for _ in 0..2 {
        let _ = traffik.limiter::<Dry>("alice").wait(MINUTE * 9).check().await?;
        let _ = traffik.limiter::<DryWaiters>("alice").wait(MINUTE * 9).check().await?;
        let _ = traffik.limiter::<(Dry, Five)>("alice").wait(MINUTE * 9).check().await?;
    }
    let refused = events.outcomes().into_iter().filter(|(_, outcome)| *outcome == WouldRefuse);
    assert_eq!(
        refused.map(|(uid, _)| uid).collect::<Vec<_>>(),
        ["observe:dry", "observe:dry", "observe:dry-waiters", "observe:dry"]
    );
    Ok(())
}

#[tokio::test]
async fn caller_that_waits_for_another_limit_of_the_tuple_is_admitted_in_its_turn() -> Result {
    let (traffik, events, clock) = app(|builder| builder)?;
    let _ = traffik.limiter::<(DryWaiters, One)>("alice").check().await?;
    let waiting = {
        let traffik = traffik.clone();
        tokio::spawn(async move { traffik.limiter::<(DryWaiters, One)>("alice").wait(MINUTE).check().await.is_ok() })
    };
    tests::until_idle().await;
    assert!(!waiting.is_finished(), "the dry throttle allows no waiters, and does not refuse this one");
    events.take();
    clock.advance(MINUTE);
    assert!(waiting.await?);
    assert_eq!(events.outcomes(), [event::<DryWaiters>(Admitted), event::<One>(Admitted)]);
    Ok(())
}

#[tokio::test]
async fn dry_limit_grants_all_of_what_is_asked_for() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let limiter = || traffik.limiter::<DryFive>("alice").at_least(1).at_most(4);
    assert_eq!(limiter().check().await?.granted(), 4);
    assert_eq!(limiter().check().await?.granted(), 4);
    assert_eq!(events.outcomes(), [event::<DryFive>(Admitted), event::<DryFive>(WouldRefuse)]);
    // Next to an enforced limit it takes what that one grants.
    let permit = traffik.limiter::<(DryTwo, Five)>("alice").at_least(1).at_most(4).check().await?;
    assert_eq!(permit.granted(), 4);
    let permit = traffik.limiter::<(DryTwo, Five)>("alice").at_least(1).at_most(4).check().await?;
    assert_eq!(permit.granted(), 1);
    Ok(())
}

#[tokio::test]
async fn quota_with_a_dry_limit_is_refused_by_the_others_alone() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    for outcome in [Admitted, Refused] {
        let mut quota = traffik.quota();
        quota.add(traffik.limiter::<Dry>("alice").cost(2));
        quota.add(traffik.limiter::<One>("bob"));
        assert_eq!(quota.check().await.is_ok(), outcome == Admitted);
        assert_eq!(events.outcomes(), [event::<Dry>(WouldRefuse), event::<One>(outcome)]);
    }
    Ok(())
}

#[tokio::test]
async fn dry_limit_is_in_no_json_for_clients() -> Result {
    let events = Events::default();
    let traffik = events.observe(Traffik::builder(MemoryBackend::new("test"))).build()?;
    let permit = traffik.limiter::<(Dry, Five)>("alice").check().await?;
    let json = serde_json::to_value(permit.limits())?;
    let limits = json.get("limits").and_then(|limits| limits.as_array()).ok_or("no limits")?;
    assert_eq!(limits.iter().filter_map(|limit| limit.get("uid")).collect::<Vec<_>>(), ["observe:five"]);
    assert_eq!(permit.of::<Dry>().tightest().remaining(), Amount::Units(0), "the app sees it");
    Ok(())
}
