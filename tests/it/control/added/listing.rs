//! The list of limits, and changes of those that were added.

use std::time::Duration;

use traffik::{
    ConfigError, Settings, SlidingWindowLog, TokenBucket, Traffik,
    control::{KnownBy, Source, Until},
};

use super::{FIVE, Result, TWO, Typed, UID, admits, builder, traffik, with_limit};

#[tokio::test]
async fn added_limit_is_listed_and_counted_like_a_type() -> Result {
    let (traffik, _) = builder();
    let traffik = traffik.register::<Typed>().add_limit("b:early", TWO, Settings::new()).build()?;
    traffik.add_limit("a:late", FIVE, Settings::new().strategy(TokenBucket::new()).cost(3))?;
    let listed: Vec<_> = traffik.limits().into_iter().map(|limit| (limit.uid().to_owned(), limit.known_by())).collect();
    let expected = [("a:late", KnownBy::Added), ("added:typed", KnownBy::Registered), ("b:early", KnownBy::Added)];
    let expected = expected.map(|(uid, known_by)| (uid.to_owned(), known_by));
    assert!(expected.iter().all(|limit| listed.contains(limit)), "{listed:?}");
    assert!(listed.is_sorted_by_key(|(uid, _)| uid.clone()));
    let info = traffik.limit("a:late")?.info()?;
    assert_eq!((info.strategy(), info.rate().value(), info.cost().value()), ("token-bucket", FIVE, 3));
    assert_eq!(
        (info.rate().source(), serde_json::to_value(&info)?["known_by"].clone()),
        (Source::Code, "added".into())
    );
    assert!(admits(&traffik, "a:late", "alice").await? && !admits(&traffik, "a:late", "alice").await?);
    let counts = traffik.counts_of("a:late").ok_or("not counted")?;
    assert_eq!((counts.admitted, counts.refused), (1, 1));
    assert!(traffik.counts().contains(&("a:late".into(), counts)));
    Ok(())
}

#[tokio::test]
async fn added_limit_is_changed_like_a_type() -> Result {
    let (traffik, _) = with_limit()?;
    let limit = traffik.limit(UID)?;
    limit.set_rate(FIVE)?;
    limit.set_cost(2);
    assert_eq!(traffik.limiter_of(UID, "alice").check().await?.tightest().remaining(), 3);
    limit.disable();
    assert!(!traffik.limiter_of(UID, "alice").check().await?.tightest().is_counted());
    limit.clear();
    limit.exempt("eve", Until::Removed)?;
    limit.override_rate("bob", FIVE, Duration::from_secs(60))?;
    limit.block("mallory", Until::Removed, "unpaid")?;
    assert!(!admits(&traffik, UID, "mallory").await?);
    let peek = |client: &'static str| limit.peek(client);
    assert_eq!(peek("bob").await?.tightest().rate(), FIVE);
    assert!(!peek("eve").await?.tightest().is_counted());
    assert_eq!(limit.info()?.clients(), 3);
    limit.set_dry_run(true);
    for _ in 0..3 {
        assert!(admits(&traffik, UID, "carol").await?);
    }
    limit.reset("carol").await?;
    assert_eq!(peek("carol").await?.tightest().remaining(), 2);
    Ok(())
}

#[tokio::test]
async fn shared_change_of_an_added_limit_holds_in_every_app() -> Result {
    let backend = traffik::MemoryBackend::new("test");
    let app = || Traffik::builder(backend.clone()).add_limit(UID, TWO, Settings::new()).build();
    let (one, other) = (app()?, app()?);
    one.shared().limit(UID)?.set_rate(FIVE).await?;
    other.shared().refresh().await?;
    assert_eq!(other.limiter_of(UID, "alice").check().await?.tightest().remaining(), 4);
    // An app that adds the limit later meets the change.
    let late = Traffik::new(backend.clone())?;
    late.shared().refresh().await?;
    late.add_limit(UID, TWO, Settings::new())?;
    assert_eq!(late.limiter_of(UID, "alice").check().await?.tightest().remaining(), 3);
    Ok(())
}

