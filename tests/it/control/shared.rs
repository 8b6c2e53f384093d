//! Changes for all processes, here apps that share a memory backend.

use std::time::Duration;

use tests::{admits, refused, until_idle};
use traffik::{
    Client, ConfigError, Error, Traffik, TraffikBuilder,
    backend::{Backend, ControlRequest, MemoryBackend},
    control::{Change, Setting, Source, Until},
    test::ManualClock,
    warning::Warning,
};

use super::{FIVE, Result, TWO, in_force};
use crate::{
    http::{app::throttle, logs::Log},
    on_error::backends::{Mood, Moody},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

throttle!(Search, "shared:search", "3/hour");
throttle!(Other, "shared:other", "3/hour");

fn app(backend: &MemoryBackend) -> TraffikBuilder {
    Traffik::builder(backend.clone()).register::<(Search, Other)>()
}

fn backend() -> (MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    (MemoryBackend::with_clock("test", clock.clone()), clock)
}

async fn stored(backend: &MemoryBackend) -> Result<Vec<(String, String)>> {
    Ok(backend.control(ControlRequest::Read { known: u64::MAX }).await?.settings.unwrap_or_default())
}

async fn store(backend: &MemoryBackend, name: &str, value: &str) -> Result {
    let request = ControlRequest::Replace { name, expected: None, value: Some(value) };
    assert!(backend.control(request).await?.is_replaced);
    Ok(())
}

#[tokio::test]
async fn shared_change_holds_here_immediately_and_in_another_app_within_a_second() -> Result {
    let (backend, clock) = backend();
    let (here, there) = (app(&backend).build()?, app(&backend).build()?);
    let _ = there.shared();
    here.shared().limit("shared:search")?.apply(Change::new().rate(FIVE).cost(2)).await?;
    assert_eq!(
        [in_force::<Search>(&here).await?, in_force::<Search>(&there).await?],
        [(FIVE, 2), ("3/hour".parse()?, 1)]
    );
    clock.advance(SECOND);
    until_idle().await;
    assert_eq!(in_force::<Search>(&there).await?, (FIVE, 2));
    let info = there.limit("shared:search")?.info()?;
    assert_eq!((info.rate().source(), info.cost().source()), (Source::Shared, Source::Shared));
    // A later app has it from its start.
    let later = app(&backend).build()?;
    assert_eq!(in_force::<Search>(&later).await?, (FIVE, 2));

    there.shared().limit("shared:search")?.clear_setting(Setting::Rate).await?;
    clock.advance(SECOND);
    until_idle().await;
    assert_eq!([in_force::<Search>(&here).await?, in_force::<Search>(&later).await?], [("3/hour".parse()?, 2); 2]);
    here.shared().limit("shared:search")?.clear().await?;
    assert!(stored(&backend).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn shared_change_of_a_limit_needs_no_other_backend() -> Result {
    let (backend, clock) = backend();
    let elsewhere = Moody::new(&clock);
    let traffik = app(&backend).backend("elsewhere", elsewhere.clone()).build()?;
    elsewhere.is(Mood::Fails);
    let shared = traffik.shared().limit("shared:search")?;
    shared.set_rate(FIVE).await?;
    assert_eq!(in_force::<Search>(&traffik).await?, (FIVE, 1));
    // What the other backend may still hold would be in force again.
    assert!(matches!(shared.clear_setting(Setting::Rate).await, Err(Error::Backend(_))));
    Ok(())
}

#[tokio::test]
async fn changes_of_several_apps_are_all_kept() -> Result {
    let (backend, _) = backend();
    let apps = [app(&backend).build()?, app(&backend).build()?];
    for (app, uid) in apps.iter().zip(["shared:search", "shared:other"]) {
        let limit = app.shared().limit(uid)?;
        limit.set_rate(TWO).await?;
        limit.block("alice", MINUTE, uid).await?;
    }
    // One that knows nothing of the first replaces the same setting.
    apps[1].shared().limit("shared:search")?.set_rate(FIVE).await?;
    apps[0].shared().refresh().await?;
    for app in &apps {
        assert_eq!(app.limit("shared:search")?.info()?.rate().value(), FIVE);
        assert_eq!(app.limit("shared:other")?.info()?.rate().value(), TWO);
        assert!(!admits::<Search>(app, "alice").await? && !admits::<Other>(app, "alice").await?);
    }
    Ok(())
}

#[tokio::test]
async fn local_change_is_stronger_than_a_shared_one() -> Result {
    let (backend, _) = backend();
    let traffik = app(&backend).build()?;
    let (local, shared) = (traffik.limit("shared:search")?, traffik.shared().limit("shared:search")?);
    local.set_rate(TWO)?;
    shared.set_rate(FIVE).await?;
    shared.disable().await?;
    assert!(!local.info()?.enabled().value());
    local.enable();
    assert_eq!(in_force::<Search>(&traffik).await?, (TWO, 1));
    local.clear();
    assert_eq!(local.info()?.rate().value(), FIVE);
    assert!(!local.info()?.enabled().value());
    Ok(())
}

#[tokio::test]
async fn clients_are_blocked_exempt_and_changed_in_all_apps() -> Result {
    let (backend, clock) = backend();
    let (here, there) = (app(&backend).build()?, app(&backend).build()?);
    let (shared, seen) = (here.shared().limit("shared:search")?, there.limit("shared:search")?);
    let _ = there.shared();
    shared.block("mallory", MINUTE, "scrapes a lot").await?;
    shared.exempt(("user", 7), Until::Removed).await?;
    shared.override_rate("alice", FIVE, MINUTE).await?;
    there.shared().refresh().await?;
    let refusal = refused(there.limiter::<Search>("mallory").check().await);
    assert_eq!((refusal.retry_after(), refusal.tightest().block_reason()), (Some(MINUTE), Some("scrapes a lot")));
    assert!(!there.limiter::<Search>(("user", 7)).check().await?.tightest().is_counted());
    assert_eq!(seen.peek("alice").await?.tightest().rate(), FIVE);
    assert_eq!(seen.clients().len(), 3);
    assert!(seen.clients().iter().all(|client| client.source() == Source::Shared));

    clock.advance(MINUTE);
    until_idle().await;
    assert!(admits::<Search>(&there, "mallory").await?);
    assert_eq!(seen.clients().len(), 1);
    // Those that ended are removed from the backend with the next change.
    shared.unblock("nobody").await?;
    shared.block("eve", MINUTE, "").await?;
    let names: Vec<_> = stored(&backend).await?.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["block\nshared:search\n\"eve\"", "exempt\nshared:search\n\"user\"/7"]);
    shared.end_exemption(("user", 7)).await?;
    shared.end_override("alice").await?;
    assert_eq!(here.limit("shared:search")?.clients().len(), 1);
    Ok(())
}

#[tokio::test]
async fn limit_that_is_disabled_for_a_time_is_enabled_in_all_apps_at_its_end() -> Result {
    let (backend, clock) = backend();
    let here = app(&backend).build()?;
    here.shared().limit("shared:search")?.disable_for(MINUTE).await?;
    let later = app(&backend).build()?;
    clock.advance(MINUTE - Duration::from_micros(1));
    for app in [&here, &later] {
        assert!(!app.limiter::<Search>("alice").check().await?.tightest().is_counted());
    }
    clock.advance(Duration::from_micros(1));
    for app in [&here, &later] {
        assert!(app.limiter::<Search>("alice").check().await?.tightest().is_counted());
    }
    Ok(())
}

#[tokio::test]
async fn all_limits_are_switched_in_all_apps() -> Result {
    let (backend, _) = backend();
    let (here, there) = (app(&backend).build()?, app(&backend).build()?);
    there.shared().limit("shared:other")?.enable().await?;
    here.shared().refresh().await?;
    here.shared().disable_all().await?;
    there.shared().refresh().await?;
    for app in [&here, &there] {
        assert!(app.limits().iter().all(|limit| !limit.enabled().value()));
    }
    there.shared().enable_all().await?;
    here.shared().refresh().await?;
    assert!(here.limits().iter().all(|limit| limit.enabled().value()));
    assert!(stored(&backend).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn invalid_shared_change_is_an_error_and_stores_nothing() -> Result {
    throttle!(Log, "shared:log", "3/hour", traffik::Settings::new().strategy(traffik::SlidingWindowLog));
    let (backend, _) = backend();
    let traffik = app(&backend).register::<Log>().build()?;
    let log = traffik.shared().limit("shared:log")?;
    let error = log.apply(Change::new().rate("100000/hour".parse()?).cost(2)).await.unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::ChangedRate { .. })), "{error}");
    let error = log.block(Client::secret("hunter2"), MINUTE, "").await.unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::SecretClient { .. })), "{error}");
    assert!(!error.to_string().contains("hunter2"));
    assert!(stored(&backend).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn change_of_a_newer_release_is_a_warning_and_no_error() -> Result {
    let (log, _logs) = Log::begin();
    let (backend, _) = backend();
    store(&backend, "burst\nshared:search", "10").await?;
    store(&backend, "rate\nshared:search", "5/fortnight").await?;
    store(&backend, "cost\nshared:search", "2").await?;
    let traffik = app(&backend).build()?;
    assert_eq!(in_force::<Search>(&traffik).await?, ("3/hour".parse()?, 2));
    assert_eq!(log.warnings(Warning::UnknownSharedChange), 1);
    assert!(log.text().contains("burst shared:search"), "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn shared_change_wakes_callers_that_wait() -> Result {
    let (backend, _) = backend();
    let traffik = app(&backend).build()?;
    let _ = traffik.limiter::<Search>("alice").cost(3).check().await?;
    let waiting = tokio::spawn({
        let traffik = traffik.clone();
        async move { traffik.limiter::<Search>("alice").wait(MINUTE * 60).check().await.is_ok() }
    });
    until_idle().await;
    traffik.shared().limit("shared:search")?.set_rate(FIVE).await?;
    assert!(waiting.await?);
    Ok(())
}

#[tokio::test]
async fn app_that_is_dropped_or_closed_reads_no_more() -> Result {
    let (backend, clock) = backend();
    let traffik = app(&backend).build()?;
    let _ = traffik.shared();
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 1);
    drop(traffik);
    clock.advance(SECOND);
    until_idle().await;
    assert_eq!(metrics.num_alive_tasks(), 0);
    let traffik = app(&backend).build()?;
    let _ = traffik.shared();
    traffik.close().await?;
    clock.advance(SECOND);
    until_idle().await;
    assert_eq!(metrics.num_alive_tasks(), 0);
    Ok(())
}

#[tokio::test]
async fn block_that_was_set_again_is_not_removed_with_the_one_that_ended() -> Result {
    let (backend, clock) = backend();
    let (here, there) = (app(&backend).build()?, app(&backend).build()?);
    let [of_here, of_there] = [&here, &there].map(|app| app.shared().limit("shared:search"));
    let (of_here, of_there) = (of_here?, of_there?);
    of_here.block("mallory", MINUTE, "").await?;
    there.shared().refresh().await?;
    clock.advance(MINUTE);
    of_here.block("mallory", 60 * MINUTE, "").await?;
    // This app knows only the block that has ended.
    of_there.block("eve", MINUTE, "").await?;
    let _ = refused(here.limiter::<Search>("mallory").check().await);
    let _ = refused(there.limiter::<Search>("mallory").check().await);
    Ok(())
}
