//! Throttles that name a backend, where the app lacks it or where one decision would need two: found when an app is built.

use traffik::{ConfigError, Throttle, Traffik, backend::MemoryBackend, throttled};

#[throttled("backends:own", "5/min")]
#[throttled("backends:local", "5/s", backend = "local")]
async fn across() {}

#[derive(Throttle)]
#[limit("backends:derived", "5/min", backend = "local")]
struct Derived;

#[throttled(Derived)]
async fn fine() {}

fn backend() -> MemoryBackend {
    let _ = (across, fine);
    MemoryBackend::new("backends")
}

#[test]
fn building_an_app_names_the_backend_that_it_lacks() {
    let error = Traffik::builder(backend()).backend("other", backend()).build().unwrap_err();
    assert!(matches!(error, ConfigError::NoBackend { backend: "local", .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("(tests/macros/backends.rs:") && error.contains("has [\"other\"]"), "{error}");
}

#[test]
fn building_an_app_names_the_limits_that_cannot_be_one_decision() {
    let built = Traffik::builder(backend()).backend("local", backend()).build();
    let expected = ConfigError::TwoBackends {
        first: "backends:own",
        first_backend: None,
        second: "backends:local",
        second_backend: Some("local"),
    };
    assert_eq!(built.map(|_| ()), Err(expected));
}

#[tokio::test]
async fn without_a_build_only_what_lacks_its_backend_fails() {
    let traffik = Traffik::new(backend());
    assert!(matches!(traffik.hit::<Derived>("client").await.unwrap_err(), traffik::Error::Config(_)));
}
