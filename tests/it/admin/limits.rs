//! Limits and their settings.

use std::time::Duration;

use axum::{Router, body::Body, http::Request};
use futures_util::FutureExt;
use serde_json::json;
use tests::admits;
use tower::ServiceExt;
use traffik::{
    Rule, Settings, SlidingWindowLog,
    admin::{self, Guard},
    control::Source,
};

use super::{Result, SECRET, knowing};
use crate::http::app::throttle;

throttle!(Search, "admin:search", "5/hour");
throttle!(Other, "admin:other/one", "5/hour");
throttle!(Log, "admin:log", "2/min", Settings::new().strategy(SlidingWindowLog));

#[tokio::test]
async fn first_answer_has_what_a_page_shows() -> Result {
    let (traffik, api, _) = knowing::<(Search, Other)>()?;
    traffik.limit("admin:search")?.set_cost(2);
    let all = api.get("").await?;
    assert_eq!(all.status, 200);
    assert_eq!(all.body["namespace"], "test");
    assert_eq!(all.body["disabled"], false);
    assert_eq!(all.body["operator"], json!({ "name": "bearer", "may_change": true }));
    assert_eq!(all.body["outlives_restart"], json!({ "local": false, "shared": false, "file": true }));
    assert_eq!(all.body["health"], serde_json::to_value(traffik.health())?);
    assert_eq!(all.body["limits"], serde_json::to_value(traffik.limits())?);
    assert_eq!((&all.body["limits_file"], &all.body["lost_settlements"]), (&json!(null), &json!(0)));
    assert_eq!(api.get("/limits").await?.body, all.body["limits"]);
    let one = api.get("/limits/admin:search").await?.body;
    assert_eq!(
        (&one["uid"], &one["cost"]["value"], &one["cost"]["source"]),
        (&json!("admin:search"), &json!(2), &json!("local"))
    );
    assert_eq!(api.get("/limits/admin:other%2Fone").await?.body["uid"], "admin:other/one");
    Ok(())
}

