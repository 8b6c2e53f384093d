//! Checks that handlers make themselves, and peeks.

mod checks;
mod clients;
mod login;
mod peeks;
mod services;

use axum::{extract::FromRequestParts, http::Request};
use traffik::{Client, Limiter, Throttle, Traffik, test::RequestExt, web::ThrottleSet};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Returns what remains of a limit.
async fn remaining<T: Throttle>(traffik: &Traffik, client: impl Into<Client>) -> Result<u64> {
    let limits = traffik.limiter::<T>(client).peek().await?;
    Ok(limits.tightest().remaining().units().ok_or("unlimited")?)
}

/// Returns the limiter of a request from this machine.
async fn limiter_of<T: ThrottleSet<()>>(traffik: &Traffik) -> Result<Limiter<T>> {
    let (mut parts, ()) = Request::get("/").body(())?.with_peer("127.0.0.1:50000").into_parts();
    parts.extensions.insert(traffik.clone());
    Ok(Limiter::from_request_parts(&mut parts, &()).await?)
}
