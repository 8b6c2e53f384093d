//! A throttle that is declared wrong is found when an app is built, under the name that it was given.

use traffik::{ConfigError, Traffik, backend::MemoryBackend, strategy::TokenBucket, throttled};

#[throttled("wrong:burst", "5/min", strategy = TokenBucket::new().burst(0))]
async fn without_a_burst() {}

#[test]
fn building_an_app_says_what_is_wrong_and_where() {
    let _ = without_a_burst;
    let error = Traffik::builder(MemoryBackend::new("wrong")).build().unwrap_err();
    assert!(matches!(&error, ConfigError::Strategy { uid, .. } if **uid == *"wrong:burst"), "{error}");
    let error = error.to_string();
    assert!(error.contains("wrong::without_a_burst (tests/macros/wrong.rs:5:13)"), "{error}");
    assert!(error.contains("at least 1"), "{error}");
}