#[tokio::test]
async fn penalty_of_an_added_limit_blocks() -> Result {
    let (traffik, clock) = traffik();
    let minute = Duration::from_secs(60);
    traffik.add_limit(UID, "1/s".parse()?, Settings::new().penalty(1, minute))?;
    assert!(admits(&traffik, UID, "alice").await? && !admits(&traffik, UID, "alice").await?);
    clock.advance(Duration::from_secs(2));
    assert!(!admits(&traffik, UID, "alice").await?);
    clock.advance(minute);
    assert!(admits(&traffik, UID, "alice").await?);
    Ok(())
}

#[test]
fn limit_that_cannot_work_is_an_error() -> Result {
    let (traffik, _) = traffik();
    let error = |uid: &str, rate: &str, settings| match traffik.add_limit(uid, rate.parse()?, settings) {
        Ok(_) => Err("no error".into()),
        Err(error) => Result::Ok(error.to_string()),
    };
    let log = error(UID, "100000/min", Settings::new().strategy(SlidingWindowLog))?;
    let place = concat!("limit added at ", file!(), ":");
    assert!(log.contains(place) && log.contains(r#"(uid "tenant:acme") cannot work"#), "{log}");
    let missing = error(UID, "1/min", Settings::new().backend("eu"))?;
    assert!(missing.contains(r#"uses the backend "eu", which this app does not have"#), "{missing}");
    for uid in ["", "süße", "a\nb"] {
        assert!(error(uid, "1/min", Settings::new())?.contains("printable ASCII"), "{uid:?}");
    }
    assert!(traffik.limits().iter().all(|limit| limit.known_by() != KnownBy::Added));
    Ok(())
}

#[tokio::test]
async fn uid_of_another_limit_is_an_error_that_names_both() -> Result {
    let (traffik, _) = with_limit()?;
    let twice = traffik.add_limit(UID, FIVE, Settings::new()).map(drop);
    assert!(matches!(&twice, Err(ConfigError::DuplicateUid { .. })), "{twice:?}");
    let text = twice.map_or_else(|error| error.to_string(), |()| String::new());
    assert_eq!(text.matches("limit added at ").count(), 2, "{text}");
    assert_eq!(traffik.limit(UID)?.info()?.rate().value(), TWO);
    // A type that is used first, and one that is used later.
    traffik.register::<Typed>()?;
    for added in [
        traffik.add_limit("added:typed", TWO, Settings::new()),
        traffik.replace_limit("added:typed", TWO, Settings::new()),
    ] {
        assert!(matches!(added, Err(ConfigError::DuplicateUid { .. })));
    }
    let (traffik, _) = super::traffik();
    traffik.add_limit("added:typed", TWO, Settings::new())?;
    let used = traffik.limiter::<Typed>("alice").check().await.map(drop);
    let text = used.map_or_else(|error| error.to_string(), |()| String::new());
    assert!(text.contains("limit added at ") && text.contains("Typed"), "{text}");
    assert!(admits(&traffik, "added:typed", "alice").await?);
    let (builder, _) = builder();
    let built = builder.add_limit(UID, TWO, Settings::new()).add_limit(UID, TWO, Settings::new()).build();
    assert!(matches!(built, Err(ConfigError::DuplicateUid { .. })));
    Ok(())
}

#[test]
fn rules_of_the_app_reach_an_added_limit() -> Result {
    let (builder, _) = builder();
    let built = builder.bypass(UID, traffik::Bypass::path("/health")).add_limit(UID, TWO, Settings::new()).build()?;
    assert_eq!(built.limit(UID)?.uid(), UID);
    let (builder, _) = super::builder();
    assert!(super::is_unknown(&builder.bypass(UID, traffik::Bypass::path("/health")).build()));
    Ok(())
}
