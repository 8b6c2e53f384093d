//! Permits of WebSocket messages.

use axum::{extract::FromRequestParts, http::Request};
use traffik::{AdjustError, Settlement, test::RequestExt, web::ws::Messages};

use super::{Result, remaining};
use crate::http::app::{HERE, throttle, traffik};

throttle!(Prompts, "messages:prompts", "100/min");

#[tokio::test]
async fn message_is_settled_for_the_client_and_not_for_a_connection() -> Result {
    let (traffik, _) = traffik();
    let (mut parts, ()) = Request::get("/").body(())?.with_peer("127.0.0.1:50000").into_parts();
    parts.extensions.insert(traffik.clone());
    let messages = Messages::<Prompts>::from_request_parts(&mut parts, &()).await?;

    let permit = messages.hit_costing(50).await?;
    assert_eq!(permit.settle(20).await?, Settlement::Done);
    assert_eq!((permit.granted(), remaining::<Prompts>(&traffik, HERE).await?), (20, 80));
    assert_eq!(messages.hit_costing(5).await?.refund().await?, Settlement::Done);
    assert_eq!(remaining::<Prompts>(&traffik, HERE).await?, 80);

    let permit = messages.per_connection().hit_costing(50).await?;
    let failed = permit.settle(20).await;
    assert!(matches!(failed, Err(AdjustError::PerConnection)), "{failed:?}");
    assert_eq!((permit.granted(), permit.tightest().remaining().units()), (50, Some(50)));
    assert_eq!(remaining::<Prompts>(&traffik, HERE).await?, 80);
    Ok(())
}
