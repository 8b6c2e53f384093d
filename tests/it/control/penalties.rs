//! Clients that go on after refusals are refused for longer.

use std::time::Duration;

use tests::{admits, refused, until_idle};
use traffik::{
    ConfigError, Limit, MemoryBackend, Settings, Throttle, Traffik,
    backend::{Backend, ControlRequest},
    on_error::Allow,
    test::ManualClock,
};

use super::{Result, knowing};
use crate::{
    http::app::throttle,
    on_error::backends::{Mood, app},
};

const MINUTE: Duration = Duration::from_secs(60);

throttle!(Login, "penalties:login", "2/min", Settings::new().penalty(3, MINUTE * 10));
throttle!(Doubling, "penalties:doubling", "2/min", Settings::new().doubling_penalty(1, MINUTE * 10, MINUTE * 30));
throttle!(Other, "penalties:other", "1/day");
throttle!(Dry, "penalties:dry", "2/min", Settings::new().penalty(1, MINUTE * 10).dry_run());
throttle!(Zero, "penalties:zero", "2/min", Settings::new().penalty(0, MINUTE));
throttle!(Short, "penalties:short", "2/min", Settings::new().doubling_penalty(1, MINUTE, MINUTE / 2));

async fn retry_after<T: Throttle>(traffik: &Traffik) -> Option<Duration> {
    refused(traffik.limiter::<T>("mallory").check().await).retry_after()
}

#[tokio::test]
async fn client_is_blocked_after_refusals_in_a_row_and_charged_nothing() -> Result {
    let (traffik, clock) = knowing::<Login>()?;
    let _ = traffik.limiter::<Login>("mallory").cost(2).check().await?;
    clock.advance(Duration::from_secs(50));
    for _ in 0..3 {
        assert_eq!(retry_after::<Login>(&traffik).await, Some(Duration::from_secs(10)));
    }
    let refusal = refused(traffik.limiter::<Login>("mallory").check().await);
    assert_eq!((refusal.retry_after(), refusal.tightest().is_blocked()), (Some(MINUTE * 10), true));
    assert!(admits::<Login>(&traffik, "alice").await?);
    let login = traffik.limit("penalties:login")?;
    assert_eq!(login.clients().first().and_then(|client| client.penalty_ends_in()), Some(MINUTE * 10));
    assert_eq!(login.info()?.counts().blocked, 1);

    clock.advance(MINUTE * 10 - Duration::from_micros(1));
    assert_eq!(retry_after::<Login>(&traffik).await, Some(Duration::from_micros(1)));
    clock.advance(Duration::from_micros(1));
    assert_eq!(traffik.limiter::<Login>("mallory").check().await?.tightest().remaining(), 1);
    assert!(login.clients().is_empty());
    Ok(())
}

#[tokio::test]
async fn admission_or_a_pause_ends_the_row() -> Result {
    let (traffik, clock) = knowing::<Login>()?;
    for _ in 0..3 {
        let _ = traffik.limiter::<Login>("mallory").cost(2).check().await?;
        for _ in 0..2 {
            assert_eq!(retry_after::<Login>(&traffik).await, Some(MINUTE));
        }
        clock.advance(MINUTE);
    }
    for _ in 0..3 {
        for _ in 0..2 {
            // It never fits, so nothing ends the row but time.
            let refusal = refused(traffik.limiter::<Login>("mallory").cost(3).check().await);
            assert!(!refusal.tightest().is_blocked());
        }
        clock.advance(MINUTE * 10);
    }
    Ok(())
}

#[tokio::test]
async fn repeated_penalty_doubles_up_to_the_longest_and_is_forgotten() -> Result {
    let (traffik, clock) = knowing::<Doubling>()?;
    for minutes in [10, 20, 30, 30] {
        let _ = traffik.limiter::<Doubling>("mallory").cost(2).check().await?;
        assert_eq!(retry_after::<Doubling>(&traffik).await, Some(MINUTE));
        assert_eq!(retry_after::<Doubling>(&traffik).await, Some(MINUTE * minutes));
        clock.advance(MINUTE * minutes);
    }
    clock.advance(MINUTE * 30);
    let _ = traffik.limiter::<Doubling>("mallory").cost(2).check().await?;
    assert_eq!(retry_after::<Doubling>(&traffik).await, Some(MINUTE));
    assert_eq!(retry_after::<Doubling>(&traffik).await, Some(MINUTE * 10));
    Ok(())
}