#[tokio::test]
async fn settings_change_in_the_scope_that_the_request_names() -> Result {
    let (traffik, api, _) = knowing::<Search>()?;
    let search = traffik.limit("admin:search")?;
    let shared = api.patch("/limits/admin:search", r#"{"rate": "20/hour", "cost": 2}"#).await?;
    assert_eq!(
        (shared.status, &shared.body["scope"], &shared.body["outlives_restart"]),
        (200, &json!("shared"), &json!(false))
    );
    assert_eq!(shared.body["limit"]["rate"]["value"], "20/hour");
    assert_eq!((search.info()?.rate().source(), search.info()?.cost().source()), (Source::Shared, Source::Shared));
    let local = api.patch("/limits/admin:search?scope=local", r#"{"rate": "30/hour", "dry_run": true}"#).await?;
    assert_eq!((&local.body["scope"], &local.body["outlives_restart"]), (&json!("local"), &json!(false)));
    assert_eq!((search.info()?.rate().value(), search.info()?.rate().source()), ("30/hour".parse()?, Source::Local));
    assert_eq!(traffik.limiter::<Search>("alice").peek().await?.tightest().capacity(), 30);

    let cleared = api.post("/limits/admin:search/clear?scope=local", r#"{"setting": "rate"}"#).await?;
    assert_eq!(cleared.body["limit"]["rate"]["source"], "shared");
    assert_eq!(cleared.body["limit"]["dry_run"]["source"], "local");
    api.post("/limits/admin:search/clear?scope=local", "").await?;
    assert_eq!(search.info()?.dry_run().source(), Source::Code);
    api.post("/limits/admin:search/clear?scope=shared", r#"{"setting": "cost"}"#).await?;
    assert_eq!((search.info()?.rate().source(), search.info()?.cost().source()), (Source::Shared, Source::Code));
    api.post("/limits/admin:search/clear", "{}").await?;
    assert_eq!(search.info()?.rate().source(), Source::Code);
    Ok(())
}

#[tokio::test]
async fn limit_is_disabled_for_a_time_and_enabled() -> Result {
    let (traffik, api, clock) = knowing::<Search>()?;
    let is_counted = || {
        let limits = traffik.limiter::<Search>("alice").peek().now_or_never().ok_or("it waits")??;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(limits.tightest().is_counted())
    };
    for scope in ["local", "shared"] {
        api.post(&format!("/limits/admin:search/disable?scope={scope}"), r#"{"for": "1m 30s"}"#).await?;
        assert!(!is_counted()?);
        clock.advance(Duration::from_secs(89));
        assert!(!is_counted()?, "{scope}");
        clock.advance(Duration::from_secs(1));
        assert!(is_counted()?, "{scope}");
        assert_eq!(api.post(&format!("/limits/admin:search/disable?scope={scope}"), "").await?.status, 200);
        clock.advance(Duration::from_secs(86_400));
        assert!(!is_counted()?);
        let enabled = api.post(&format!("/limits/admin:search/enable?scope={scope}"), "").await?;
        assert_eq!(enabled.body["limit"]["enabled"]["sources"][0], json!({ "source": scope, "value": true }));
        assert!(is_counted()?);
        api.post(&format!("/limits/admin:search/clear?scope={scope}"), "").await?;
    }
    Ok(())
}

#[tokio::test]
async fn all_limits_are_disabled_and_enabled() -> Result {
    let (traffik, api, _) = knowing::<(Search, Other)>()?;
    let are_on =
        || traffik.limits().iter().map(|limit| limit.enabled().value()).collect::<std::collections::HashSet<_>>();
    for scope in ["local", "shared"] {
        let all = api.post(&format!("/disable-all?scope={scope}"), "").await?;
        assert_eq!((all.status, &all.body["scope"]), (200, &json!(scope)));
        assert_eq!(all.body["limits"].as_array().map(Vec::len), Some(traffik.limits().len()));
        assert_eq!(are_on(), [false].into());
        api.post(&format!("/enable-all?scope={scope}"), "").await?;
        assert_eq!(are_on(), [true].into());
        // A local change would be stronger than the shared one.
        api.post("/clear-changes", "").await?;
    }
    api.patch("/limits/admin:search?scope=local", r#"{"cost": 3, "enabled": false}"#).await?;
    assert_eq!(api.post("/clear-changes", "").await?.body["scope"], "local");
    let search = traffik.limit("admin:search")?.info()?;
    assert_eq!((search.cost().source(), search.enabled().source()), (Source::Code, Source::Code));
    Ok(())
}

#[tokio::test]
async fn added_rules_are_counted_and_cleared() -> Result {
    let (traffik, api, _) = knowing::<Search>()?;
    traffik.limit("admin:search")?.add_rule(Rule::path("/search"))?;
    assert_eq!(api.get("/limits/admin:search").await?.body["added_rules"], 1);
    let refused = api.post("/limits/admin:search/clear", r#"{"setting": "rules"}"#).await?;
    assert_eq!(refused.problem(), (422, "rules are never shared: clear those of this process with `scope=local`"));
    let cleared = api.post("/limits/admin:search/clear?scope=local", r#"{"setting": "rules"}"#).await?;
    assert_eq!(cleared.body["limit"]["added_rules"], 0);
    Ok(())
}

#[tokio::test]
async fn health_is_shown_and_checked() -> Result {
    let (_, api, _) = knowing::<Search>()?;
    assert_eq!(api.get("/health").await?.body["backends"][0]["answers"], json!(null));
    let checked = api.post("/health/check", "").await?;
    assert_eq!((&checked.body["ready"], &checked.body["backends"][0]["answers"]), (&json!(true), &json!(true)));
    assert_eq!(api.get("/health").await?.body["backends"][0]["answers"], true);
    Ok(())
}

#[tokio::test]
async fn shared_changes_are_read_on_request() -> Result {
    let (builder, clock) = crate::http::app::builder();
    let backend = traffik::MemoryBackend::with_clock("shared", clock);
    drop(builder);
    let (here, there) = (
        traffik::Traffik::builder(backend.clone()).register::<Search>().build()?,
        traffik::Traffik::builder(backend).register::<Search>().build()?,
    );
    let (api, other) = (super::Api::new(&here)?, super::Api::new(&there)?);
    api.patch("/limits/admin:search", r#"{"rate": "1/hour"}"#).await?;
    let refreshed = other.post("/refresh", "").await?;
    let search = refreshed.body.as_array().and_then(|all| all.iter().find(|limit| limit["uid"] == "admin:search"));
    assert_eq!(search.map(|limit| limit["rate"]["source"].clone()), Some(json!("shared")));
    assert!(admits::<Search>(&there, "alice").await? && !admits::<Search>(&there, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn rate_that_the_strategy_does_not_support_changes_nothing() -> Result {
    let (traffik, api, _) = knowing::<Log>()?;
    for scope in ["local", "shared"] {
        let path = format!("/limits/admin:log?scope={scope}");
        let refused = api.patch(&path, r#"{"rate": "70000/s", "cost": 2}"#).await?;
        let (status, detail) = refused.problem();
        assert!(status == 422 && detail.contains("cannot be changed to the rate 70000/s"), "{refused:?}");
    }
    let log = traffik.limit("admin:log")?.info()?;
    assert_eq!((log.rate().source(), log.cost().source()), (Source::Code, Source::Code));
    Ok(())
}

#[tokio::test]
async fn router_below_a_path_with_parameters_finds_its_limits() -> Result {
    let (traffik, ..) = knowing::<Search>()?;
    let admin = || Result::Ok(admin::router(&traffik, Guard::bearer(SECRET)?));
    for (router, path) in [
        (Router::new().nest("/tenants/{tenant}/admin", admin()?), "/tenants/acme/admin"),
        (Router::new().nest_service("/{uid}/admin", admin()?), "/other/admin"),
    ] {
        let router = router.layer(traffik.layer());
        let status = async |method: &str, limit: &str, body: &'static str| {
            let request = Request::builder().method(method).uri(format!("{path}/limits/{limit}"));
            let request =
                request.header("authorization", format!("Bearer {SECRET}")).header("content-type", "application/json");
            Result::Ok(router.clone().oneshot(request.body(Body::from(body))?).await?.status().as_u16())
        };
        assert_eq!(status("GET", "admin:search", "").await?, 200);
        assert_eq!(status("PATCH", "admin:search", r#"{"cost": 2}"#).await?, 200);
        assert_eq!(status("PUT", "site", r#"{"rate": "5/min"}"#).await?, 200);
        assert_eq!(traffik.limit("site")?.info()?.rate().value(), "5/min".parse()?);
        assert_eq!(status("DELETE", "site", "").await?, 200);
        assert!(traffik.limit("site").is_err());
        assert_eq!(status("GET", "%FF", "").await?, 400);
    }
    Ok(())
}
