//! Shared changes of a limit that is replaced by one in another backend.

use std::time::Duration;

use traffik::{
    Settings, Traffik,
    backend::{Backend, ControlRequest, MemoryBackend},
    control::{Setting, Until},
    test::ManualClock,
};

use super::{FIVE, Result, TWO, UID, admits};
use crate::on_error::backends::{Mood, Moody};

const HOUR: Duration = Duration::from_secs(3600);

/// An app with two additional backends, whose decisions wait. The limit is in the first.
struct App {
    traffik: Traffik,
    first: Moody,
    second: Moody,
}

impl App {
    fn new(settings: Settings) -> Result<Self> {
        let clock = ManualClock::new();
        let (first, second) = (Moody::new(&clock), Moody::new(&clock));
        let traffik = Traffik::builder(MemoryBackend::with_clock("test", clock))
            .backend("first", first.clone())
            .backend("second", second.clone())
            .add_limit(UID, TWO, settings.backend("first"))
            .build()?;
        Ok(Self { traffik, first, second })
    }

    fn move_limit(&self) -> Result {
        self.traffik.replace_limit(UID, TWO, Settings::new().backend("second"))?;
        Ok(())
    }

    /// Returns the names of the texts in each of the two backends, without the uid.
    async fn stored(&self) -> Result<[Vec<String>; 2]> {
        Ok([stored(&self.first.store).await?, stored(&self.second.store).await?])
    }
}

