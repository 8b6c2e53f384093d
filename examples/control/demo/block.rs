//! A client that is blocked for a minute. The demo does not wait for its end.

use std::error::Error;

use reqwest::Method;
use serde_json::json;

use super::{
    expect, heading,
    operator::{Operator, until},
};

pub(super) async fn show(operator: &Operator) -> Result<(), Box<dyn Error>> {
    heading("A block: the client of this demo is blocked for a minute, and unblocked before");
    let body = r#"{"client": "127.0.0.1", "for": "1m", "reason": "scrapes"}"#;
    operator.change(2, Method::POST, "/admin/limits/search/block", body).await?;
    let clients = async |app| operator.show(app, "/admin/limits/search/clients", "").await;
    let is_blocked = async || Ok::<_, Box<dyn Error>>(clients(1).await? != json!([]));
    println!("  app 1 lists the block after {:.1?}", until("app 1 has the block", is_blocked).await?);
    for app in [1, 2] {
        let answer = operator.get(app, "/search").await?;
        let wait = answer.retry_after.ok_or("a block without an end")?;
        println!("  app {app}: {}, and `Retry-After: {wait}`", answer.status);
        expect("the wait is the rest of the minute", &(answer.status, (30..=60).contains(&wait)), &(429, true))?;
    }
    expect("a route with another limit", &operator.get(1, "/reports").await?.status, &200)?;

    operator.change(1, Method::POST, "/admin/limits/search/unblock", r#"{"client": "127.0.0.1"}"#).await?;
    let is_unblocked = async || Ok::<_, Box<dyn Error>>(clients(2).await? == json!([]));
    println!("  app 2 lists no block after {:.1?}", until("app 2 has no block", is_unblocked).await?);
    for app in [1, 2] {
        let status = operator.get(app, "/search").await?.status;
        println!("  app {app}: {status}");
        expect("a client that is not blocked", &status, &200)?;
    }
    Ok(())
}
