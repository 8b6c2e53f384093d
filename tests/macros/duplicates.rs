//! Throttles of one uid that macros declare are found when an app is built, wherever they are.

use traffik::{ConfigError, DefaultIdentity, Rate, Throttle, Traffik, backend::MemoryBackend, throttled};

// The library declares one with this uid too.
#[throttled("guestbook:search", "1/min")]
async fn search() {}

#[derive(Throttle)]
#[limit("duplicates:used", "1/min")]
struct Used;

#[derive(Throttle)]
#[limit("duplicates:by-hand", "1/min")]
struct Declared;

struct ByHand;

impl Throttle for ByHand {
    const UID: &'static str = "duplicates:by-hand";
    const RATE: Rate = Rate::literal("1/min");
    type Identity = DefaultIdentity;
}

fn backend() -> MemoryBackend {
    // The library is in the program only if something of it is used.
    let _ = (guestbook::routes, search);
    MemoryBackend::new("duplicates")
}

#[test]
fn building_an_app_names_both() {
    let error = Traffik::builder(backend()).build().unwrap_err();
    let ConfigError::DuplicateUid { uid, first, second } = &error else { panic!("{error}") };
    assert_eq!(*uid, "guestbook:search");
    // File, line and column.
    assert_eq!(*first, "duplicates::search (tests/macros/duplicates.rs:6:13)");
    assert!(second.starts_with("guestbook::search (tests/macros/guestbook/src/lib.rs:"), "{second}");
    assert!(error.to_string().contains(first) && error.to_string().contains(second), "{error}");
}

#[tokio::test]
async fn without_a_build_only_what_cannot_be_told_apart_fails() {
    let traffik = Traffik::new(backend());
    assert!(traffik.hit::<Used>("client").await.unwrap().is_admitted());

    let error = traffik.hit::<ByHand>("client").await.unwrap_err().to_string();
    let place = "duplicates::Declared (tests/macros/duplicates.rs:";
    assert!(error.contains(place) && error.contains("duplicates::ByHand"), "{error}");
    assert!(traffik.hit::<Declared>("client").await.unwrap().is_admitted());
}

#[tokio::test]
async fn a_test_binary_may_allow_them() {
    let traffik = Traffik::builder(backend()).allow_duplicate_uids().build().unwrap();
    assert!(traffik.hit::<ByHand>("client").await.unwrap().is_admitted());
}