async fn stored(backend: &MemoryBackend) -> Result<Vec<String>> {
    let texts = backend.control(ControlRequest::Read { known: u64::MAX }).await?.settings.unwrap_or_default();
    Ok(texts.iter().map(|(name, _)| name.split('\n').next().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn shared_changes_of_a_limit_that_moved_stay_and_are_removed_where_they_are() -> Result {
    let app = App::new(Settings::new())?;
    let shared = app.traffik.shared().limit(UID)?;
    shared.set_rate(FIVE).await?;
    shared.set_cost(2).await?;
    app.move_limit()?;
    let info = || app.traffik.limit(UID)?.info();
    assert_eq!((info()?.rate().value(), info()?.cost().value()), (FIVE, 2));
    shared.clear_setting(Setting::Rate).await?;
    assert_eq!((info()?.rate().value(), info()?.cost().value()), (TWO, 2));
    assert_eq!(app.stored().await?, [vec!["cost"], vec![]]);
    shared.clear().await?;
    assert_eq!(info()?.cost().value(), 1);
    assert_eq!(app.stored().await?, [const { Vec::<String>::new() }; 2]);
    Ok(())
}

#[tokio::test]
async fn new_shared_change_of_a_limit_that_moved_replaces_the_one_before() -> Result {
    let app = App::new(Settings::new())?;
    let shared = app.traffik.shared().limit(UID)?;
    app.move_limit()?;
    shared.set_rate(FIVE).await?;
    app.traffik.replace_limit(UID, TWO, Settings::new().backend("first"))?;
    // What the second backend has comes last when all are read.
    shared.set_rate("7/hour".parse()?).await?;
    assert_eq!(app.traffik.limit(UID)?.info()?.rate().value(), "7/hour".parse()?);
    assert_eq!(app.stored().await?, [vec!["rate"], vec![]]);
    Ok(())
}

#[tokio::test]
async fn clients_of_a_limit_that_moved_are_unblocked_and_changed() -> Result {
    let app = App::new(Settings::new())?;
    let shared = app.traffik.shared().limit(UID)?;
    shared.block("mallory", Until::Removed, "unpaid").await?;
    shared.exempt("alice", Until::Removed).await?;
    app.move_limit()?;
    assert!(!admits(&app.traffik, UID, "mallory").await?);
    shared.unblock("mallory").await?;
    assert!(admits(&app.traffik, UID, "mallory").await?);
    shared.exempt("alice", HOUR).await?;
    assert_eq!(app.stored().await?, [vec![], vec!["exempt"]]);
    let clients = app.traffik.limit(UID)?.clients();
    assert_eq!(clients.first().and_then(|client| client.exemption_ends_in()), Some(HOUR));
    Ok(())
}

#[tokio::test]
async fn penalty_of_a_limit_that_moved_ends_by_a_reset() -> Result {
    let app = App::new(Settings::new().penalty(1, HOUR * 2))?;
    let _ = app.traffik.limiter_of(UID, "mallory").cost(2).check().await?;
    assert!(!admits(&app.traffik, UID, "mallory").await?);
    tests::until_idle().await;
    // The app has not read it yet.
    assert_eq!(app.stored().await?, [vec!["penalty"], vec![]]);
    app.move_limit()?;
    assert!(!admits(&app.traffik, UID, "mallory").await?);
    app.traffik.limit(UID)?.reset("mallory").await?;
    assert!(admits(&app.traffik, UID, "mallory").await?);
    assert_eq!(app.stored().await?, [const { Vec::<String>::new() }; 2]);
    Ok(())
}

#[tokio::test]
async fn all_limits_are_enabled_wherever_they_were_disabled() -> Result {
    let app = App::new(Settings::new())?;
    app.traffik.shared().limit(UID)?.disable().await?;
    app.traffik.shared().enable_all().await?;
    assert!(app.traffik.limit(UID)?.info()?.enabled().value());
    assert_eq!(app.stored().await?, [const { Vec::<String>::new() }; 2]);
    Ok(())
}

/// Two backends of an app, each with its own settings, may store in one place.
#[tokio::test]
async fn shared_changes_stay_if_two_backends_store_in_one_place() -> Result {
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    let traffik = Traffik::builder(backend.clone())
        .backend("first", backend.clone())
        .add_limit(UID, TWO, Settings::new())
        .add_limit("tenant:other", TWO, Settings::new().backend("first"))
        .build()?;
    for uid in [UID, "tenant:other"] {
        let shared = traffik.shared().limit(uid)?;
        for hours in [1, 24, 24] {
            shared.block("mallory", HOUR * hours, "unpaid").await?;
            shared.set_rate(FIVE).await?;
            traffik.shared().refresh().await?;
            assert!(!admits(&traffik, uid, "mallory").await?, "{uid} after {hours}");
            assert_eq!(traffik.limit(uid)?.info()?.rate().value(), FIVE, "{uid} after {hours}");
        }
        shared.clear().await?;
        shared.unblock("mallory").await?;
        traffik.shared().refresh().await?;
        assert_eq!((stored(&backend).await?, admits(&traffik, uid, "mallory").await?), (Vec::new(), true));
    }
    Ok(())
}

#[tokio::test]
async fn shared_changes_of_a_limit_that_left_a_dead_backend_hold() -> Result {
    let app = App::new(Settings::new())?;
    let shared = app.traffik.shared().limit(UID)?;
    app.move_limit()?;
    shared.set_rate(FIVE).await?;
    // It moves back, and what the second backend has can be neither read nor removed.
    app.traffik.replace_limit(UID, TWO, Settings::new().backend("first"))?;
    app.second.is(Mood::IsAway);
    let seven = "7/hour".parse()?;
    assert!(shared.set_rate(seven).await.is_err(), "the second backend was not told");
    assert_eq!(app.traffik.limit(UID)?.info()?.rate().value(), seven);
    shared.set_cost(2).await?;
    assert!(shared.clear().await.is_err(), "nor can it be asked whether it has a cost");
    assert_eq!(app.stored().await?, [vec![], vec!["rate"]], "each setting is removed, also after an error");
    Ok(())
}

#[tokio::test]
async fn shared_changes_that_were_not_read_yet_are_removed_as_well() -> Result {
    let app = App::new(Settings::new())?;
    let name = format!("rate\n{UID}");
    let shared = app.traffik.shared().limit(UID)?;
    app.move_limit()?;
    let by_another = ControlRequest::Replace { name: &name, expected: None, value: Some("5/hour") };
    assert!(app.first.store.control(by_another).await?.is_replaced);
    shared.clear().await?;
    assert_eq!(app.stored().await?, [const { Vec::<String>::new() }; 2]);
    Ok(())
}

#[tokio::test]
async fn limits_of_another_app_in_an_additional_backend_stay_disabled() -> Result {
    let app = App::new(Settings::new())?;
    let names = [UID, "tenant:unknown"].map(|uid| format!("enabled\n{uid}"));
    for name in &names {
        let disable = ControlRequest::Replace { name, expected: None, value: Some("false") };
        assert!(app.first.store.control(disable).await?.is_replaced);
    }
    app.traffik.shared().refresh().await?;
    assert!(!app.traffik.limit(UID)?.info()?.enabled().value());
    app.traffik.shared().enable_all().await?;
    assert!(app.traffik.limit(UID)?.info()?.enabled().value());
    let left = app.first.store.control(ControlRequest::Read { known: u64::MAX }).await?.settings;
    let left = left.unwrap_or_default();
    assert_eq!(left.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&names[1]]);
    Ok(())
}
