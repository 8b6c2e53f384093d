//! Services of tower without a router.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::Request,
    response::{IntoResponse, Response},
};
use tower::{Layer, ServiceExt, service_fn};
use traffik::{Limiter, test::RequestExt};

use super::{Result, remaining};
use crate::http::app::{HERE, throttle, traffik};

throttle!(Calls, "services:calls", "2/min");

#[tokio::test]
async fn service_checks_the_parts_of_its_request() -> Result {
    async fn answer(request: Request<Body>) -> std::result::Result<Response, Infallible> {
        let (mut parts, _) = request.into_parts();
        let checked = match Limiter::<Calls>::from_request_parts(&mut parts, &()).await {
            Ok(calls) => calls.check().await,
            Err(rejection) => Err(rejection),
        };
        Ok(checked.map(|permit| permit.tightest().remaining().to_string()).into_response())
    }
    let (traffik, _) = traffik();
    let service = traffik.layer().layer(service_fn(answer));
    for (status, state) in [
        (200, r#""services:calls";r=1;t=60"#),
        (200, r#""services:calls";r=0;t=60"#),
        (429, r#""services:calls";r=0;t=60"#),
    ] {
        let request = Request::get("/").body(Body::empty())?.with_peer("127.0.0.1:50000");
        let response = service.clone().oneshot(request).await?;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().get("ratelimit").map(|state| state.to_str()).transpose()?, Some(state));
    }
    assert_eq!(remaining::<Calls>(&traffik, HERE).await?, 0);
    Ok(())
}
