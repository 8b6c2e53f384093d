//! Changes for single clients.

use std::time::{Duration, SystemTime};

use axum::http::{StatusCode, request::Parts};
use tests::{admits, refused};
use traffik::{
    Client, ConfigError, EXEMPTED, Rate, Settings, SlidingWindowLog,
    clock::{Clock, Timestamp},
    control::{LimitHandle, Source, Until},
};

use super::{FIVE, Result, TWO, knowing, serving};
use crate::http::app::{HERE, throttle};

const MINUTE: Duration = Duration::from_secs(60);

throttle!(Api, "clients:api", "3/hour");
throttle!(Log, "clients:log", "3/hour", Settings::new().strategy(SlidingWindowLog));

#[tokio::test]
async fn blocked_client_is_refused_until_the_end_and_charged_nothing() -> Result {
    let (traffik, clock) = knowing::<Api>()?;
    let server = serving::<Api>(&traffik).await;
    let api = traffik.limit("clients:api")?;
    api.block(HERE, MINUTE, "scrapes")?;
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.retry_after()), (429, Some("60")));
    assert_eq!(reply.state(), Some(r#""clients:api";r=0;t=60"#));
    assert_eq!(reply.problem("detail"), r#""clients:api" refuses this client; try again in 1m"#);
    assert!(!reply.body.contains("scrapes"));
    clock.advance(MINUTE - Duration::from_micros(1));
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.retry_after()), (429, Some("1")));
    clock.advance(Duration::from_micros(1));
    assert_eq!(server.get("/").await.state(), Some(r#""clients:api";r=2;t=3540"#));
    Ok(())
}

#[tokio::test]
async fn block_without_an_end_has_no_wait_and_ends_when_it_is_removed() -> Result {
    let (traffik, _) = knowing::<Api>()?;
    let api = traffik.limit("clients:api")?;
    api.block("alice", Until::Removed, "unpaid")?;
    let refusal = refused(traffik.limiter::<Api>("alice").check().await);
    assert_eq!((refusal.retry_after(), refusal.tightest().block_reason()), (None, Some("unpaid")));
    assert_eq!(refusal.to_string(), "limit `clients:api` refuses: the client is blocked");
    assert!(admits::<Api>(&traffik, "bob").await?);
    assert!(api.unblock("alice") && !api.unblock("alice"));
    assert!(admits::<Api>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn block_is_stronger_than_an_exemption_and_a_disabled_limit() -> Result {
    let (traffik, _) = knowing::<Api>()?;
    let server = serving::<Api>(&traffik).await;
    let api = traffik.limit("clients:api")?;
    api.exempt(HERE, Until::Removed)?;
    api.disable();
    assert_eq!(server.get("/").await.status, 200);
    api.block(HERE, MINUTE, "")?;
    assert_eq!(server.get("/").await.status, 429);
    assert!(api.unblock(HERE));
    assert_eq!(server.get("/").await.status, 200);
    Ok(())
}

#[tokio::test]
async fn block_refuses_all_of_a_tuple_and_charges_none() -> Result {
    let (traffik, _) = knowing::<Api>()?;
    traffik.limit("clients:api")?.block("alice", MINUTE, "")?;
    let refusal = refused(traffik.limiter::<(Log, Api)>("alice").check().await);
    assert_eq!(refusal.exceeded().map(traffik::Limit::uid).collect::<Vec<_>>(), ["clients:api"]);
    assert_eq!(refusal.retry_after(), Some(MINUTE));
    assert_eq!(traffik.limiter::<Log>("alice").peek().await?.tightest().remaining(), 3);
    Ok(())
}

#[tokio::test]
async fn exempt_client_is_not_counted_until_the_end() -> Result {
    let (traffik, clock) = knowing::<Api>()?;
    let api = traffik.limit("clients:api")?;
    let end = clock.now().saturating_add(MINUTE).saturating_since(Timestamp::UNIX_EPOCH);
    api.exempt("alice", SystemTime::UNIX_EPOCH + end)?;
    for _ in 0..10 {
        assert!(!traffik.limiter::<Api>("alice").check().await?.tightest().is_counted());
    }
    clock.advance(MINUTE);
    assert_eq!(traffik.limiter::<Api>("alice").check().await?.tightest().remaining(), 2);
    assert!(!api.end_exemption("alice"), "it has ended");
    Ok(())
}

#[tokio::test]
async fn rate_of_a_client_is_stronger_than_a_local_change() -> Result {
    let (traffik, clock) = knowing::<Log>()?;
    let log = traffik.limit("clients:log")?;
    log.set_rate(TWO)?;
    log.override_rate("alice", FIVE, MINUTE)?;
    let rate = async |client: &'static str| Ok::<_, traffik::Error>(log.peek(client).await?.tightest().rate());
    assert_eq!([rate("alice").await?, rate("bob").await?], [FIVE, TWO]);
    clock.advance(MINUTE);
    assert_eq!(rate("alice").await?, TWO);
    let error = log.override_rate("alice", "100000/hour".parse()?, MINUTE).unwrap_err();
    assert!(matches!(error, ConfigError::ChangedRate { .. }));
    assert!(log.clients().is_empty());
    Ok(())
}

#[tokio::test]
async fn clients_with_changes_are_listed_and_bounded() -> Result {
    let (traffik, clock) = knowing::<Api>()?;
    let api = traffik.limit("clients:api")?;
    assert!(matches!(api.block(EXEMPTED, MINUTE, "").unwrap_err(), ConfigError::ExemptClient { .. }));
    api.block(Client::secret("hunter2"), MINUTE, "scrapes")?;
    let [listed] = &api.clients()[..] else { return Err("not one client".into()) };
    assert_eq!((listed.client(), listed.source()), ("[secret]", Source::Local));
    assert_eq!((listed.block_reason(), listed.block_ends_in()), (Some("scrapes"), Some(MINUTE)));
    assert_eq!(
        serde_json::to_string(&api.clients())?.replace(listed.digest(), "digest"),
        r#"[{"client":"[secret]","digest":"digest","source":"local","block":{"reason":"scrapes","ends_in_ms":60000},"exempt":null,"rate":null,"penalty":null}]"#
    );
    // Of a network.
    api.exempt("2001:db8::1".parse::<std::net::IpAddr>()?, MINUTE)?;
    assert!(api.end_exemption("2001:db8::2".parse::<std::net::IpAddr>()?));
    for client in 1..LimitHandle::MAX_CLIENTS as u64 {
        api.block(client, MINUTE, "")?;
    }
    assert!(matches!(api.block(0, MINUTE, "").unwrap_err(), ConfigError::TooManyClients { .. }));
    api.block(1, MINUTE * 2, "")?;
    clock.advance(MINUTE);
    api.block(0, MINUTE, "")?;
    Ok(())
}

/// Each function fails.
fn fallible() -> Settings {
    Settings::new()
        .cost_of(|_: &Parts| Err::<u64, _>(StatusCode::BAD_GATEWAY))
        .rate_of(|_: &Parts, _: &Client| Err::<Rate, _>(StatusCode::BAD_GATEWAY))
        .backend_of(|_: &Parts| "nowhere")
}

throttle!(Fallible, "clients:fallible", "3/hour", fallible());

#[tokio::test]
async fn disabled_limit_asks_no_function_although_a_client_is_blocked() -> Result {
    let (traffik, _) = knowing::<Fallible>()?;
    let server = serving::<Fallible>(&traffik).await;
    let limit = traffik.limit("clients:fallible")?;
    assert_eq!(server.get("/").await.status, 502);
    limit.disable();
    assert_eq!(server.get("/").await.status, 200);
    limit.block("mallory", MINUTE, "")?;
    assert_eq!(server.get("/").await.status, 200);
    limit.block(HERE, MINUTE, "")?;
    assert_eq!(server.get("/").await.status, 429);
    Ok(())
}
