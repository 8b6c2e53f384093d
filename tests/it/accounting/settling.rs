//! Settlements and refunds of permits, in a backend that does not wait.

use std::{
    sync::{Arc, LazyLock},
    thread,
};

use axum::{Router, routing::get};
use futures_util::FutureExt;
use traffik::{
    AdjustError, Client, Concurrency, EXEMPTED, FixedWindow, Gcra, LeakyBucket, Limiter, MemoryBackend, Rate, Settings,
    Settlement, SlidingWindowCounter, SlidingWindowLog, Throttle, ThrottleRejection, Throttled, TokenBucket, Traffik,
    on_error::Fallback,
    strategy::{AnyStrategy, SettleError},
    test::ManualClock,
};

use super::{Result, remaining};
use crate::{
    http::{
        app::{HERE, throttle, traffik},
        backends::Unsteady,
        server::Server,
    },
    memory::panics::{Fault, Faulty},
};

throttle!(Fixed, "settling:fixed", "100/min", Settings::new().strategy(FixedWindow));
throttle!(Counter, "settling:counter", "100/min", Settings::new().strategy(SlidingWindowCounter));
throttle!(Log, "settling:log", "100/min", Settings::new().strategy(SlidingWindowLog));
throttle!(Bucket, "settling:bucket", "100/min", Settings::new().strategy(TokenBucket::new()));
throttle!(Leaky, "settling:leaky", "100/min", Settings::new().strategy(LeakyBucket::new()));
throttle!(Even, "settling:even", "100/min", Settings::new().strategy(Gcra::new().burst(100)));
throttle!(Narrow, "settling:narrow", "1/min");
throttle!(Held, "settling:held", "2/30s", Settings::new().strategy(Concurrency));
throttle!(Unlimited, "settling:unlimited", "0/0");

throttle!(
    Panics,
    "settling:panics",
    "100/min",
    Settings::new().strategy(AnyStrategy::custom(Faulty { inner: FixedWindow.into(), fault: FAULT.clone() }))
);

static FAULT: LazyLock<Fault> = LazyLock::new(Fault::default);

/// Calls an async function with each strategy that counts amounts.
macro_rules! each {
    ($test:ident) => {
        $test::<Fixed>().await?;
        $test::<Counter>().await?;
        $test::<Log>().await?;
        $test::<Bucket>().await?;
        $test::<Leaky>().await?;
        $test::<Even>().await?;
    };
}

#[tokio::test]
async fn lower_cost_gives_back_the_difference() -> Result {
    async fn settle<T: Throttle>() -> Result {
        let (traffik, _) = traffik();
        let permit = traffik.limiter::<T>("alice").cost(50).check().await?;
        assert_eq!(permit.settle(20).await?, Settlement::Done);
        assert_eq!((remaining::<T>(&traffik, "alice").await?, permit.granted()), (80, 20), "{}", T::UID);
        assert_eq!(permit.tightest().remaining(), 80, "{}", T::UID);
        Ok(())
    }
    each!(settle);
    Ok(())
}

#[tokio::test]
async fn higher_cost_is_charged_above_the_limit_and_blocks_what_follows() -> Result {
    async fn settle<T: Throttle>() -> Result {
        let (traffik, clock) = traffik();
        let permit = traffik.limiter::<T>("alice").cost(50).check().await?;
        assert_eq!(permit.settle(150).await?, Settlement::Done);
        let refusal = tests::refused(traffik.limiter::<T>("alice").check().await);
        let wait = refusal.retry_after().ok_or("it fits later")?;
        assert_eq!(permit.tightest().remaining(), 0, "{}", T::UID);
        clock.advance(wait - std::time::Duration::from_micros(1));
        assert!(!tests::admits::<T>(&traffik, "alice").await?, "{}", T::UID);
        clock.advance(std::time::Duration::from_micros(1));
        assert!(tests::admits::<T>(&traffik, "alice").await?, "{}", T::UID);
        Ok(())
    }
    each!(settle);
    Ok(())
}

