//! The log of refusals: sampled, and without clients.

use std::time::Duration;

use axum::{Router, routing::get};
use tests::admits;
use traffik::{Client, MemoryBackend, Settings, Throttled, Traffik, observe::LogLevel, test::ManualClock};

use super::{
    app::{builder, throttle},
    logs::Log,
    server::get_from,
};

throttle!(Item, "refusal-logs:item", "1/min");
throttle!(Other, "refusal-logs:other", "1/min");
throttle!(ByKey, "refusal-logs:by-key", "1/min", Settings::new().identity(|_| Client::secret("hunter2")));

const SECRET: &str = "0123456789abcdef";

fn app(traffik: &Traffik) -> Router {
    Router::new().route("/items/{id}", get(|_: Throttled<Item>| async {})).layer(traffik.layer())
}

fn lines(log: &Log) -> Vec<String> {
    log.text().lines().filter(|line| line.contains("a limit refused")).map(str::to_owned).collect()
}

/// Returns the value of a field.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let value = line.split_once(&format!(" {name}="))?.1;
    value.split(' ').next().map(|value| value.trim_matches('"'))
}

#[tokio::test]
async fn refusal_is_logged_with_its_limit_path_and_wait() {
    let (log, _guard) = Log::begin();
    let (builder, _) = builder();
    let app = app(&builder.log_refusals(LogLevel::Warn).build().unwrap());
    for status in [200, 429] {
        assert_eq!(get_from(&app, "203.0.113.7:1", "/items/42?token=hunter2").await.status, status);
    }
    let lines = lines(&log);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains(" WARN traffik: a limit refused"), "{line}");
    let fields = ["uid", "outcome", "cost", "retry_after", "path", "left_out"].map(|name| field(line, name));
    assert_eq!(fields, ["refusal-logs:item", "refused", "1", "60.0", "/items/{id}", "0"].map(Some));
    assert!(field(line, "client").is_some_and(|digest| digest.len() == 16), "{line}");
    // The time and the digest may contain any digits.
    assert!(!line.contains("203.0.113") && !line.contains("hunter2") && !line.contains("/42"), "{line}");
}

#[tokio::test]
async fn flood_is_one_line_a_second_for_each_limit() {
    let (log, _guard) = Log::begin();
    let (builder, clock) = builder();
    let traffik = builder.log_refusals(LogLevel::Info).build().unwrap();
    for _ in 0..100 {
        admits::<Item>(&traffik, "alice").await.unwrap();
    }
    for _ in 0..2 {
        admits::<Other>(&traffik, "alice").await.unwrap();
    }
    clock.advance(Duration::from_secs(1));
    assert!(!admits::<Item>(&traffik, "alice").await.unwrap());
    let lines = lines(&log);
    let seen: Vec<_> = lines.iter().map(|line| (field(line, "uid"), field(line, "left_out"))).collect();
    let expected = [("refusal-logs:item", "0"), ("refusal-logs:other", "0"), ("refusal-logs:item", "98")];
    assert_eq!(seen, expected.map(|(uid, left_out)| (Some(uid), Some(left_out))));
}

#[tokio::test]
async fn refusals_are_not_logged_by_default_above_debug() {
    let (log, _guard) = Log::begin();
    let traffiks = [builder().0.build().unwrap(), builder().0.log_refusals(LogLevel::Off).build().unwrap()];
    for traffik in traffiks {
        for _ in 0..2 {
            admits::<Item>(&traffik, "alice").await.unwrap();
        }
    }
    assert_eq!(lines(&log), Vec::<String>::new());
}

#[tokio::test]
async fn digest_of_a_client_depends_on_the_secret_alone() {
    let digest = async |secret: Option<&str>, client: Client| {
        let (log, _guard) = Log::begin();
        let builder = Traffik::builder(MemoryBackend::with_clock("test", ManualClock::new()));
        let builder = builder.log_refusals(LogLevel::Info);
        let builder = if let Some(secret) = secret { builder.log_secret(secret) } else { builder };
        let traffik = builder.build().unwrap();
        for _ in 0..2 {
            admits::<Item>(&traffik, client.clone()).await.unwrap();
        }
        lines(&log).first().and_then(|line| field(line, "client")).map(str::to_owned)
    };
    let alice = digest(Some(SECRET), "alice".into()).await;
    assert!(alice.is_some());
    assert_eq!(alice, digest(Some(SECRET), "alice".into()).await);
    assert_ne!(alice, digest(Some(SECRET), "bob".into()).await);
    assert_ne!(alice, digest(Some(SECRET), Client::secret("alice")).await);
    assert_ne!(alice, digest(Some("another secret of"), "alice".into()).await);
    assert_ne!(digest(None, "alice".into()).await, digest(None, "alice".into()).await);
}

#[tokio::test]
async fn secret_client_is_logged_as_a_digest() {
    let (log, _guard) = Log::begin();
    let (builder, _) = builder();
    let traffik = builder.log_refusals(LogLevel::Info).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<ByKey>| async {})).layer(traffik.layer());
    for status in [200, 429] {
        assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, status);
    }
    assert_eq!(lines(&log).len(), 1);
    assert!(!log.text().contains("hunter2"), "{}", log.text());
}

#[tokio::test]
async fn short_secret_is_an_error() {
    let error = builder().0.log_secret("short").build().unwrap_err().to_string();
    assert!(error.contains("TraffikBuilder::log_secret") && error.contains("at least 16"), "{error}");
}
