//! Local changes: what the next decision sees, in each place.

use std::{sync::mpsc, thread, time::Duration};

use axum::{
    Router,
    http::{Method, request::Parts},
    routing::get,
};
use tests::{admits, refused};
use traffik::{
    Bypass, Client, Concurrency, ConfigError, Limiter, Rate, Rule, Settings, SlidingWindowLog, ThrottleRejection,
    Throttled, Traffik, control::Change, throttle_layer,
};

use super::{FIVE, Result, TWO, in_force, knowing, serving};
use crate::http::{
    app::{HERE, throttle, traffik},
    server::Server,
};

const HOUR: Duration = Duration::from_secs(3600);

throttle!(Search, "control:search", "3/hour");
throttle!(Plan, "control:plan", "3/hour", Settings::new().rate_of(|_, _| FIVE).cost_of(cost));
throttle!(Log, "control:log", "3/hour", Settings::new().strategy(SlidingWindowLog));
throttle!(Places, "control:places", "2/30s", Settings::new().strategy(Concurrency));
throttle!(Free, "control:free", "3/hour", Settings::new().cost(0));
throttle!(Known, "control:known", "3/hour", Settings::new().identity(identity));

fn cost(parts: &Parts) -> u64 {
    if parts.method == Method::HEAD { 0 } else { 2 }
}

fn identity(parts: &Parts) -> std::result::Result<Client, axum::http::StatusCode> {
    let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
    name.map(|name| name.to_owned().into()).ok_or(axum::http::StatusCode::UNAUTHORIZED)
}

