//! What the log says of changes.

use std::time::Duration;

use axum::{
    http::{Request, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use traffik::{
    Traffik,
    admin::{Guard, Operator},
};

use super::{Api, Result};
use crate::{
    http::{
        app::{builder, throttle},
        logs::Log,
    },
    on_error::backends::{Mood, Moody},
};

throttle!(Logged, "admin:logged", "5/hour");

const SECRET: &str = "the secret of logs";

/// Returns the lines of the router, without the time.
fn lines(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text.lines().filter_map(|line| line.split_once(" traffik::admin: "));
    lines.map(|(before, line)| format!("{} {line}", before.rsplit(' ').next().unwrap_or_default())).collect()
}

#[tokio::test]
async fn change_is_logged_with_its_operator_and_values() -> Result {
    let (log, _guard) = Log::begin();
    let traffik = builder().0.register::<Logged>().build()?;
    let api = Api::new(&traffik)?;
    api.get("").await?;
    api.patch("/limits/admin:logged?scope=local", r#"{"rate": "20/hour", "dry_run": true}"#).await?;
    api.patch("/limits/admin:logged", r#"{"rate": "30/hour"}"#).await?;
    api.post("/limits/admin:logged/disable?scope=local", r#"{"for": "10m"}"#).await?;
    api.post("/limits/admin:logged/clear?scope=local", r#"{"setting": "rate"}"#).await?;
    api.patch("/limits/admin:logged", r#"{"rate": "wrong"}"#).await?;
    let of = r#"an operator made a change operator="bearer" uid="admin:logged""#;
    let expected = [
        format!(r#"INFO {of} change="rate" value="20/hour" scope=local from="5/hour" to="20/hour""#),
        format!(r#"INFO {of} change="dry_run" value="true" scope=local from="false" to="true""#),
        format!(r#"INFO {of} change="rate" value="30/hour" scope=shared from="20/hour" to="20/hour""#),
        format!(r#"INFO {of} change="enabled" value="false for 10m" scope=local from="true" to="false""#),
        format!(r#"INFO {of} change="rate" value="cleared" scope=local from="20/hour" to="30/hour""#),
    ];
    assert_eq!(lines(&log), expected);
    Ok(())
}

#[tokio::test]
async fn clients_are_logged_as_digests_and_reasons_not_at_all() -> Result {
    let (log, _guard) = Log::begin();
    let traffik = builder().0.log_secret(SECRET).register::<Logged>().build()?;
    let api = Api::new(&traffik)?;
    let path = |verb: &str| format!("/limits/admin:logged/{verb}");
    api.post(&path("block"), r#"{"client": "203.0.113.7", "for": "1m", "reason": "203.0.113.7 scrapes"}"#).await?;
    api.post(&path("override"), r#"{"client": "203.0.113.7", "rate": "9/hour"}"#).await?;
    api.post(&path("unblock"), r#"{"client": "203.0.113.7"}"#).await?;
    api.post(&path("reset"), r#"{"client": "203.0.113.7"}"#).await?;
    let clients = traffik.limit("admin:logged")?.clients();
    let digest = clients.first().map(|client| client.digest()).unwrap_or_default();
    let of = r#"INFO an operator made a change operator="bearer" uid="admin:logged""#;
    let client = format!(r#"client="{digest}""#);
    let expected = [
        format!(r#"{of} change="block" value="for 1m" scope=shared {client} from="none" to="for 1m""#),
        format!(
            r#"{of} change="override" value="9/hour, until removed" scope=shared {client} from="none" to="9/hour, until removed""#
        ),
        format!(r#"{of} change="block" value="removed" scope=shared {client} from="for 1m" to="none""#),
        format!(r#"{of} change="reset" value="fresh" {client}"#),
    ];
    assert_eq!(lines(&log), expected);
    assert!(!log.text().contains("203.0.113"), "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn all_limits_are_one_line() -> Result {
    let (log, _guard) = Log::begin();
    let traffik = builder().0.register::<Logged>().build()?;
    let count = traffik.limits().len();
    Api::new(&traffik)?.post("/disable-all", "").await?;
    let expected = format!(
        "INFO an operator made a change operator=\"bearer\" change=\"all\" value=\"disabled\" scope=shared \
         from=\"{count} of {count} enabled\" to=\"0 of {count} enabled\""
    );
    assert_eq!(lines(&log), [expected]);
    Ok(())
}

#[tokio::test]
async fn failed_change_and_stranger_are_warnings_without_the_token() -> Result {
    let (log, _guard) = Log::begin();
    let backend = Moody::new(&traffik::test::ManualClock::new());
    let traffik = Traffik::builder(backend.clone()).register::<Logged>().build()?;
    let api = Api::new(&traffik)?;
    backend.is(Mood::IsAway);
    assert_eq!(api.patch("/limits/admin:logged", r#"{"cost": 2}"#).await?.status, 503);
    for _ in 0..5 {
        assert_eq!(api.with_token("a token of sixteen").get("").await?.status, 401);
    }
    let lines = lines(&log);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let failed =
        r#"WARN the change of an operator failed operator="bearer" uid="admin:logged" change="cost" value="2""#;
    assert!(lines[0].starts_with(failed) && lines[0].contains("there is no connection"), "{lines:?}");
    assert_eq!(lines[1], "WARN the guard did not let a request in status=401");
    assert!(!log.text().contains("sixteen") && !log.text().contains(super::SECRET), "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn every_response_of_a_guard_is_a_warning_with_its_status() -> Result {
    let (log, _guard) = Log::begin();
    let (builder, clock) = builder();
    let traffik = builder.register::<Logged>().build()?;
    let rejection = |parts: &Parts| match parts.headers.get("cookie") {
        Some(_) => "not found".into_response(),
        None => Redirect::to("/login").into_response(),
    };
    let guard = Guard::by(move |parts: &Parts| Err::<Operator, Response>(rejection(parts)));
    let api = Api::behind(&traffik, guard);
    assert_eq!(api.send(Request::get("/admin"), "").await?.status(), 303);
    clock.advance(Duration::from_secs(1));
    assert_eq!(api.send(Request::get("/admin").header("cookie", "a guess"), "").await?.status(), 200);
    let of = "WARN the guard did not let a request in status=";
    assert_eq!(lines(&log), [303, 200].map(|status| format!("{of}{status}")));
    Ok(())
}
