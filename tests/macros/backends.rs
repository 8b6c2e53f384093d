//! Throttles that name a backend, where the app lacks it or where one decision would need two.

mod log;

use std::{cell::Cell, sync::LazyLock};

use traffik::{
    CheckError, ConfigError, Error, Settings, Throttle, Traffik, TraffikBuilder,
    backend::{Backend, MaybeReady, MemoryBackend},
    on_error::Fallback,
    throttled,
    warning::Warning,
};

use self::log::build;

#[throttled("backends:own", "5/min")]
#[throttled("backends:local", "5/s", backend = "local")]
async fn across() {}

#[derive(Throttle)]
#[limit("backends:derived", "5/min", backend = "local")]
struct Derived;

#[derive(Throttle)]
#[limit("backends:plain", "5/min")]
struct Plain;

#[throttled(Derived)]
async fn fine() {}

/// The fallback of another app.
static FALLBACK: LazyLock<MemoryBackend> = LazyLock::new(|| MemoryBackend::new("fallback"));

thread_local! {
    static EVALUATED: Cell<u32> = const { Cell::new(0) };
}

#[derive(Throttle)]
#[limit("backends:fallback", "5/min", settings = with_fallback)]
struct WithFallback;

#[throttled(WithFallback)]
#[throttled("backends:stacked", "5/min")]
async fn stacked() {}

fn with_fallback(settings: Settings) -> Settings {
    EVALUATED.set(EVALUATED.get() + 1);
    settings.on_error(Fallback::to(FALLBACK.clone()))
}

fn backend() -> MemoryBackend {
    let _ = (across, fine, stacked);
    MemoryBackend::new("backends")
}

fn without_local() -> TraffikBuilder {
    Traffik::builder(backend()).backend("other", backend())
}

fn with_local() -> TraffikBuilder {
    Traffik::builder(backend()).backend("local", backend())
}

#[tokio::test]
async fn app_without_the_backend_of_a_declared_throttle_is_built_with_a_warning() {
    let (built, lines) = build(without_local(), Warning::MissingBackend);
    let [derived, local] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(derived.contains("backends::Derived (tests/macros/backends.rs:"), "{derived}");
    assert!(local.contains("\"local\"") && local.contains("has [\"other\"]"), "{local}");

    let traffik = built.unwrap();
    drop(traffik.limiter::<Plain>("client").check().await.unwrap());
    let error = traffik.limiter::<Derived>("client").check().await.unwrap_err();
    assert!(matches!(error, CheckError::Failed(Error::Config(ConfigError::NoBackend { .. }))), "{error}");
}

#[test]
fn strict_app_or_registered_throttle_without_the_backend_fails_the_build() {
    for app in [without_local().strict(), without_local().register::<Derived>()] {
        let error = app.build().unwrap_err();
        let ConfigError::NoBackend { uid, backend, .. } = &error else { panic!("{error}") };
        assert_eq!((&**uid, &**backend), (Derived::UID, "local"));
    }
}

#[test]
fn stacked_throttles_in_two_backends_log_a_warning() {
    let (built, lines) = build(with_local(), Warning::TwoBackends);
    assert!(built.is_ok());
    assert!(matches!(lines.as_slice(), [line] if line.contains("\"backends:own\" (in the app's own")), "{lines:?}");
}

#[test]
fn stacked_throttles_in_two_backends_fail_a_strict_build() {
    let error = with_local().strict().build().unwrap_err();
    let ConfigError::TwoBackends { first, first_backend, second, second_backend, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((&**first, first_backend.as_deref()), ("backends:own", None));
    assert_eq!((&**second, second_backend.as_deref()), ("backends:local", Some("local")));
}

#[tokio::test]
async fn settings_of_a_declared_throttle_are_evaluated_once_per_app() {
    let traffik = with_local().register::<(WithFallback, Plain)>().build().unwrap();
    drop(traffik.limiter::<WithFallback>("client").check().await.unwrap());
    assert_eq!(EVALUATED.get(), 1);
}

#[tokio::test]
async fn closed_app_leaves_fallbacks_of_unused_throttles_open() {
    with_local().build().unwrap().close().await.unwrap();
    assert!(matches!(FALLBACK.clear(), MaybeReady::Ready(Ok(()))));
}