#[tokio::test]
async fn charge_grows_until_it_is_settled() -> Result {
    async fn grow<T: Throttle>() -> Result {
        let (traffik, _) = traffik();
        let permit = traffik.limiter::<T>("alice").cost(10).check().await?;
        for more in [5, 15, 0] {
            assert_eq!(permit.charge_more(more).await?, Settlement::Done);
        }
        assert_eq!((permit.granted(), remaining::<T>(&traffik, "alice").await?), (30, 70), "{}", T::UID);
        assert_eq!(permit.settle(25).await?, Settlement::Done);
        assert_eq!((permit.granted(), remaining::<T>(&traffik, "alice").await?), (25, 75), "{}", T::UID);
        assert!(matches!(permit.charge_more(1).await, Err(AdjustError::Settled)));
        Ok(())
    }
    each!(grow);
    Ok(())
}

#[tokio::test]
async fn charge_that_grew_over_time_is_given_back_from_its_latest_part() -> Result {
    async fn grow<T: Throttle>() -> Result {
        let (traffik, clock) = traffik();
        let permit = traffik.limiter::<T>("alice").cost(10).check().await?;
        for _ in 0..20 {
            clock.advance(std::time::Duration::from_micros(50));
            permit.charge_more(1).await?;
        }
        assert_eq!(permit.granted(), 30, "{}", T::UID);
        assert_eq!(permit.settle(12).await?, Settlement::Done);
        assert_eq!((permit.granted(), remaining::<T>(&traffik, "alice").await?), (12, 88), "{}", T::UID);
        Ok(())
    }
    grow::<Fixed>().await?;
    grow::<Counter>().await?;
    // The window of the first part ends before that of the second.
    let (traffik, clock) = traffik();
    let permit = traffik.limiter::<Log>("alice").cost(10).check().await?;
    clock.advance(std::time::Duration::from_secs(40));
    permit.charge_more(5).await?;
    assert_eq!(permit.refund().await?, Settlement::Done);
    assert_eq!(remaining::<Log>(&traffik, "alice").await?, 100);
    Ok(())
}

#[tokio::test]
async fn settled_charge_is_settled_for_every_clone() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Fixed>("alice").cost(10).check().await?;
    let clone = permit.clone();
    assert_eq!(permit.settle(4).await?, Settlement::Done);
    assert!(matches!(clone.settle(3).await, Err(AdjustError::Settled)));
    assert!(matches!(clone.refund().await, Err(AdjustError::Settled)));
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 96);
    Ok(())
}

#[tokio::test]
async fn settlement_of_an_unchanged_cost_ends_the_charge() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Fixed>("alice").cost(10).check().await?;
    assert_eq!(permit.settle(10).await?, Settlement::Done);
    assert!(matches!(permit.settle(10).await, Err(AdjustError::Settled)));
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 90);
    Ok(())
}

#[tokio::test]
async fn concurrent_settlements_of_one_charge_settle_it_once() -> Result {
    let (traffik, _) = traffik();
    let permit = Arc::new(traffik.limiter::<Fixed>("alice").cost(50).check().await?);
    let threads: Vec<_> = (1..=16)
        .map(|actual| {
            let permit = Arc::clone(&permit);
            thread::spawn(move || permit.settle(actual).into_future().now_or_never().map(|r| (actual, r.is_ok())))
        })
        .collect();
    let mut settled = Vec::new();
    for thread in threads {
        settled.extend(thread.join().map_err(|_| "it panicked")?.filter(|(_, is_settled)| *is_settled));
    }
    let [(actual, _)] = settled[..] else { return Err(format!("settled {settled:?}").into()) };
    assert_eq!((remaining::<Fixed>(&traffik, "alice").await?, permit.granted()), (100 - actual, actual));
    Ok(())
}

