//! What replacing and removing a limit does.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use traffik::{
    CheckError, ConfigError, Error, Settings, SlidingWindowLog, TokenBucket,
    control::{Source, Until},
};

use super::{FIVE, Result, TWO, Typed, UID, admits, is_unknown, traffik, with_limit};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn removed_limit_is_unknown_and_finds_its_counts_when_it_comes_back() -> Result {
    let (traffik, _) = with_limit()?;
    let limit = traffik.limit(UID)?;
    assert!(admits(&traffik, UID, "alice").await?);
    traffik.remove_limit(UID)?;
    let checked = traffik.limiter_of(UID, "alice").check().await.map(drop);
    assert!(matches!(&checked, Err(CheckError::Failed(Error::Config(ConfigError::UnknownUid { .. })))), "{checked:?}");
    assert!(
        is_unknown(&traffik.limit(UID)) && is_unknown(&traffik.remove_limit(UID)) && traffik.counts_of(UID).is_none()
    );
    assert!(is_unknown(&limit.info()) && is_unknown(&limit.set_rate(FIVE)) && is_unknown(&limit.block("a", HOUR, "")));
    assert!(limit.peek("alice").await.is_err() && limit.reset("alice").await.is_err());
    limit.set_cost(2);
    traffik.add_limit(UID, FIVE, Settings::new())?;
    assert_eq!(traffik.limiter_of(UID, "alice").peek().await?.tightest().remaining(), 4, "no change is left");
    traffik.replace_limit(UID, FIVE, Settings::new().strategy(TokenBucket::new()))?;
    assert_eq!(traffik.limiter_of(UID, "alice").peek().await?.tightest().remaining(), 5, "another strategy is fresh");
    Ok(())
}

#[tokio::test]
async fn removed_limit_takes_its_local_changes_with_it() -> Result {
    let (traffik, _) = with_limit()?;
    let limit = traffik.limit(UID)?;
    limit.set_rate(FIVE)?;
    limit.block("mallory", Until::Removed, "unpaid")?;
    traffik.remove_limit(UID)?;
    traffik.add_limit(UID, TWO, Settings::new())?;
    assert_eq!(traffik.limit(UID)?.info()?.rate().value(), TWO);
    assert!(admits(&traffik, UID, "mallory").await? && traffik.limit(UID)?.clients().is_empty());
    Ok(())
}

#[tokio::test]
async fn replaced_limit_keeps_counts_changes_and_handles() -> Result {
    let (traffik, _) = with_limit()?;
    let limit = traffik.limit(UID)?;
    assert!(admits(&traffik, UID, "alice").await?);
    limit.set_cost(2);
    traffik.replace_limit(UID, FIVE, Settings::new())?;
    assert_eq!(limit.info()?.rate().value(), FIVE);
    assert_eq!(limit.peek("alice").await?.tightest().remaining(), 4);
    let permit = traffik.limiter_of(UID, "alice").check().await?;
    assert_eq!(permit.tightest().remaining(), 2);
    assert_eq!(limit.info()?.counts().admitted, 2);
    // One that cannot work leaves the limit as it is.
    assert!(traffik.replace_limit(UID, TWO, Settings::new().warn_at(7.0)).is_err());
    assert_eq!(limit.info()?.rate().value(), FIVE);
    Ok(())
}

#[tokio::test]
async fn changed_rate_that_a_new_strategy_does_not_support_is_not_listed() -> Result {
    let (traffik, _) = with_limit()?;
    let limit = traffik.limit(UID)?;
    let many = "100000/hour".parse()?;
    limit.set_rate(many)?;
    traffik.replace_limit(UID, TWO, Settings::new().strategy(SlidingWindowLog))?;
    let rate = limit.info()?.rate().clone();
    assert_eq!((rate.value(), rate.sources().collect::<Vec<_>>()), (TWO, vec![(Source::Code, Some(TWO))]));
    assert_eq!(limit.peek("alice").await?.tightest().remaining(), 2, "it is not in force");
    traffik.replace_limit(UID, TWO, Settings::new())?;
    let rate = limit.info()?.rate().clone();
    assert_eq!((rate.value(), rate.source()), (many, Source::Local));
    Ok(())
}

#[tokio::test]
async fn checks_under_way_end_by_the_limit_that_they_began_with() -> Result {
    let (traffik, clock) = with_limit()?;
    let (limiter, permit) = (traffik.limiter_of(UID, "alice"), traffik.limiter_of(UID, "alice").check().await?);
    let waiting = {
        let traffik = traffik.clone();
        let _ = traffik.limiter_of(UID, "bob").cost(2).check().await?;
        tokio::spawn(async move { traffik.limiter_of(UID, "bob").wait(HOUR).check().await.is_ok() })
    };
    tests::until_idle().await;
    traffik.remove_limit(UID)?;
    assert_eq!(limiter.check().await?.tightest().remaining(), 0);
    permit.settle(0).await?;
    assert_eq!(permit.tightest().remaining(), 1);
    clock.advance(HOUR);
    assert!(waiting.await?);
    Ok(())
}

#[tokio::test]
async fn removed_limit_frees_its_memory() -> Result {
    let (traffik, _) = traffik();
    let uid: Arc<str> = UID.into();
    let observed = Arc::downgrade(&uid);
    let marker = Arc::new(());
    let held = Arc::clone(&marker);
    let settings = Settings::new().identity(move |_| {
        let _ = &held;
        traffik::Client::from("everyone")
    });
    traffik.add_limit(uid, TWO, settings)?;
    assert!(admits(&traffik, UID, "alice").await?);
    traffik.limit(UID)?.set_rate(FIVE)?;
    traffik.remove_limit(UID)?;
    assert!(observed.upgrade().is_none() && Arc::strong_count(&marker) == 1);
    Ok(())
}

#[tokio::test]
async fn types_are_no_limits_that_are_found_or_removed_by_uid() -> Result {
    let (traffik, _) = traffik();
    traffik.register::<Typed>()?;
    let removed = traffik.remove_limit("added:typed");
    assert!(matches!(&removed, Err(ConfigError::NotAValue { .. })), "{removed:?}");
    let text = removed.map_or_else(|error| error.to_string(), |()| String::new());
    assert!(text.contains("Typed") && text.contains(".disable()"), "{text}");
    let checked = traffik.limiter_of("added:typed", "alice").check().await.map(drop);
    assert!(matches!(checked, Err(CheckError::Failed(Error::Config(ConfigError::NotAValue { .. })))));
    Ok(())
}

#[test]
fn many_limits_are_added_found_and_removed() -> Result {
    let (traffik, _) = traffik();
    for tenant in 0..10_000 {
        traffik.add_limit(format!("tenant:{tenant}"), TWO, Settings::new())?;
    }
    assert_eq!(traffik.limits().iter().filter(|limit| limit.uid().starts_with("tenant:")).count(), 10_000);
    for tenant in 0..10_000 {
        let uid = format!("tenant:{tenant}");
        let checked = traffik.limiter_of(&uid, "alice").check().now_or_never().ok_or("waits")??;
        assert_eq!(checked.tightest().remaining(), 1);
        traffik.remove_limit(&uid)?;
    }
    assert!(!traffik.limits().iter().any(|limit| limit.uid().starts_with("tenant:")));
    Ok(())
}
