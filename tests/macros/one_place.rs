//! One call of a macro is one place, and yet may declare two throttles of one uid.

use traffik::{ConfigError, Traffik, backend::MemoryBackend, throttled};

macro_rules! handlers {
    ($($name:ident),+) => {
        $(#[throttled("one-place:same", "1/min")]
        async fn $name() {})+
    };
}

handlers!(one, other);

#[test]
fn two_throttles_that_a_macro_declares_in_one_place_are_two() {
    let _ = (one, other);
    let error = Traffik::builder(MemoryBackend::new("one-place")).strict().build().unwrap_err();
    let ConfigError::DuplicateUid { uid, first, second, .. } = &error else { panic!("{error}") };
    assert_eq!(**uid, *"one-place:same");
    assert!(first.contains("::one ") && second.contains("::other "), "{error}");
}