#[tokio::test]
async fn concurrent_additions_are_all_charged() -> Result {
    let (traffik, _) = traffik();
    let permit = Arc::new(traffik.limiter::<Fixed>("alice").cost(1).check().await?);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let permit = Arc::clone(&permit);
            thread::spawn(move || (0..5).all(|_| permit.charge_more(1).into_future().now_or_never().is_some()))
        })
        .collect();
    for thread in threads {
        assert!(thread.join().map_err(|_| "it panicked")?);
    }
    assert_eq!((remaining::<Fixed>(&traffik, "alice").await?, permit.granted()), (59, 41));
    Ok(())
}

#[tokio::test]
async fn part_of_a_tuple_is_settled_alone() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<(Fixed, Counter)>("alice").cost(10).check().await?;
    assert_eq!(permit.of::<Counter>().settle(3).await?, Settlement::Done);
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 90);
    assert_eq!(remaining::<Counter>(&traffik, "alice").await?, 97);

    // A refund is for all, as far as they are not settled.
    assert!(matches!(permit.refund().await, Err(AdjustError::Settled)));
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 100);
    assert_eq!(remaining::<Counter>(&traffik, "alice").await?, 97);
    Ok(())
}

#[tokio::test]
async fn permit_without_a_charge_settles_to_nothing_and_says_so() -> Result {
    let (traffik, _) = traffik();
    let exempt = traffik.limiter::<Fixed>(EXEMPTED).check().await?;
    let free = traffik.limiter::<Fixed>("alice").cost(0).check().await?;
    let disabled = Traffik::disabled().limiter::<Fixed>("alice").check().await?;
    for permit in [exempt, free, disabled] {
        assert_eq!(permit.settle(70).await?, Settlement::NotCounted);
        assert_eq!(
            (permit.charge_more(7).await?, permit.refund().await?),
            (Settlement::NotCounted, Settlement::NotCounted)
        );
    }
    let unlimited = traffik.limiter::<Unlimited>("alice").check().await?;
    assert_eq!(unlimited.settle(70).await?, Settlement::NotCounted);
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 100);
    Ok(())
}

#[tokio::test]
async fn permit_of_a_concurrency_limit_has_no_amount() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Held>("alice").check().await?;
    let clone = permit.clone();
    for failed in [permit.settle(2).await, permit.charge_more(1).await] {
        assert!(matches!(failed, Err(AdjustError::Strategy(SettleError::Indivisible { .. }))), "{failed:?}");
    }
    assert_eq!(remaining::<Held>(&traffik, "alice").await?, 1);
    assert_eq!(permit.refund().await?, Settlement::Done);
    assert_eq!(remaining::<Held>(&traffik, "alice").await?, 2);
    drop((permit, clone));
    assert_eq!(remaining::<Held>(&traffik, "alice").await?, 2, "it is given back once");
    Ok(())
}

#[tokio::test]
async fn cost_that_cannot_be_stored_changes_nothing() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Fixed>("alice").cost(10).check().await?;
    for _ in 0..2 {
        let failed = permit.settle(u64::MAX).await;
        assert!(matches!(failed, Err(AdjustError::Strategy(SettleError::TooMuch { .. }))), "{failed:?}");
    }
    assert_eq!((permit.granted(), remaining::<Fixed>(&traffik, "alice").await?), (10, 90));
    assert_eq!(permit.settle(4).await?, Settlement::Done);
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 96);
    Ok(())
}

#[tokio::test]
async fn charge_is_settled_at_the_rate_that_charged() -> Result {
    let (traffik, _) = traffik();
    let rate: Rate = "1000/min".parse()?;
    let permit = traffik.limiter::<Fixed>("alice").rate(rate).cost(500).check().await?;
    assert_eq!(permit.settle(800).await?, Settlement::Done);
    assert_eq!(permit.tightest().remaining(), 200);
    let peeked = traffik.limiter::<Fixed>("alice").rate(rate).peek().await?;
    assert_eq!(peeked.tightest().remaining(), 200);
    Ok(())
}

