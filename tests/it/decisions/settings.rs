//! The settings of a throttle are evaluated once per app, so a fallback that they create exists once.

use std::{
    sync::{
        Barrier, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use traffik::{
    CheckError, ConfigError, DefaultIdentity, Error, Rate, Settings, Throttle, Traffik, backend::MemoryBackend,
};

throttles! {
    Counted: "settings:counted", "1000/min", counted(&COUNTED);
    Misplaced: "settings:misplaced", "1000/min", counted(&MISPLACED).backend("elsewhere");
    Base: "settings:base", "1000/min", Settings::new();
    UsesTheApp: "settings:uses-the-app", "1000/min", uses_the_app();
}

static COUNTED: AtomicUsize = AtomicUsize::new(0);
static MISPLACED: AtomicUsize = AtomicUsize::new(0);

fn counted(times: &AtomicUsize) -> Settings {
    times.fetch_add(1, Ordering::Relaxed);
    Settings::new()
}

static APP: OnceLock<Traffik> = OnceLock::new();

fn uses_the_app() -> Settings {
    assert!(APP.get().is_some_and(|app| app.register::<Base>().is_ok()));
    Settings::new()
}

#[tokio::test]
async fn settings_that_use_their_app_do_not_lock_it() -> Result<(), Box<dyn std::error::Error>> {
    let traffik = APP.get_or_init(Traffik::disabled);
    traffik.register::<UsesTheApp>()?;
    Ok(())
}

#[tokio::test]
async fn settings_are_evaluated_once_per_app() -> Result<(), Box<dyn std::error::Error>> {
    for apps in 1..=2 {
        let traffik = Traffik::new(MemoryBackend::new("test"))?;
        let together = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    traffik.register::<(Counted, Counted)>().unwrap();
                });
            }
        });
        let _ = traffik.limiter::<Counted>("alice").check().await?;
        traffik.reset::<Counted>("alice").await?;
        assert_eq!(COUNTED.load(Ordering::Relaxed), apps);
    }
    let traffik = Traffik::builder(MemoryBackend::new("test")).register::<Counted>().build()?;
    let _ = traffik.limiter::<Counted>("alice").check().await?;
    assert_eq!(COUNTED.load(Ordering::Relaxed), 3);
    Ok(())
}

#[tokio::test]
async fn settings_of_a_throttle_that_cannot_be_used_are_evaluated_once_per_app()
-> Result<(), Box<dyn std::error::Error>> {
    let traffik = Traffik::new(MemoryBackend::new("test"))?;
    for _ in 0..3 {
        let error = traffik.limiter::<Misplaced>("alice").check().await.unwrap_err();
        assert!(matches!(error, CheckError::Failed(Error::Config(ConfigError::NoBackend { .. }))), "{error}");
    }
    assert_eq!(MISPLACED.load(Ordering::Relaxed), 1);
    Ok(())
}
