//! A client that disconnects during its refusal leaves no permit behind.

use std::{pin::pin, time::Duration};

use axum::{Router, body::Body, http::Request, routing::get};
use tests::until_idle;
use tower::ServiceExt;
use traffik::{Throttled, test::RequestExt};

use super::{Result, free, places};
use crate::{
    http::app::{HERE, throttle},
    on_error::backends::{Mood, app},
};

places!(Socket, "hanging-up:places", "2/30s");
throttle!(Narrow, "hanging-up:narrow", "1/min");

#[tokio::test]
async fn permit_of_a_disconnected_client_is_free_after_the_backend_hung() -> Result {
    let (traffik, moody, clock) = app(|builder, _| builder);
    let service =
        Router::new().route("/", get(|_: Throttled<Socket>, _: Throttled<Narrow>| async {})).layer(traffik.layer());
    let request = || Request::get("/").body(Body::empty()).map(|request| request.with_peer("127.0.0.1:50000"));
    assert_eq!(service.clone().oneshot(request()?).await?.status(), 200);
    until_idle().await;
    assert_eq!(free::<Socket>(&traffik, HERE).await, 2);

    moody.is(Mood::ChargesAndIsSlow);
    {
        let mut refused = pin!(service.oneshot(request()?));
        for _ in 0..2 {
            assert!(futures_util::poll!(refused.as_mut()).is_pending(), "the request checks the permit, then the rate");
            until_idle().await;
            clock.advance(Duration::from_millis(10));
            until_idle().await;
        }
        moody.is(Mood::Hangs);
        let _ = futures_util::poll!(refused.as_mut());
    }
    moody.is(Mood::Answers);
    until_idle().await;
    assert_eq!(free::<Socket>(&traffik, HERE).await, 2);
    Ok(())
}
