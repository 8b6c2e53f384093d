//! Settings out of range, which fail when the app or its parts are built.

use std::time::Duration;

use traffik::{
    ConfigError, DefaultIdentity, OutOfRange, Rate, Settings, Throttle, Traffik, TraffikBuilder,
    backend::MemoryBackend,
    on_error::{Failover, Fallback},
};

fn memory() -> MemoryBackend {
    MemoryBackend::new("test")
}

fn build(settings: fn(TraffikBuilder) -> TraffikBuilder) -> Result<(), ConfigError> {
    settings(Traffik::builder(memory())).build().map(drop)
}

fn out_of_range(settings: fn(TraffikBuilder) -> TraffikBuilder) -> Option<OutOfRange> {
    if let Err(ConfigError::OutOfRange(error)) = build(settings) { Some(error) } else { None }
}

#[test]
fn ipv6_prefix_above_128_is_an_error() {
    let error = out_of_range(|app| app.ipv6_prefix(129)).unwrap();
    assert_eq!(error.to_string(), "`TraffikBuilder::ipv6_prefix` is 129: set it to a value from 0 to 128");
    assert_eq!((error.setting(), error.value(), error.range()), ("TraffikBuilder::ipv6_prefix", 129, 0..=128));
    for bits in [0, 128] {
        assert!(Traffik::builder(memory()).ipv6_prefix(bits).build().is_ok(), "{bits}");
    }
}

#[test]
fn backend_timeout_out_of_range_is_an_error() {
    let error = out_of_range(|app| app.backend_timeout(Duration::ZERO)).unwrap();
    let words = "`TraffikBuilder::backend_timeout: microseconds` is 0: set it to a value from 1000 to 86400000000";
    assert_eq!(error.to_string(), words);
    let too_short = out_of_range(|app| app.backend_timeout(Duration::from_micros(999))).unwrap();
    assert_eq!((too_short.value(), too_short.range()), (999, 1_000..=86_400_000_000));
    assert!(out_of_range(|app| app.backend_timeout(Duration::MAX)).is_some());
    for timeout in [Duration::from_millis(1), Duration::from_secs(86_400)] {
        assert!(Traffik::builder(memory()).backend_timeout(timeout).build().is_ok(), "{timeout:?}");
    }
}

#[test]
fn max_entries_out_of_range_is_an_error() {
    let build = |entries| MemoryBackend::builder("test").max_entries(entries).build().map(drop);
    for entries in [0, 15, (1 << 28) + 1, usize::MAX] {
        let error = build(entries).unwrap_err();
        assert_eq!((error.value(), error.range()), (entries as u64, 16..=1 << 28));
    }
    assert_eq!(build(16), Ok(()));
}

#[test]
fn share_of_zero_processes_is_an_error() {
    let fallback = out_of_range(|app| app.on_error(Fallback::to(memory()).share(0))).unwrap();
    assert_eq!(fallback.to_string(), "`Fallback::share` is 0: set it to a value of at least 1");
    let failover = out_of_range(|app| app.on_error(Failover::to(memory()).share(0))).unwrap();
    assert_eq!(failover.setting(), "Failover::share");
    assert!(build(|app| app.on_error(Fallback::to(memory()).share(1))).is_ok());
}

struct Shared;

impl Throttle for Shared {
    const UID: &'static str = "out-of-range:share";
    const RATE: Rate = Rate::literal("1/min");
    type Identity = DefaultIdentity;

    fn settings() -> Settings {
        Settings::new().on_error(Fallback::to(memory()).share(0))
    }
}

#[tokio::test]
async fn share_of_zero_in_a_throttle_is_an_error_that_names_it() {
    let error = build(|app| app.register::<Shared>()).unwrap_err();
    let ConfigError::Setting { uid, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**uid, source.setting(), source.value()), ("out-of-range:share", "Fallback::share", 0));
    assert!(error.to_string().contains("Shared"), "{error}");
    // An unregistered throttle is checked on first use.
    let error = Traffik::new(memory()).unwrap().limiter::<Shared>("alice").check().await.unwrap_err();
    assert!(error.to_string().contains("`Fallback::share` is 0"), "{error}");
}
