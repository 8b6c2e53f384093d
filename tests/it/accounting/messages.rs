//! Permits of WebSocket messages.

use axum::{extract::FromRequestParts, http::Request};
use traffik::{AdjustError, Settlement, Traffik, test::RequestExt, web::ws::Messages};

use super::{Result, remaining};
use crate::http::app::{HERE, throttle, traffik};

throttle!(Prompts, "messages:prompts", "100/min");

async fn messages(traffik: &Traffik) -> Result<Messages<Prompts>> {
    let (mut parts, ()) = Request::get("/").body(())?.with_peer("127.0.0.1:50000").into_parts();
    parts.extensions.insert(traffik.clone());
    Ok(Messages::from_request_parts(&mut parts, &()).await?)
}

#[tokio::test]
async fn message_is_settled_for_the_client() -> Result {
    let (traffik, _) = traffik();
    let messages = messages(&traffik).await?;
    let permit = messages.hit_costing(50).await?;
    assert_eq!(permit.settle(20).await?, Settlement::Done);
    assert_eq!((permit.granted(), remaining::<Prompts>(&traffik, HERE).await?), (20, 80));
    assert_eq!(messages.hit_costing(5).await?.refund().await?, Settlement::Done);
    assert_eq!(remaining::<Prompts>(&traffik, HERE).await?, 80);
    Ok(())
}

#[tokio::test]
async fn message_is_settled_for_its_connection_alone() -> Result {
    let (traffik, _) = traffik();
    let messages = messages(&traffik).await?;
    let (one, other) = (messages.clone().per_connection(), messages.per_connection());
    let permit = one.hit_costing(50).await?;
    assert_eq!(permit.charge_more(10).await?, Settlement::Done);
    assert_eq!(permit.settle(20).await?, Settlement::Done);
    assert!(matches!(permit.settle(1).await, Err(AdjustError::Settled)));
    assert_eq!((permit.granted(), permit.tightest().remaining().units()), (20, Some(80)));
    assert_eq!(one.hit_costing(30).await?.tightest().remaining().units(), Some(50));
    assert_eq!(other.hit_costing(1).await?.tightest().remaining().units(), Some(99));
    assert_eq!(remaining::<Prompts>(&traffik, HERE).await?, 100);

    // More than the limit blocks what follows.
    assert_eq!(one.hit_costing(10).await?.settle(200).await?, Settlement::Done);
    assert!(one.hit_costing(1).await.is_err());
    Ok(())
}

#[tokio::test]
async fn message_is_settled_for_the_client_and_the_connection() -> Result {
    let (traffik, _) = traffik();
    let messages = messages(&traffik).await?;
    let both = messages.clone().and_per_connection(&messages);
    let permit = both.hit_costing(50).await?;
    assert_eq!(permit.refund().await?, Settlement::Done);
    assert_eq!(remaining::<Prompts>(&traffik, HERE).await?, 100);
    assert!(both.hit_costing(100).await.is_ok(), "both have all of it again");
    Ok(())
}
