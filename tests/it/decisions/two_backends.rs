//! An app with an additional backend for some limits.

use std::time::Duration;

use tests::{admits, until_idle};
use traffik::{
    CheckError, ConfigError, DefaultIdentity, Error, Limits, Rate, Settings, Throttle, Traffik,
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
    test::ManualClock,
};

use super::{Five, Seven};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

throttles! {
    Local: "two-backends:local", "3/min", Settings::new().backend("local");
    LocalToo: "two-backends:local-too", "4/min", Settings::new().backend("local");
    Elsewhere: "two-backends:elsewhere", "4/min", Settings::new().backend("elsewhere");
}

/// An app with two stores, each with its own clock.
struct App {
    traffik: Traffik,
    own: MemoryBackend,
    local: MemoryBackend,
    owns_clock: ManualClock,
    locals_clock: ManualClock,
}

impl App {
    fn new() -> std::result::Result<Self, Error> {
        let (owns_clock, locals_clock) = (ManualClock::new(), ManualClock::new());
        // Both stores use the same namespace.
        let (own, local) = (store(&owns_clock), store(&locals_clock));
        let traffik = Traffik::builder(own.clone()).backend("local", local.clone()).build()?;
        Ok(Self { traffik, own, local, owns_clock, locals_clock })
    }

    fn lens(&self) -> (usize, usize) {
        (self.own.len(), self.local.len())
    }
}

fn store(clock: &ManualClock) -> MemoryBackend {
    MemoryBackend::with_clock("test", clock.clone())
}

fn remaining(limits: &Limits) -> Vec<traffik::Amount> {
    limits.iter().map(traffik::Limit::remaining).collect()
}

#[tokio::test]
async fn limit_is_counted_in_its_own_backend() -> Result {
    let app = App::new()?;
    let _ = app.traffik.limiter::<Five>("alice").check().await?;
    assert_eq!(app.lens(), (1, 0));
    let _ = app.traffik.limiter::<Local>("alice").check().await?;
    assert_eq!(app.lens(), (1, 1));

    // Peeks, tuples, refunds and resets use that backend too.
    assert_eq!(remaining(&app.traffik.limiter::<Local>("alice").peek().await?), [2]);
    let permit = app.traffik.limiter::<(Local, LocalToo)>("alice").check().await?;
    assert_eq!(remaining(&permit), [1, 3]);
    assert_eq!(app.lens(), (1, 2));
    permit.refund().await?;
    assert_eq!(remaining(&app.traffik.limiter::<(Local, LocalToo)>("alice").peek().await?), [2, 4]);
    app.traffik.reset::<Local>("alice").await?;
    assert_eq!(remaining(&app.traffik.limiter::<(Local, LocalToo)>("alice").peek().await?), [3, 4]);
    assert_eq!(remaining(&app.traffik.limiter::<Five>("alice").peek().await?), [4]);
    Ok(())
}

#[tokio::test]
async fn limit_is_decided_by_the_clock_of_its_backend() -> Result {
    let app = App::new()?;
    let _ = app.traffik.limiter::<Five>("alice").cost(5).check().await?;
    while admits::<Local>(&app.traffik, "alice").await? {}
    let refused = async || {
        let five = !app.traffik.limiter::<Five>("alice").peek().await?.is_admitted();
        std::result::Result::<_, Error>::Ok((five, !app.traffik.limiter::<Local>("alice").peek().await?.is_admitted()))
    };
    assert_eq!(refused().await?, (true, true));
    app.locals_clock.advance(Duration::from_secs(60));
    assert_eq!(refused().await?, (true, false));
    app.owns_clock.advance(Duration::from_secs(60));
    assert_eq!(refused().await?, (false, false));
    Ok(())
}