#[tokio::test]
async fn changed_rate_holds_for_the_next_request_and_keeps_the_count() -> Result {
    let (traffik, _) = knowing::<Search>()?;
    let server = serving::<Search>(&traffik).await;
    assert_eq!(server.get("/").await.state(), Some(r#""control:search";r=2;t=3600"#));
    let search = traffik.limit("control:search")?;
    search.set_rate(FIVE)?;
    let reply = server.get("/").await;
    assert_eq!(
        (reply.policy(), reply.state()),
        (Some(r#""control:search";q=5;w=3600"#), Some(r#""control:search";r=3;t=3600"#))
    );
    search.set_rate(TWO)?;
    assert_eq!((server.get("/").await.status, in_force::<Search>(&traffik).await?), (429, (TWO, 1)));
    search.clear();
    assert_eq!(server.get("/").await.state(), Some(r#""control:search";r=0;t=3600"#));
    Ok(())
}

#[tokio::test]
async fn layers_handlers_limiters_and_jobs_see_a_change() -> Result {
    async fn check(search: Limiter<Search>) -> std::result::Result<(), ThrottleRejection> {
        search.check().await.map(drop)
    }
    let (traffik, _) = knowing::<Search>()?;
    let app = Router::new()
        .route("/layer", get(|| async {}).route_layer(throttle_layer::<Search>()))
        .route("/handler", get(|_: Throttled<Search>| async {}))
        .route("/limiter", get(check))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    let mut quota = traffik.quota();
    let _ = quota.add(traffik.limiter::<Search>(HERE));
    traffik.limit("control:search")?.set_rate("100/hour".parse()?)?;
    for (used, path) in ["/layer", "/handler", "/limiter"].into_iter().enumerate() {
        assert_eq!(
            server.get(path).await.state(),
            Some(&*format!(r#""control:search";r={};t=3600"#, 99 - used)),
            "{path}"
        );
    }
    let permit = traffik.limiter::<Search>(HERE).check().await?;
    assert_eq!(permit.tightest().remaining(), 96);
    // It was collected before the change.
    assert_eq!(quota.check().await?.tightest().remaining(), 95);
    Ok(())
}

#[tokio::test]
async fn change_replaces_what_functions_and_callers_say() -> Result {
    let (traffik, _) = knowing::<Plan>()?;
    let server = serving::<Plan>(&traffik).await;
    assert_eq!(server.get("/").await.state(), Some(r#""control:plan";r=3;t=3600"#));
    let plan = traffik.limit("control:plan")?;
    plan.apply(Change::new().rate("20/hour".parse()?).cost(1))?;
    assert_eq!(server.get("/").await.state(), Some(r#""control:plan";r=17;t=3600"#));
    let limits = traffik.limiter::<Plan>(HERE).cost(9).rate(TWO).peek().await?;
    assert_eq!((limits.tightest().rate(), limits.tightest().cost()), ("20/hour".parse()?, 1));
    // A cost of 0 says that the request is not counted.
    assert_eq!(server.send(axum::extract::Request::head("/"), "").await.state(), None);
    plan.clear();
    assert_eq!(server.get("/").await.state(), Some(r#""control:plan";r=0;t=3600"#));
    Ok(())
}

#[tokio::test]
async fn cost_of_zero_in_the_declaration_can_be_raised() -> Result {
    let (traffik, _) = knowing::<Free>()?;
    let server = serving::<Free>(&traffik).await;
    assert_eq!(server.get("/").await.state(), None);
    let free = traffik.limit("control:free")?;
    free.set_cost(2);
    assert_eq!(server.get("/").await.state(), Some(r#""control:free";r=1;t=3600"#));
    free.set_cost(0);
    assert_eq!(server.get("/").await.state(), None);
    Ok(())
}

#[tokio::test]
async fn disabled_limit_counts_nothing_and_calls_no_identity() -> Result {
    let (traffik, clock) = knowing::<Known>()?;
    let server = serving::<Known>(&traffik).await;
    assert_eq!(server.get("/").await.status, 401);
    let known = traffik.limit("control:known")?;
    known.disable();
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.state()), (200, None));
    known.enable();
    assert_eq!(server.get("/").await.status, 401);
    known.disable_for(HOUR);
    assert_eq!(server.get("/").await.status, 200);
    clock.advance(HOUR - Duration::from_micros(1));
    assert_eq!(server.get("/").await.status, 200);
    clock.advance(Duration::from_micros(1));
    assert_eq!(server.get("/").await.status, 401);
    Ok(())
}

#[tokio::test]
async fn disabled_limit_keeps_its_counts() -> Result {
    let (traffik, _) = knowing::<Search>()?;
    let _ = traffik.limiter::<Search>("alice").cost(3).check().await?;
    let search = traffik.limit("control:search")?;
    search.disable();
    assert!(admits::<Search>(&traffik, "alice").await?);
    assert!(traffik.limiter::<Search>("alice").peek().await?.is_admitted());
    search.enable();
    assert!(!admits::<Search>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn all_limits_are_disabled_and_enabled_together() -> Result {
    let (traffik, _) = traffik();
    traffik.disable_all();
    // Neither was known before.
    assert!(!traffik.limiter::<Search>("alice").check().await?.tightest().is_counted());
    assert!(!traffik.limiter::<Log>("alice").check().await?.tightest().is_counted());
    traffik.limit("control:log")?.enable();
    assert!(traffik.limiter::<Log>("alice").check().await?.tightest().is_counted());
    assert!(!traffik.limiter::<Search>("alice").check().await?.tightest().is_counted());
    traffik.enable_all();
    assert!(traffik.limiter::<Search>("alice").check().await?.tightest().is_counted());
    traffik.disable_all();
    assert!(!traffik.limiter::<Log>("alice").check().await?.tightest().is_counted());
    traffik.clear_changes();
    assert!(traffik.limiter::<Log>("alice").check().await?.tightest().is_counted());
    Ok(())
}

#[tokio::test]
async fn invalid_change_is_an_error_and_changes_nothing() -> Result {
    let (traffik, _) = knowing::<Log>()?;
    let log = traffik.limit("control:log")?;
    let error = log.apply(Change::new().rate("100000/hour".parse()?).cost(7)).unwrap_err();
    assert!(matches!(&error, ConfigError::ChangedRate { uid, .. } if **uid == *"control:log"), "{error}");
    assert_eq!(in_force::<Log>(&traffik).await?, (Rate::literal("3/hour"), 1));
    let error = log.add_rule(Rule::path("/a/**/**b")).and(log.add_rule(Rule::path("no slash"))).unwrap_err();
    assert!(matches!(&error, ConfigError::Rule { .. }), "{error}");
    assert_eq!(log.info()?.added_rules(), 0);
    Ok(())
}

/// Makes a change in another thread when it is dropped, and sends whether the change was made meanwhile.
struct ChangesWhenDropped(Traffik, mpsc::Sender<bool>);

impl Drop for ChangesWhenDropped {
    fn drop(&mut self) {
        let (traffik, (done, is_done)) = (self.0.clone(), mpsc::channel());
        thread::spawn(move || {
            let _ = done.send(traffik.limit("control:search").map(|search| search.set_cost(2)).is_ok());
        });
        let _ = self.1.send(is_done.recv_timeout(Duration::from_secs(5)) == Ok(true));
    }
}

#[test]
fn function_of_an_invalid_rule_may_make_a_change_when_it_is_dropped() -> Result {
    let (traffik, _) = knowing::<Search>()?;
    let (sender, made) = mpsc::channel();
    let changes = ChangesWhenDropped(traffik.clone(), sender);
    let rule = Rule::when(move |_| {
        let _ = &changes;
        true
    });
    let rule = rule.and(Rule::path("no slash"));
    let added = traffik.limit("control:search")?.add_rule(rule);
    assert!(matches!(added, Err(ConfigError::Rule { .. })), "{added:?}");
    assert!(made.try_recv()?, "the change waits for the one that failed");
    assert_eq!(traffik.limit("control:search")?.info()?.cost().value(), 2);
    Ok(())
}

#[tokio::test]
async fn unknown_uid_is_an_error_that_names_the_nearest_one() -> Result {
    let (traffik, _) = knowing::<Search>()?;
    let error = traffik.limit("control:searches").unwrap_err();
    assert!(matches!(&error, ConfigError::UnknownUid { near, .. } if *near[0] == *"control:search"), "{error}");
    Ok(())
}

#[tokio::test]
async fn added_rules_narrow_the_limit_until_they_are_removed() -> Result {
    let (traffik, _) = knowing::<Search>()?;
    let server = serving::<Search>(&traffik).await;
    let search = traffik.limit("control:search")?;
    let counts = async |path: &str| server.get(path).await.state().is_some();
    search.add_rule(Rule::prefix("/api"))?;
    assert_eq!([counts("/api/a").await, counts("/b").await], [true, false]);
    search.add_bypass(Bypass::path("/api/health"))?;
    assert_eq!([counts("/api/a").await, counts("/api/health").await], [true, false]);
    assert_eq!(search.info()?.added_rules(), 2);
    search.clear_setting(traffik::control::Setting::Rules);
    assert!(counts("/b").await);
    Ok(())
}

#[tokio::test]
async fn permits_are_kept_when_their_limit_changes() -> Result {
    let (traffik, _) = knowing::<Places>()?;
    let places = traffik.limit("control:places")?;
    let held = [traffik.limiter::<Places>("alice").check().await?, traffik.limiter::<Places>("alice").check().await?];
    places.set_rate("3/30s".parse()?)?;
    let third = traffik.limiter::<Places>("alice").check().await?;
    places.set_rate("2/30s".parse()?)?;
    let _ = refused(traffik.limiter::<Places>("alice").check().await);
    drop(third);
    let _ = refused(traffik.limiter::<Places>("alice").check().await);
    places.disable();
    drop(held);
    places.enable();
    assert_eq!(traffik.limiter::<Places>("alice").peek().await?.tightest().remaining(), 2);
    Ok(())
}

#[tokio::test]
async fn handle_resets_and_peeks() -> Result {
    let (traffik, _) = knowing::<Search>()?;
    let search = traffik.limit("control:search")?;
    let _ = traffik.limiter::<Search>("alice").cost(3).check().await?;
    search.set_rate(FIVE)?;
    assert_eq!(search.peek("alice").await?.tightest().remaining(), 2);
    search.reset("alice").await?;
    assert_eq!(search.peek("alice").await?.tightest().remaining(), 5);
    Ok(())
}
