//! Which rate a client has.

use std::{fmt, sync::Arc};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::{client::Client, rate::Rate};

use super::function::{Answer, Awaited, Source};

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
pub(crate) struct RateOf {
    pub(crate) kind: RateKind,
    source: Source,
}

#[derive(Clone)]
pub(crate) enum RateKind {
    Sync(Arc<dyn Fn(&Parts, &Client) -> Answer<Rate> + Send + Sync>),
    Async(Arc<dyn for<'a> Fn(&'a Parts, &'a Client) -> Awaited<'a, Rate> + Send + Sync>),
}

impl RateOf {
    pub(crate) fn by<R: IntoRate>(rate: impl Fn(&Parts, &Client) -> R + Send + Sync + 'static) -> Self {
        let source = Source::function(&rate);
        Self { kind: RateKind::Sync(Arc::new(move |parts, client| rate(parts, client).into_rate())), source }
    }

    pub(crate) fn by_async(rate: impl for<'a> AsyncRate<'a> + 'static) -> Self {
        let source = Source::function(&rate);
        let ask = RateKind::Async(Arc::new(move |parts, client| {
            let rate = rate.rate(parts, client);
            Box::pin(async move { rate.await.into_rate() })
        }));
        Self { kind: ask, source }
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }
}

impl fmt::Debug for RateOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}
