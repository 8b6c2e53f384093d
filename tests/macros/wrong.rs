//! A wrong throttle declaration is found when an app is built, and the error names its uid.

use traffik::{ConfigError, Traffik, backend::MemoryBackend, strategy::TokenBucket, throttled};

#[throttled("wrong:burst", "5/min", strategy = TokenBucket::new().burst(0))]
async fn without_a_burst() {}

#[test]
fn wrong_declaration_fails_the_build_with_its_uid_and_reason() {
    let _ = without_a_burst;
    let error = Traffik::builder(MemoryBackend::new("wrong")).build().unwrap_err();
    assert!(matches!(&error, ConfigError::Strategy { uid, .. } if **uid == *"wrong:burst"), "{error}");
    let error = error.to_string();
    assert!(error.contains("wrong::without_a_burst (tests/macros/wrong.rs:5:13)"), "{error}");
    assert!(error.contains("at least 1"), "{error}");
}
