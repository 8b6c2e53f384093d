//! Single clients.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use serde_json::json;
use tests::admits;
use traffik::{Client, control::Until};

use super::{Result, knowing};
use crate::http::app::throttle;

throttle!(Api, "admin:clients", "2/hour");

#[tokio::test]
async fn client_is_blocked_for_a_time_and_unblocked() -> Result {
    let (traffik, api, clock) = knowing::<Api>()?;
    for scope in ["local", "shared"] {
        let path = |verb: &str| format!("/limits/admin:clients/{verb}?scope={scope}");
        let body = r#"{"client": "mallory", "for": "1m", "reason": "scrapes"}"#;
        let blocked = api.post(&path("block"), body).await?;
        assert_eq!(
            (blocked.status, &blocked.body["scope"], &blocked.body["uid"]),
            (200, &json!(scope), &json!("admin:clients"))
        );
        let client = &blocked.body["clients"][0];
        assert_eq!((&client["client"], &client["source"]), (&json!("\"mallory\""), &json!(scope)));
        assert_eq!(client["block"], json!({ "reason": "scrapes", "ends_in_ms": 60_000 }));
        assert!(!admits::<Api>(&traffik, "mallory").await?);
        assert_eq!(api.get("/limits/admin:clients/clients").await?.body, blocked.body["clients"]);
        clock.advance(Duration::from_secs(60));
        assert_eq!(api.get("/limits/admin:clients/clients").await?.body, json!([]));
        assert!(traffik.limiter::<Api>("mallory").peek().await?.is_admitted());

        api.post(&path("block"), r#"{"client": "mallory"}"#).await?;
        assert!(!admits::<Api>(&traffik, "mallory").await?);
        let unblocked = api.post(&path("unblock"), r#"{"client": "mallory"}"#).await?;
        assert_eq!((unblocked.status, &unblocked.body["clients"]), (200, &json!([])));
        assert!(traffik.limiter::<Api>("mallory").peek().await?.is_admitted());
    }
    Ok(())
}

#[tokio::test]
async fn client_is_exempt_and_has_a_rate_until_that_ends() -> Result {
    let (traffik, api, _) = knowing::<Api>()?;
    for scope in ["local", "shared"] {
        let path = |verb: &str| format!("/limits/admin:clients/{verb}?scope={scope}");
        let body = r#"{"client": "user/42", "rate": "100/hour", "until": "2999-01-31T18:00:00+02:00"}"#;
        let changed = api.post(&path("override"), body).await?;
        assert_eq!(changed.body["clients"][0]["rate"]["value"], "100/hour");
        assert!(changed.body["clients"][0]["rate"]["ends_in_ms"].is_u64(), "{changed:?}");
        assert_eq!(traffik.limiter::<Api>(("user", 42)).peek().await?.tightest().capacity(), 100);
        api.post(&path("exempt"), r#"{"client": "user/42"}"#).await?;
        assert!(!traffik.limiter::<Api>(("user", 42)).peek().await?.tightest().is_counted());
        api.post(&path("end-exemption"), r#"{"client": "user/42"}"#).await?;
        assert!(traffik.limiter::<Api>(("user", 42)).peek().await?.tightest().is_counted());
        let ended = api.post(&path("end-override"), r#"{"client": "user/42"}"#).await?;
        assert_eq!(ended.body["clients"], json!([]));
        assert_eq!(traffik.limiter::<Api>(("user", 42)).peek().await?.tightest().capacity(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn clients_are_written_as_in_a_limits_file() -> Result {
    let (traffik, api, _) = knowing::<Api>()?;
    let network: IpAddr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 9, 9, 9, 9).into();
    let clients: [(&str, Client); 5] = [
        ("203.0.113.7", IpAddr::from([203, 0, 113, 7]).into()),
        ("2001:db8:1:2:3:4:5:6", network.into()),
        ("42", 42.into()),
        (r#"\"42\""#, "42".into()),
        ("user/203.0.113.7", ("user", IpAddr::from([203, 0, 113, 7])).into()),
    ];
    for (text, client) in clients {
        assert!(admits::<Api>(&traffik, client.clone()).await?);
        let body = format!(r#"{{"client": "{text}"}}"#);
        api.post("/limits/admin:clients/block", &body).await?;
        assert!(!admits::<Api>(&traffik, client.clone()).await?, "{text}");
        api.post("/limits/admin:clients/unblock", &body).await?;
        assert!(admits::<Api>(&traffik, client).await?, "{text}");
    }
    let wrong = api.post("/limits/admin:clients/block", r#"{"client": "\"alice"}"#).await?;
    assert!(wrong.status == 422 && wrong.problem().1.contains("is not a client: write an address"), "{wrong:?}");
    Ok(())
}

#[tokio::test]
async fn client_is_shown_and_reset() -> Result {
    let (traffik, api, _) = knowing::<Api>()?;
    assert!(admits::<Api>(&traffik, "alice").await?);
    let body = r#"{"client": "alice"}"#;
    let peeked = api.post("/limits/admin:clients/peek", body).await?;
    assert_eq!((&peeked.body["limit"]["remaining"], &peeked.body["limit"]["rate"]), (&json!(1), &json!("2/hour")));
    assert_eq!(peeked.body["clients"], json!([]));
    traffik.limit("admin:clients")?.set_dry_run(true);
    assert_eq!(api.post("/limits/admin:clients/peek", body).await?.body["limit"]["remaining"], 1);
    assert_eq!(api.post("/limits/admin:clients/reset", body).await?.body["limit"]["remaining"], 2);
    assert!(traffik.limiter::<Api>("alice").peek().await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn secret_client_is_listed_as_a_digest() -> Result {
    let (traffik, api, _) = knowing::<Api>()?;
    let limit = traffik.limit("admin:clients")?;
    limit.block(Client::secret("hunter2"), Until::Removed, "")?;
    limit.block(Client::secret("correct horse"), Until::Removed, "")?;
    let listed = api.get("/limits/admin:clients/clients").await?.body;
    let texts: Vec<_> = listed.as_array().into_iter().flatten().map(|client| client["client"].clone()).collect();
    assert_eq!(texts, ["[secret]", "[secret]"]);
    let digests: Vec<_> = limit.clients().iter().map(|client| client.digest().to_owned()).collect();
    assert_eq!((digests.len(), digests[0].len()), (2, 16));
    assert_ne!(digests[0], digests[1]);
    assert!(!listed.to_string().contains("hunter2") && !listed.to_string().contains("horse"), "{listed}");
    Ok(())
}

#[tokio::test]
async fn change_with_two_ends_is_an_error() -> Result {
    let (traffik, api, _) = knowing::<Api>()?;
    let body = r#"{"client": "alice", "for": "1m", "until": "2030-01-31T18:00:00Z"}"#;
    for verb in ["block", "exempt"] {
        let refused = api.post(&format!("/limits/admin:clients/{verb}"), body).await?;
        assert_eq!(refused.problem(), (422, "the change has two ends: set either `for` or `until`"));
    }
    for (end, text) in
        [(r#""until": "tomorrow""#, "is no moment"), (r#""for": "soon""#, "is no time"), (r#""for": 60"#, "a string")]
    {
        let refused = api.post("/limits/admin:clients/block", &format!(r#"{{"client": "alice", {end}}}"#)).await?;
        assert!(refused.status == 422 && refused.problem().1.contains(text), "{refused:?}");
    }
    assert!(traffik.limit("admin:clients")?.clients().is_empty());
    Ok(())
}

#[tokio::test]
async fn change_that_has_ended_already_is_an_error_and_replaces_nothing() -> Result {
    let (traffik, api, clock) = knowing::<Api>()?;
    clock.advance(Duration::from_secs(60));
    let path = |verb: &str, scope: &str| format!("/limits/admin:clients/{verb}?scope={scope}");
    for scope in ["local", "shared"] {
        api.post(&path("block", scope), r#"{"client": "alice"}"#).await?;
        for (end, text) in [
            (r#""for": "0s""#, "for 0s"),
            (r#""for": "1ns""#, "for 1ns"),
            (r#""until": "1970-01-01T00:00:00Z""#, "until 1970-01-01T00:00:00Z"),
        ] {
            let detail = format!("the change lasts {text}, so it has ended already: set a later end");
            for verb in ["block", "exempt", "override"] {
                let rate = if verb == "override" { r#", "rate": "9/hour""# } else { "" };
                let refused = api.post(&path(verb, scope), &format!(r#"{{"client": "alice", {end}{rate}}}"#)).await?;
                assert_eq!(refused.problem(), (422, &*detail), "{verb}");
            }
        }
        let refused = api.post(&path("disable", scope), r#"{"for": "0s"}"#).await?;
        assert_eq!(refused.problem().0, 422, "{refused:?}");
    }
    let clients = traffik.limit("admin:clients")?.clients();
    assert_eq!(clients.len(), 2);
    assert!(clients.iter().all(|client| client.block_reason().is_some() && !client.is_exempt()), "{clients:?}");
    assert!(traffik.limit("admin:clients")?.info()?.enabled().value());
    Ok(())
}