#[tokio::test]
async fn refusals_by_another_limit_or_a_dry_run_do_not_count() -> Result {
    let (traffik, _) = knowing::<Login>()?;
    let _ = traffik.limiter::<Other>("mallory").check().await?;
    for _ in 0..5 {
        let refusal = refused(traffik.limiter::<(Login, Other)>("mallory").check().await);
        assert_eq!(refusal.exceeded().map(Limit::uid).collect::<Vec<_>>(), ["penalties:other"]);
    }
    assert!(admits::<Login>(&traffik, "mallory").await?);
    for _ in 0..5 {
        assert!(admits::<Dry>(&traffik, "mallory").await?);
    }
    assert!(traffik.limit("penalties:dry")?.clients().is_empty());
    Ok(())
}

#[tokio::test]
async fn penalty_holds_neither_for_a_disabled_limit_nor_for_an_exempt_client() -> Result {
    let (traffik, _) = knowing::<Login>()?;
    let login = traffik.limit("penalties:login")?;
    let _ = traffik.limiter::<Login>("mallory").cost(2).check().await?;
    for _ in 0..3 {
        assert_eq!(retry_after::<Login>(&traffik).await, Some(MINUTE));
    }
    login.disable();
    assert!(admits::<Login>(&traffik, "mallory").await?);
    login.clear();
    login.set_dry_run(true);
    assert!(admits::<Login>(&traffik, "mallory").await?);
    login.clear();
    login.exempt("mallory", MINUTE)?;
    assert!(admits::<Login>(&traffik, "mallory").await?);
    assert!(login.end_exemption("mallory"));
    assert_eq!(retry_after::<Login>(&traffik).await, Some(MINUTE * 10));
    Ok(())
}

#[tokio::test]
async fn reset_ends_a_penalty_and_the_row_and_no_block() -> Result {
    let (traffik, _) = knowing::<Login>()?;
    let login = traffik.limit("penalties:login")?;
    for refusals in [3, 2] {
        let _ = traffik.limiter::<Login>("mallory").cost(2).check().await?;
        for _ in 0..refusals {
            let _ = refused(traffik.limiter::<Login>("mallory").check().await);
        }
        traffik.reset::<Login>("mallory").await?;
    }
    let _ = traffik.limiter::<Login>("mallory").cost(2).check().await?;
    assert_eq!(retry_after::<Login>(&traffik).await, Some(MINUTE), "the row starts again");
    assert_eq!(retry_after::<Login>(&traffik).await, Some(MINUTE));
    login.block("mallory", MINUTE * 5, "")?;
    login.reset("mallory").await?;
    assert_eq!(retry_after::<Login>(&traffik).await, Some(MINUTE * 5));
    Ok(())
}

#[tokio::test]
async fn penalty_out_of_range_is_an_error() -> Result {
    let (traffik, _) = knowing::<Login>()?;
    for error in [traffik.register::<Zero>(), traffik.register::<Short>()] {
        assert!(matches!(error, Err(ConfigError::Setting { .. })), "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn request_that_no_backend_decides_about_does_not_count() -> Result {
    let clock = ManualClock::new();
    let backend = MemoryBackend::with_clock("test", clock);
    let traffik = Traffik::builder(backend).on_error(Allow).register::<Login>().build()?;
    traffik.close().await?;
    until_idle().await;
    for _ in 0..5 {
        let _ = traffik.limiter::<Login>("mallory").check().await;
    }
    assert!(traffik.limit("penalties:login")?.clients().is_empty());
    Ok(())
}

#[tokio::test]
async fn no_penalty_is_shared_for_a_minute_after_the_backend_was_full() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder.register::<Doubling>());
    backend.is(Mood::IsFull);
    // The first one learns that it is full.
    for (client, stored) in [("mallory", 1), ("eve", 1), ("trudy", 2)] {
        let _ = refused(traffik.limiter::<Doubling>(client).cost(3).check().await);
        until_idle().await;
        let control = backend.store.control(ControlRequest::Read { known: 0 }).await?;
        assert_eq!(control.settings.map(|settings| settings.len()), Some(stored), "{client}");
        assert!(refused(traffik.limiter::<Doubling>(client).check().await).tightest().is_blocked());
        if client == "eve" {
            clock.advance(MINUTE);
        }
    }
    Ok(())
}

/// Each client has to be remembered for ten minutes, because its cost never fits.
#[tokio::test]
async fn refusals_are_counted_again_when_those_of_other_clients_have_ended() -> Result {
    let (traffik, clock) = knowing::<Login>()?;
    let is_blocked = async |client: &str| {
        let refusal = refused(traffik.limiter::<Login>(client).cost(3).check().await);
        refusal.tightest().is_blocked()
    };
    for client in 0..10_000 {
        assert!(!is_blocked(&client.to_string()).await);
    }
    for _ in 0..5 {
        assert!(!is_blocked("mallory").await, "as many are counted as may be");
    }
    clock.advance(MINUTE * 10);
    for _ in 0..3 {
        assert!(!is_blocked("mallory").await);
    }
    assert!(is_blocked("mallory").await);
    Ok(())
}
