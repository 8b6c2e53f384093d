//! The rate of a client.

use std::{fmt, sync::Arc};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::{client::Client, rate::Rate};

use super::function::{Answer, Awaited, Source};

/// The return type of a function that gives the rate of a request: the rate, or a `Result` whose error is the response
/// to a request that the function rejects.
pub trait IntoRate {
    /// Returns the rate, or the response.
    ///
    /// # Errors
    ///
    /// Returns the response that is sent in place of the handler's.
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

/// An async function of the request's parts and its client: `async fn(&Parts, &Client) -> Rate`, or one that returns a
/// `Result`.
pub trait AsyncRate<'a>: Send + Sync {
    /// The output.
    type Output: IntoRate;
    /// The future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Returns the rate of the client.
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

/// A function that returns the rate of clients.
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
