//! Which rate a client has.

use std::{fmt, sync::Arc};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::{client::Client, rate::Rate};

use super::function::{Answer, Awaited, Source};
use crate::limit::Settings;

/// What a function that gives the rate of a request may answer: the rate, or a `Result` with a response of its own to a
/// request that it turns away.
pub trait IntoRate {
    /// The rate, or the response.
    ///
    /// # Errors
    ///
    /// The response that is sent in place of the handler's.
    fn into_rate(self) -> Result<Rate, Response>;
}

impl IntoRate for Rate {
    fn into_rate(self) -> Result<Rate, Response> {
        Ok(self)
    }
}

impl<E: IntoResponse> IntoRate for Result<Rate, E> {
    fn into_rate(self) -> Result<Rate, Response> {
        self.map_err(IntoResponse::into_response)
    }
}

/// An async function of the request's parts and its client: `async fn(&Parts, &Client) -> Rate`, or one that answers with a
/// `Result`.
pub trait AsyncRate<'a>: Send + Sync {
    /// What it answers.
    type Output: IntoRate;
    /// Its future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Tells which rate the client has.
    fn rate(&self, parts: &'a Parts, client: &'a Client) -> Self::Future;
}

impl<'a, F, Fut> AsyncRate<'a> for F
where
    F: Fn(&'a Parts, &'a Client) -> Fut + Send + Sync,
    Fut: Future<Output: IntoRate> + Send + 'a,
{
    type Output = Fut::Output;
    type Future = Fut;

    fn rate(&self, parts: &'a Parts, client: &'a Client) -> Fut {
        self(parts, client)
    }
}

/// A function that tells which rate clients have.
#[derive(Clone)]
pub(super) struct RateOf {
    pub(super) kind: RateKind,
    source: Source,
}

#[derive(Clone)]
pub(super) enum RateKind {
    Sync(Arc<dyn Fn(&Parts, &Client) -> Answer<Rate> + Send + Sync>),
    Async(Arc<dyn for<'a> Fn(&'a Parts, &'a Client) -> Awaited<'a, Rate> + Send + Sync>),
}

impl RateOf {
    pub(super) fn source(&self) -> Source {
        self.source
    }
}

impl fmt::Debug for RateOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}

/// With feature `axum`.
impl Settings {
    /// Holds each client to the rate that a function of the request and its client gives: by plan, say, or by tier.
    ///
    /// It is asked last, once for each decision, and not at all about a request that costs nothing, a client that is
    /// [exempted](crate::EXEMPTED), and what was charged before. Who has [`Rate::UNLIMITED`] is counted nowhere.
    ///
    /// What a client used stays used when his rate changes; each strategy says how in
    /// [the guide](https://github.com/traffik-rs/traffik/blob/main/docs/strategies.md#when-the-rate-changes). A rate that
    /// does not go with the strategy is a 500 that says so, which is logged.
    ///
    /// Where no request is at hand, as in [`Traffik::hit`](crate::Traffik::hit), the throttle's
    /// [`RATE`](crate::Throttle::RATE) holds.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::{Client, Rate, Settings};
    ///
    /// /// Put into the request by the middleware that authenticates it.
    /// #[derive(Clone)]
    /// enum Plan {
    ///     Trial,
    ///     Business,
    ///     Partner,
    /// }
    ///
    /// fn by_plan(parts: &Parts, _: &Client) -> Rate {
    ///     match parts.extensions.get::<Plan>() {
    ///         Some(Plan::Partner) => Rate::UNLIMITED,
    ///         Some(Plan::Business) => const { Rate::literal("1000/min") },
    ///         Some(Plan::Trial) | None => const { Rate::literal("10/min") },
    ///     }
    /// }
    ///
    /// let settings = Settings::new().rate_of(by_plan);
    /// ```
    pub fn rate_of<F, R>(mut self, rate: F) -> Self
    where
        F: Fn(&Parts, &Client) -> R + Send + Sync + 'static,
        R: IntoRate,
    {
        let source = Source::function(&rate);
        let kind = RateKind::Sync(Arc::new(move |parts, client| rate(parts, client).into_rate()));
        self.web.rate = Some(RateOf { kind, source });
        self
    }

    /// The same by an async function.
    ///
    /// ```
    /// use axum::http::{StatusCode, request::Parts};
    /// use traffik::{Client, Rate, Settings};
    ///
    /// async fn by_contract(_: &Parts, client: &Client) -> Result<Rate, StatusCode> {
    ///     let contract = contract_of(client).await.ok_or(StatusCode::PAYMENT_REQUIRED)?;
    ///     contract.parse().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    /// }
    /// # async fn contract_of(_: &Client) -> Option<String> { Some("100/min".to_owned()) }
    ///
    /// let settings = Settings::new().async_rate_of(by_contract);
    /// ```
    pub fn async_rate_of(mut self, rate: impl for<'a> AsyncRate<'a> + 'static) -> Self {
        let source = Source::function(&rate);
        let kind = RateKind::Async(Arc::new(move |parts, client| {
            let rate = rate.rate(parts, client);
            Box::pin(async move { rate.await.into_rate() })
        }));
        self.web.rate = Some(RateOf { kind, source });
        self
    }
}
