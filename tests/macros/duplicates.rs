//! Throttles of one uid in one program. An app may use one of them.

mod log;

use traffik::{
    CheckError, ConfigError, DefaultIdentity, Error, Rate, Throttle, Traffik, TraffikBuilder, backend::MemoryBackend,
    throttled, warning::Warning,
};

use self::log::build;

// The library declares one with this uid too.
#[throttled("guestbook:search", "1/min")]
async fn search() {}

#[derive(Throttle)]
#[limit("duplicates:by-hand", "1/min")]
struct Declared;

struct ByHand;

impl Throttle for ByHand {
    const UID: &'static str = "duplicates:by-hand";
    const RATE: Rate = Rate::literal("1/min");
    type Identity = DefaultIdentity;
}

fn builder() -> TraffikBuilder {
    // The library is in the program only if something of it is used.
    let _ = (guestbook::routes, search);
    Traffik::builder(MemoryBackend::new("duplicates"))
}

#[tokio::test]
async fn throttle_in_a_test_function_works_in_its_own_app() {
    #[derive(Throttle)]
    #[limit("test:items", "1/min")]
    struct Items;

    let traffik = builder().register::<Items>().build().unwrap();
    drop(traffik.limiter::<Items>("client").check().await.unwrap());
    let checked = traffik.limiter::<Items>("client").check().await;
    assert!(matches!(checked, Err(CheckError::Refused(_))), "{checked:?}");
}

#[tokio::test]
async fn throttle_with_the_same_uid_works_in_another_app() {
    #[derive(Throttle)]
    #[limit("test:items", "1/min")]
    struct Items;

    let traffik = builder().build().unwrap();
    drop(traffik.limiter::<Items>("client").check().await.unwrap());
    let checked = traffik.limiter::<Items>("client").check().await;
    assert!(matches!(checked, Err(CheckError::Refused(_))), "{checked:?}");
}

#[test]
fn declared_throttles_with_one_uid_log_a_warning() {
    let (built, lines) = build(builder(), Warning::DuplicateUid);
    assert!(built.is_ok());
    let [line, items] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains("\"guestbook:search\"") && line.contains(Warning::DuplicateUid.docs()), "{line}");
    // File, line and column.
    assert!(line.contains("duplicates::search (tests/macros/duplicates.rs:13:13)"), "{line}");
    assert!(line.contains("guestbook::search (tests/macros/guestbook/src/lib.rs:"), "{line}");
    assert!(items.contains("\"test:items\""), "{items}");

    let (built, lines) = build(builder().silence(Warning::DuplicateUid), Warning::DuplicateUid);
    assert!(built.is_ok() && lines.is_empty(), "{lines:?}");
}

#[test]
fn declared_throttles_with_one_uid_fail_a_strict_build() {
    let (built, lines) = build(builder().strict().silence(Warning::DuplicateUid), Warning::DuplicateUid);
    let error = built.unwrap_err();
    let ConfigError::DuplicateUid { uid, first, second, .. } = &error else { panic!("{error}") };
    assert_eq!(**uid, *"guestbook:search");
    assert!(error.to_string().contains(&**first) && error.to_string().contains(&**second), "{error}");
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn second_throttle_with_one_uid_fails_on_first_use() {
    let traffik = builder().build().unwrap();
    drop(traffik.limiter::<ByHand>("client").check().await.unwrap());
    for _ in 0..2 {
        let error = traffik.limiter::<Declared>("client").check().await.unwrap_err();
        let CheckError::Failed(Error::Config(ConfigError::DuplicateUid { first, second, .. })) = &error else {
            panic!("{error}")
        };
        assert_eq!(**first, *"duplicates::ByHand");
        assert!(second.starts_with("duplicates::Declared (tests/macros/duplicates.rs:"), "{error}");
    }
    let checked = traffik.limiter::<ByHand>("client").check().await;
    assert!(matches!(checked, Err(CheckError::Refused(_))), "{checked:?}");
    assert!(traffik.register::<Declared>().is_err());
}

#[test]
fn registered_throttles_with_one_uid_fail_the_build() {
    let built = builder().register::<(ByHand, Declared)>().build();
    assert!(matches!(built, Err(ConfigError::DuplicateUid { .. })));
}