#[tokio::test]
async fn clear_and_close_reach_all_backends() -> Result {
    let app = App::new()?;
    let _ = app.traffik.limiter::<Five>("alice").check().await?;
    let _ = app.traffik.limiter::<Local>("alice").check().await?;
    app.traffik.clear().await?;
    assert_eq!(app.lens(), (0, 0));

    app.traffik.close().await?;
    for error in [
        app.traffik.limiter::<Five>("alice").check().await.unwrap_err(),
        app.traffik.limiter::<Local>("alice").check().await.unwrap_err(),
    ] {
        assert!(matches!(error, CheckError::Failed(Error::Backend(BackendError::Closed))), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn tuple_across_backends_is_an_error_that_names_both() -> Result {
    let app = App::new()?;
    let is_expected = |error: &ConfigError| {
        let ConfigError::TwoBackends { first, first_backend, second, second_backend, .. } = error else { return false };
        (&**first, first_backend.as_deref()) == (Five::UID, None)
            && (&**second, second_backend.as_deref()) == (Local::UID, Some("local"))
    };
    type Across = (Five, Seven, Local);
    let registered = app.traffik.register::<Across>().unwrap_err();
    assert!(is_expected(&registered), "{registered}");
    for error in [
        app.traffik.limiter::<Across>("alice").check().await.unwrap_err(),
        app.traffik.limiter::<Across>("alice").peek().await.unwrap_err().into(),
        app.traffik.reset::<Across>("alice").await.unwrap_err().into(),
    ] {
        assert!(matches!(&error, CheckError::Failed(Error::Config(config)) if is_expected(config)), "{error}");
    }
    assert_eq!(app.lens(), (0, 0), "nothing was charged");

    let message = registered.to_string();
    for part in ["\"decisions:five\" (in the app's own backend)", "local\" (in the backend \"local\")"] {
        assert!(message.contains(part), "{message}");
    }
    let built = Traffik::builder(app.own).backend("local", app.local).register::<Across>().build();
    assert!(is_expected(&built.unwrap_err()));
    Ok(())
}

#[tokio::test]
async fn missing_backend_is_an_error_that_names_the_fix() -> Result {
    let app = App::new()?;
    let error = app.traffik.limiter::<Elsewhere>("alice").check().await.unwrap_err();
    let CheckError::Failed(Error::Config(ConfigError::NoBackend { backend, .. })) = &error else { panic!("{error}") };
    assert_eq!(**backend, *"elsewhere");
    let message = error.to_string();
    for part in
        ["Elsewhere", Elsewhere::UID, "(it has [\"local\"])", "`Traffik::builder(..).backend(\"elsewhere\", ..)`"]
    {
        assert!(message.contains(part), "{message}");
    }

    let built = Traffik::builder(app.own.clone()).register::<Elsewhere>().build().map(|_| ());
    assert!(matches!(&built, Err(ConfigError::NoBackend { has, .. }) if has.is_empty()), "{built:?}");
    assert!(Traffik::new(app.own)?.register::<(Five, Elsewhere)>().is_err());
    Ok(())
}

#[tokio::test]
async fn backend_name_given_twice_is_an_error() {
    let clock = ManualClock::new();
    let builder = Traffik::builder(store(&clock)).backend("a", store(&clock)).backend("b", store(&clock));
    let error = builder.backend("a", store(&clock)).build().unwrap_err();
    assert!(matches!(&error, ConfigError::DuplicateBackend { name, .. } if **name == *"a"), "{error}");
    assert!(error.to_string().contains("\"a\""), "{error}");
}

#[tokio::test]
async fn disabled_app_needs_no_backend() -> Result {
    let traffik = Traffik::disabled();
    let permit = traffik.limiter::<(Five, Elsewhere, Local)>("alice").check().await?;
    assert!(!traffik.limiter::<Elsewhere>("alice").peek().await?.tightest().is_counted());
    permit.refund().await?;
    Ok(traffik.reset::<(Elsewhere, Five)>("alice").await?)
}

/// A backend that cannot be closed or cleared, and never answers otherwise.
#[derive(Debug)]
struct Stuck(ManualClock);

impl Stuck {
    fn error<T>() -> std::result::Result<T, BackendError> {
        Err(BackendError::unavailable("stuck"))
    }
}

impl Backend for Stuck {
    fn namespace(&self) -> &str {
        "stuck"
    }

    fn clock(&self) -> AnyClock {
        self.0.clone().into()
    }

    fn decide<'a>(&'a self, _: &[Hit<'_>]) -> Answer<'a, Decision> {
        MaybeReady::pending(async move { std::future::pending().await })
    }

    fn peek<'a>(&'a self, _: &[Hit<'_>]) -> Answer<'a, Decision> {
        MaybeReady::pending(async move { std::future::pending().await })
    }

    fn adjust<'a>(&'a self, _: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        MaybeReady::pending(async move { std::future::pending().await })
    }

    fn renew<'a>(&'a self, _: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        MaybeReady::pending(std::future::pending())
    }

    fn control<'a>(&'a self, _: ControlRequest<'_>) -> Answer<'a, Control> {
        MaybeReady::Ready(Err(BackendError::not_run("it has no settings")))
    }

    fn reset<'a>(&'a self, _: &[Hit<'_>]) -> Answer<'a, ()> {
        MaybeReady::pending(async move { std::future::pending().await })
    }

    fn clear(&self) -> Answer<'_, ()> {
        MaybeReady::pending(async move { Self::error() })
    }

    fn close(&self) -> Answer<'_, ()> {
        MaybeReady::pending(async move { Self::error() })
    }
}

#[tokio::test]
async fn failed_close_of_one_backend_closes_the_others() -> Result {
    let clock = ManualClock::new();
    for stuck_first in [true, false] {
        let (sound, stuck) = (store(&clock), Stuck(clock.clone()));
        let traffik = if stuck_first {
            Traffik::builder(stuck).backend("local", sound.clone())
        } else {
            Traffik::builder(sound.clone()).backend("local", stuck)
        };
        let traffik = traffik.build().unwrap();
        if stuck_first {
            let _ = traffik.limiter::<Local>("alice").check().await?;
        } else {
            let _ = traffik.limiter::<Five>("alice").check().await?;
        }
        assert!(traffik.clear().await.is_err() && sound.is_empty());
        assert!(traffik.close().await.is_err());
        assert!(matches!(sound.clear().await, Err(BackendError::Closed)));
    }
    Ok(())
}

#[tokio::test]
async fn deadline_follows_the_clock_of_its_backend_or_the_app() {
    let [owns, locals, apps] = [(); 3].map(|()| ManualClock::new());
    for own_clock in [false, true] {
        let mut builder = Traffik::builder(store(&owns)).backend("local", Stuck(locals.clone()));
        if own_clock {
            builder = builder.clock(apps.clone());
        }
        let traffik = builder.build().unwrap();
        let call = tokio::spawn(async move { traffik.limiter::<Local>("alice").check().await.map(drop) });
        let deadline = traffik::TraffikBuilder::DEFAULT_BACKEND_TIMEOUT;
        until_idle().await;
        let (moves, other) = if own_clock { (&apps, &locals) } else { (&locals, &apps) };
        for clock in [&owns, other] {
            clock.advance(deadline);
            until_idle().await;
            assert!(!call.is_finished());
        }
        moves.advance(deadline);
        let answer = call.await.unwrap();
        assert!(matches!(answer, Err(CheckError::Failed(Error::Backend(BackendError::Timeout(_))))), "{answer:?}");
    }
}
