//! A process that calls the API.

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use axum::http;
use tower::{Layer, ServiceExt, service_fn};
use traffik::{Gcra, Throttle, Traffik};
use traffik_redis::RedisBackend;

use crate::options::Options;

/// The API allows 50 calls a second, and bursts of 5. The calls are evenly spaced, so that the burst is left for those that
/// arrive late.
#[derive(Throttle)]
#[limit("outgoing:places", "50/s", strategy = Gcra::new())]
pub(crate) struct Places;

/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Makes the calls, one after the other, and prints how the API answered.
pub(crate) async fn run(Options { redis, url, calls }: Options) -> Result<(), Box<dyn Error>> {
    let redis = RedisBackend::builder(redis).namespace("outgoing").command_timeout(TIMEOUT).connect().await?;
    let traffik = Traffik::builder(redis).backend_timeout(TIMEOUT).strict().build()?;

    let http = reqwest::Client::builder().no_proxy().build()?;
    let client = service_fn(move |request: http::Request<reqwest::Body>| {
        let call = reqwest::Request::try_from(request).map(|request| http.execute(request));
        async move { call?.await.map(http::Response::from) }
    });
    let client = traffik.outgoing::<Places>().wait(Duration::from_secs(10)).layer(client);

    let (began, mut statuses) = (Instant::now(), BTreeMap::<u16, u32>::new());
    for _ in 0..calls {
        let request = http::Request::get(&url).body(reqwest::Body::default())?;
        let response = client.clone().oneshot(request).await?;
        *statuses.entry(response.status().as_u16()).or_default() += 1;
    }
    for (status, count) in statuses {
        println!("{count} calls answered with {status} in {:.1} s", began.elapsed().as_secs_f64());
    }
    Ok(traffik.close().await?)
}
