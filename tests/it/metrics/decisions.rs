use std::time::Duration;

use tests::admits;
use traffik::{Client, MemoryBackend, Settings, Traffik, on_error};

use super::{Five, Free, Rest, Result, Two, scrape::Recorded, set_up};
use crate::{
    http::app,
    on_error::backends::{self, Mood},
};

#[tokio::test]
async fn decision_is_counted_by_limit_outcome_and_backend() -> Result {
    let (builder, _, recorded) = set_up();
    let traffik = builder.build()?;
    for expected in [true, true, false] {
        assert_eq!(admits::<Two>(&traffik, "alice").await?, expected);
    }
    assert_eq!(recorded.decisions("metrics:two", "admitted"), Some(2.0));
    assert_eq!(recorded.decisions("metrics:two", "refused"), Some(1.0));

    // Only one limit of a tuple refuses.
    assert!(!admits::<(Two, Rest)>(&traffik, "alice").await?);
    assert_eq!(recorded.decisions("metrics:two", "refused"), Some(2.0));
    assert_eq!(recorded.decisions("metrics:rest", "had_room"), Some(1.0));

    assert!(admits::<Free>(&traffik, "alice").await?);
    assert!(admits::<Two>(&traffik, Client::exempt()).await?);
    assert_eq!(recorded.decisions_by("metrics:free", "not_applied", "default", "nobody"), Some(1.0));
    assert_eq!(recorded.decisions_by("metrics:two", "exempt", "default", "nobody"), Some(1.0));
    assert!(
        recorded.text().contains("# HELP traffik_decisions_total Decisions about one limit"),
        "{}",
        recorded.text()
    );
    Ok(())
}

#[tokio::test]
async fn limits_that_come_and_go_share_the_series_of_their_label() -> Result {
    let (builder, _, recorded) = set_up();
    let traffik = builder.build()?;
    let decide = async |uid: &str, settings: Settings| -> Result {
        traffik.add_limit(uid, "1/min".parse()?, settings)?;
        let _ = traffik.limiter_of(uid, "alice").check().await?;
        Ok(traffik.remove_limit(uid)?)
    };
    decide("tenant:first", Settings::new()).await?;
    let series = recorded.series();
    for tenant in 0..100 {
        decide(&format!("tenant:{tenant}"), Settings::new()).await?;
    }
    assert_eq!((recorded.series(), recorded.decisions("tenant", "admitted")), (series, Some(101.0)));
    decide("tenant:large", Settings::new().label("large")).await?;
    assert_eq!(recorded.decisions("large", "admitted"), Some(1.0));
    Ok(())
}

#[tokio::test]
async fn recorder_that_is_installed_after_the_app_is_built_counts() -> Result {
    let (traffik, _) = app::traffik();
    let recorded = Recorded::begin();
    assert!(admits::<Five>(&traffik, "alice").await?);
    assert_eq!(recorded.decisions("metrics:five", "admitted"), Some(1.0));
    Ok(())
}

#[tokio::test]
async fn time_of_decisions_is_recorded_in_seconds() -> Result {
    let recorded = Recorded::begin();
    let (traffik, backend, clock) = backends::app(|builder, _| builder);
    backend.is(Mood::Slow);
    let asked = tokio::spawn({
        let traffik = traffik.clone();
        async move { admits::<Five>(&traffik, "alice").await }
    });
    backends::advance(&clock, Duration::from_millis(10)).await;
    assert!(asked.await??);
    let series =
        |part: &str| format!(r#"traffik_decision_duration_seconds_{part}{{backend="default",decided_by="primary"}}"#);
    assert_eq!(recorded.value(&series("count")), Some(1.0));
    assert_eq!(recorded.value(&series("sum")), Some(0.01));

    // No backend is asked.
    assert!(admits::<Free>(&traffik, "alice").await?);
    assert_eq!(recorded.text().matches("traffik_decision_duration_seconds_count").count(), 1);
    Ok(())
}

#[tokio::test]
async fn fallback_and_errors_are_counted_apart() -> Result {
    let recorded = Recorded::begin();
    let (traffik, backend, _) = backends::app(|builder, clock| {
        builder.on_error(on_error::Fallback::to(MemoryBackend::with_clock("spare", clock.clone())))
    });
    backend.is(Mood::Fails);
    assert!(admits::<Five>(&traffik, "alice").await?);
    assert_eq!(recorded.decisions_by("metrics:five", "admitted", "default:fallback", "fallback"), Some(1.0));

    let (traffik, backend, _) = backends::app(|builder, _| builder.on_error(on_error::Allow));
    backend.is(Mood::Fails);
    assert!(admits::<Five>(&traffik, "alice").await?);
    assert_eq!(recorded.decisions_by("metrics:five", "unchecked", "default", "nobody"), Some(1.0));

    let (traffik, backend, _) = backends::app(|builder, _| builder);
    backend.is(Mood::Fails);
    assert!(admits::<Five>(&traffik, "alice").await.is_err());
    assert_eq!(recorded.decisions_by("metrics:five", "error", "default", "nobody"), Some(1.0));
    Ok(())
}

#[tokio::test]
async fn clients_add_no_series() -> Result {
    let (builder, _, recorded) = set_up();
    let traffik = builder.build()?;
    for _ in 0..6 {
        admits::<Five>(&traffik, "alice").await?;
    }
    let before = recorded.series();
    for client in 0..10_000_u64 {
        assert!(admits::<Five>(&traffik, client).await?);
    }
    assert_eq!(recorded.series(), before);
    assert_eq!(recorded.decisions("metrics:five", "admitted"), Some(10_005.0));
    assert!(!recorded.text().contains("alice") && !recorded.text().contains("9999"), "{}", recorded.text());
    Ok(())
}

#[tokio::test]
async fn disabled_limits_are_counted_as_such() -> Result {
    let recorded = Recorded::begin();
    let traffik = Traffik::disabled();
    assert!(admits::<Five>(&traffik, "alice").await?);
    assert_eq!(recorded.decisions_by("metrics:five", "disabled", "default", "nobody"), Some(1.0));
    assert_eq!(recorded.series(), 1, "{}", recorded.text());
    Ok(())
}
