//! One macro call is one source location, yet it may declare two throttles with one uid.

use traffik::{ConfigError, Traffik, backend::MemoryBackend, throttled};

macro_rules! handlers {
    ($($name:ident),+) => {
        $(#[throttled("one-place:same", "1/min")]
        async fn $name() {})+
    };
}

handlers!(one, other);

#[test]
fn throttles_declared_by_one_macro_call_are_distinct() {
    let _ = (one, other);
    let error = Traffik::builder(MemoryBackend::new("one-place")).strict().build().unwrap_err();
    let ConfigError::DuplicateUid { uid, first, second, .. } = &error else { panic!("{error}") };
    assert_eq!(**uid, *"one-place:same");
    assert!(first.contains("::one ") && second.contains("::other "), "{error}");
}
