use std::time::Duration;

use tests::admits;
use traffik::{
    MemoryBackend, Rate, Traffik, backend::Backend, breaker::CircuitBreaker, client::Key, decision::Hit,
    on_error::Failover, strategy::AnyStrategy, test::ManualClock,
};

use super::{Five, Result, Two, scrape::Recorded};
use crate::on_error::backends::{self, Mood};

const ENTRIES: &str = r#"traffik_memory_entries{namespace="shop"}"#;
const EVICTIONS: &str = r#"traffik_memory_evictions_total{namespace="shop"}"#;

#[tokio::test]
async fn entries_of_memory_backends_add_up() -> Result {
    let recorded = Recorded::begin();
    let clock = ManualClock::new();
    let backend = || MemoryBackend::with_clock("shop", clock.clone());
    let (one, other) = (backend(), backend());
    let (first, second) = (Traffik::new(one.clone())?, Traffik::new(other.clone())?);
    for client in 0..3_u64 {
        assert!(admits::<(Two, Five)>(&first, client).await?);
        assert!(admits::<Two>(&second, client).await?);
    }
    assert_eq!((recorded.value(ENTRIES), one.len()), (Some(9.0), 6));

    first.reset::<Two>(0_u64).await?;
    assert_eq!(recorded.value(ENTRIES), Some(8.0));
    first.clear().await?;
    assert_eq!(recorded.value(ENTRIES), Some(3.0));
    drop((second, other));
    assert_eq!(recorded.value(ENTRIES), Some(0.0));
    Ok(())
}

#[tokio::test]
async fn evictions_are_counted() -> Result {
    let recorded = Recorded::begin();
    let backend = MemoryBackend::builder("shop").clock(ManualClock::new()).max_entries(20).build()?;
    let strategy = AnyStrategy::default();
    for client in 0..50_u64 {
        let key = Key::from(client);
        let hit = Hit::new(tests::limit("metrics:evictions", &strategy), &key, Rate::literal("5/min"), 1);
        assert!(backend.decide(&[hit]).await?.is_admitted());
    }
    assert_eq!(recorded.value(ENTRIES), Some(20.0));
    assert_eq!(recorded.value(EVICTIONS), Some(30.0));
    assert_eq!(backend.evictions(), 30);
    Ok(())
}

#[tokio::test]
async fn breaker_is_shown_in_its_state() -> Result {
    let recorded = Recorded::begin();
    let breakers = |state: &str| recorded.value(&format!(r#"traffik_breakers{{backend="default",state="{state}"}}"#));
    let changes =
        |state: &str| recorded.value(&format!(r#"traffik_breaker_changes_total{{backend="default",state="{state}"}}"#));
    let breaker = CircuitBreaker::builder().failure_threshold(2).success_threshold(1);
    let breaker = breaker.recovery_timeout(Duration::from_secs(10)).build()?;
    let (traffik, backend, clock) = backends::app(|builder, clock| {
        builder.on_error(Failover::to(MemoryBackend::with_clock("spare", clock.clone())).breaker(breaker))
    });
    assert!(admits::<Five>(&traffik, "alice").await?);
    assert_eq!((breakers("closed"), breakers("open"), changes("open")), (Some(1.0), None, None));

    backend.is(Mood::Fails);
    for client in 0..3_u64 {
        assert!(admits::<Five>(&traffik, client).await?);
    }
    assert_eq!((breakers("closed"), breakers("open"), changes("open")), (Some(0.0), Some(1.0), Some(1.0)));

    backend.is(Mood::Answers);
    clock.advance(Duration::from_secs(10));
    assert!(admits::<Five>(&traffik, "bob").await?);
    assert_eq!((breakers("closed"), breakers("open"), breakers("half_open")), (Some(1.0), Some(0.0), Some(0.0)));
    assert_eq!((changes("closed"), changes("half_open")), (Some(1.0), Some(1.0)));
    drop(traffik);
    assert_eq!(breakers("closed"), Some(0.0));
    Ok(())
}
