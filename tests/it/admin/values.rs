//! Limits as values, and limits whose requests choose a backend.

use axum::http::request::Parts;
use serde_json::json;
use traffik::{
    FixedWindow, MemoryBackend, Settings, Traffik,
    admin::{Guard, Operator},
};

use super::{Api, Result, SECRET, knowing};
use crate::http::{
    app::{builder, throttle},
    logs::Log,
};

fn region(_: &Parts) -> &'static str {
    "eu"
}

throttle!(Typed, "admin:typed", "5/hour");
throttle!(Regional, "admin:regional", "5/hour", Settings::new().backend_of(region));

#[tokio::test]
async fn limit_is_added_replaced_and_removed() -> Result {
    let (log, _guard) = Log::begin();
    let (traffik, api, _) = knowing::<Typed>()?;
    let body = json!({
        "rate": "10/min",
        "cost": 2,
        "dry_run": true,
        "strategy": { "name": "token-bucket", "burst": 20 },
        "penalty": { "refusals": 3, "time": "1m", "longest": "1h" },
        "fields": "both",
    });
    let added = api.put("/limits/tenant:acme", &body.to_string()).await?;
    assert_eq!(
        (added.status, &added.body["scope"], &added.body["outlives_restart"]),
        (200, &json!("local"), &json!(false))
    );
    assert_eq!(added.body["limit"]["cost"]["value"], 2);
    assert_eq!(added.body["limit"]["dry_run"]["value"], true);
    assert_eq!(traffik.limiter_of("tenant:acme", "alice").peek().await?.tightest().capacity(), 20);

    assert_eq!(api.put("/limits/tenant:acme", r#"{"rate": "5/min", "strategy": "fixed-window"}"#).await?.status, 200);
    assert_eq!(traffik.limiter_of("tenant:acme", "alice").peek().await?.tightest().capacity(), 5);
    let queue = json!({
        "rate": "9/min",
        "dry_run": false,
        "strategy": { "name": "leaky-bucket-with-queue", "queue": 2, "max_delay": "3s", "max_held": 4 },
        "penalty": { "refusals": 3, "time": "1m" },
        "fields": "x-ratelimit-on-refusal",
    });
    assert_eq!(api.put("/limits/tenant:acme", &queue.to_string()).await?.status, 200);
    let removed = api.delete("/limits/tenant:acme").await?;
    assert_eq!(removed.body, json!({ "scope": "local", "outlives_restart": false, "uid": "tenant:acme" }));
    assert_eq!(api.delete("/limits/tenant:acme").await?.status, 404);
    assert!(traffik.limiter_of("tenant:acme", "alice").check().await.is_err());

    let text = log.text();
    let of = r#"operator="bearer" uid="tenant:acme" change="#;
    for line in [
        r#""put" value="10/min, cost 2, dry run, strategy token-bucket burst 20, penalty 1m after 3 refusals up to 1h, fields both" scope=local from="none" to="10/min, strategy token-bucket, cost 2, dry run""#,
        r#""put" value="5/min, strategy fixed-window" scope=local from="10/min, strategy token-bucket, cost 2, dry run" to="5/min, strategy fixed-window""#,
        r#""put" value="9/min, no dry run, strategy leaky-bucket-with-queue queue 2 max_delay 3s max_held 4, penalty 1m after 3 refusals, fields x-ratelimit-on-refusal" scope=local from="5/min, strategy fixed-window" to="9/min, strategy leaky-bucket-with-queue""#,
        r#""remove" value="removed" scope=local from="9/min, strategy leaky-bucket-with-queue" to="none""#,
    ] {
        assert!(text.contains(&format!("{of}{line}")), "{line} is not in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn put_replaces_all_settings_of_the_program_and_patch_keeps_them() -> Result {
    let builder = builder().0.backend("eu", MemoryBackend::new("eu"));
    let settings = Settings::new().backend("eu").strategy(FixedWindow);
    let traffik = builder.add_limit("tenant:acme", "5/min".parse()?, settings).build()?;
    let api = Api::new(&traffik)?;
    let patched = api.patch("/limits/tenant:acme?scope=local", r#"{"rate": "9/min"}"#).await?;
    let of =
        |reply: &super::Reply| [&reply.body["limit"]["backend"], &reply.body["limit"]["strategy"]].map(Clone::clone);
    assert_eq!(of(&patched), [json!("eu"), json!("fixed-window")]);
    let put = api.put("/limits/tenant:acme", r#"{"rate": "7/min"}"#).await?;
    let added = api.put("/limits/tenant:globex", r#"{"rate": "7/min"}"#).await?;
    assert_eq!((of(&put), &put.body["limit"]["backend"]), (of(&added), &json!(null)));
    Ok(())
}

#[tokio::test]
async fn throttle_is_neither_replaced_nor_removed() -> Result {
    let (traffik, api, _) = knowing::<Typed>()?;
    let put = api.put("/limits/admin:typed", r#"{"rate": "9/min"}"#).await?;
    assert!(put.problem().0 == 409 && put.problem().1.contains("change its settings with `PATCH`"), "{put:?}");
    assert!(!put.problem().1.contains("limit added"), "{put:?}");
    let removed = api.delete("/limits/admin:typed").await?;
    assert_eq!(removed.problem().0, 409, "{removed:?}");
    assert!(removed.problem().1.contains("disable()"), "{removed:?}");
    assert_eq!(traffik.limit("admin:typed")?.info()?.rate().value(), "5/hour".parse()?);
    Ok(())
}

#[tokio::test]
async fn wrong_new_limits_change_nothing() -> Result {
    let (traffik, api, _) = knowing::<Typed>()?;
    api.put("/limits/tenant:acme", r#"{"rate": "5/min"}"#).await?;
    let deep = format!(r#"{{"rate": "9/min", "strategy": {}1{}}}"#, r#"{"name":"#.repeat(500), "}".repeat(500));
    for (body, status) in [
        ("", 422),
        (r#"{"cost": 1}"#, 422),
        (r#"{"rate": "9/min", "path": "/search"}"#, 422),
        (r#"{"rate": "9/min", "cost": -1}"#, 422),
        (r#"{"rate": "9/min", "cost": 1.5}"#, 422),
        (r#"{"rate": "9/min", "cost": 18446744073709551616}"#, 422),
        (r#"{"rate": "9/min", "strategy": "gcar"}"#, 422),
        (r#"{"rate": "9/min", "strategy": {"name": "fixed-window", "burst": 3}}"#, 422),
        (r#"{"rate": "9/min", "strategy": {"name": "gcra", "burst": 18446744073709551615}}"#, 422),
        (r#"{"rate": "9/min", "rate": "8/min"}"#, 422),
        (r#"{"rate": "9/min", "cost": 1e400}"#, 400),
        (&deep, 422),
    ] {
        let reply = api.put("/limits/tenant:acme", body).await?;
        assert_eq!(reply.problem().0, status, "{body:.60}: {reply:?}");
    }
    let unusable =
        api.put("/limits/tenant:acme", r#"{"rate": "9/min", "penalty": {"refusals": 0, "time": "1m"}}"#).await?;
    let (status, detail) = unusable.problem();
    assert!(
        status == 422 && detail.starts_with("the throttle `limit added by an operator` (uid \"tenant:acme\")"),
        "{detail}"
    );
    assert_eq!(api.put("/limits/tenant:acme?scope=shared", r#"{"rate": "9/min"}"#).await?.status, 400);
    assert_eq!(api.put("/limits/tenant:%C3%BC", r#"{"rate": "9/min"}"#).await?.status, 422);
    assert_eq!(traffik.limit("tenant:acme")?.info()?.rate().value(), "5/min".parse()?);
    Ok(())
}

#[tokio::test]
async fn operators_who_read_add_and_remove_nothing() -> Result {
    let (traffik, _, _) = knowing::<Typed>()?;
    traffik.add_limit("tenant:acme", "5/min".parse()?, Settings::new())?;
    let guard = Guard::bearer_of(Operator::new("dashboard").read_only(), SECRET)?;
    let api = Api::behind(&traffik, guard).with_token(SECRET);
    assert_eq!(api.put("/limits/tenant:acme", r#"{"rate": "9/min"}"#).await?.status, 403);
    assert_eq!(api.delete("/limits/tenant:acme").await?.status, 403);
    assert_eq!(traffik.limit("tenant:acme")?.info()?.rate().value(), "5/min".parse()?);
    Ok(())
}

#[tokio::test]
async fn peek_and_reset_act_in_the_named_backend() -> Result {
    let (builder, _) = builder();
    let traffik: Traffik = builder.backend("eu", MemoryBackend::new("eu")).register::<(Regional, Typed)>().build()?;
    let api = Api::new(&traffik)?;
    for name in ["eu", "default"] {
        let _ = traffik.limiter::<Regional>("alice").backend(name).check().await?;
    }
    let body = r#"{"client": "alice"}"#;
    let unnamed = api.post("/limits/admin:regional/peek", body).await?;
    let advice = r#"each request of the limit "admin:regional" chooses its backend: name one with `?backend=`. `GET /health` lists them"#;
    assert_eq!(unnamed.problem(), (422, advice));
    let reset = api.post("/limits/admin:regional/reset?backend=eu", body).await?;
    assert_eq!((reset.status, &reset.body["limit"]["remaining"]), (200, &json!(5)), "{reset:?}");
    let other = api.post("/limits/admin:regional/peek?backend=default", body).await?;
    assert_eq!((other.status, &other.body["limit"]["remaining"]), (200, &json!(4)), "{other:?}");
    let all = api.post("/limits/admin:regional/reset", body).await?;
    assert_eq!((all.status, &all.body["limit"]), (200, &json!(null)), "no backend is named to show: {all:?}");
    let other = api.post("/limits/admin:regional/peek?backend=default", body).await?;
    assert_eq!(other.body["limit"]["remaining"], json!(5), "{other:?}");
    assert_eq!(api.post("/limits/admin:regional/peek?backend=us", body).await?.problem().0, 422);
    let fixed = r#"the limit "admin:typed" is always in the backend "default": leave `?backend=` out"#;
    for verb in ["peek", "reset"] {
        assert_eq!(api.post(&format!("/limits/admin:typed/{verb}?backend=eu"), body).await?.problem(), (422, fixed));
    }
    assert_eq!(api.post("/limits/admin:regional/reset?region=eu", body).await?.status, 400);
    Ok(())
}