#[tokio::test]
async fn settlement_of_another_client_is_apart() -> Result {
    let traffik = Traffik::new(MemoryBackend::with_clock("test", ManualClock::new()))?;
    let [alice, bob] = [Client::from("alice"), Client::from("bob")];
    let permit = traffik.limiter::<Fixed>(alice.clone()).cost(10).check().await?;
    let _ = traffik.limiter::<Fixed>(bob.clone()).cost(10).check().await?;
    assert_eq!(permit.refund().await?, Settlement::Done);
    assert_eq!((remaining::<Fixed>(&traffik, alice).await?, remaining::<Fixed>(&traffik, bob).await?), (100, 90));
    Ok(())
}

#[tokio::test]
async fn charge_whose_strategy_panicked_can_be_settled_again() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Panics>("alice").cost(10).check().await?;
    FAULT.set(Some("refund"));
    let failed = permit.settle(5).await;
    FAULT.set(None);
    assert!(matches!(&failed, Err(AdjustError::Backend(error)) if !error.may_have_run()), "{failed:?}");
    assert_eq!(remaining::<Panics>(&traffik, "alice").await?, 90);
    assert_eq!(permit.settle(5).await?, Settlement::Done);
    assert_eq!(remaining::<Panics>(&traffik, "alice").await?, 95);
    Ok(())
}

#[tokio::test]
async fn fields_show_what_was_settled_before_the_response() -> Result {
    let (traffik, _) = traffik();
    let settled =
        |permit: Throttled<Fixed>| async move { permit.settle(60).await.map(|_| "done").map_err(|e| e.to_string()) };
    let app = Router::new().route("/", get(settled)).layer(traffik.layer());
    let server = Server::start(app).await;
    let reply = server.get("/").await;
    assert_eq!((reply.body.as_str(), reply.state()), ("done", Some(r#""settling:fixed";r=40;t=60"#)));
    assert_eq!(remaining::<Fixed>(&traffik, HERE).await?, 40);
    Ok(())
}

#[tokio::test]
async fn refused_request_gets_back_what_the_charge_stands_at() -> Result {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<(Fixed, Counter)>,
                   narrow: std::result::Result<Throttled<Narrow>, ThrottleRejection>| async move {
        let (fixed, counter) = (permit.of::<Fixed>(), permit.of::<Counter>());
        let changed = (fixed.settle(30).await.is_ok(), counter.charge_more(9).await.is_ok());
        assert_eq!(changed, (true, true));
        narrow.map(|_| "narrow enough")
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/").await.status, 200);
    for _ in 0..3 {
        let refused = server.get("/").await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
        assert_eq!(refused.state().and_then(|state| state.split(';').nth(1)), Some("r=70"));
        let left = (remaining::<Fixed>(&traffik, HERE).await?, remaining::<Counter>(&traffik, HERE).await?);
        assert_eq!(left, (70, 90));
    }
    Ok(())
}

#[tokio::test]
async fn settlement_under_a_share_of_a_fallback_costs_at_most_the_share() -> Result {
    let clock = ManualClock::new();
    let away = Unsteady::new(MemoryBackend::with_clock("away", clock.clone()));
    away.fails();
    let fallback = Fallback::to(MemoryBackend::with_clock("fallback", clock.clone())).share(20);
    let traffik = Traffik::builder(away).on_error(fallback).build()?;
    let permit = traffik.limiter::<Bucket>("alice").cost(50).check().await?;
    assert_eq!(permit.granted(), 5, "the share of 100");
    assert_eq!(permit.settle(50).await?, Settlement::Done);
    assert_eq!(permit.tightest().remaining(), 0);
    clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(remaining::<Bucket>(&traffik, "alice").await?, 5, "nothing is overdrawn");
    Ok(())
}

#[tokio::test]
async fn fields_show_the_charge_that_changed_last() -> Result {
    async fn handler(first: Throttled<Fixed>, second: Limiter<Fixed>) -> std::result::Result<(), ThrottleRejection> {
        let _ = second.cost(10).check().await?;
        let _ = first.settle(5).await;
        Ok(())
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.state(), Some(r#""settling:fixed";r=85;t=60"#));
    Ok(())
}
