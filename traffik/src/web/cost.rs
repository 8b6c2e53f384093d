//! What a request costs.

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::function::{OfParts, Source};
use crate::limit::Settings;

/// What a function that gives the cost of a request may answer: the cost, or a `Result` with a response of its own to a
/// request that it turns away.
pub trait IntoCost {
    /// The cost, or the response.
    ///
    /// # Errors
    ///
    /// The response that is sent in place of the handler's.
    fn into_cost(self) -> Result<u64, Response>;
}

/// The one integer: so that a number in a function needs no type.
impl IntoCost for u64 {
    fn into_cost(self) -> Result<u64, Response> {
        Ok(self)
    }
}

impl<E: IntoResponse> IntoCost for Result<u64, E> {
    fn into_cost(self) -> Result<u64, Response> {
        self.map_err(IntoResponse::into_response)
    }
}

/// An async function of the request's parts: `async fn(&Parts) -> u64`, or one that answers with a `Result`.
pub trait AsyncCost<'a>: Send + Sync {
    /// What it answers.
    type Output: IntoCost;
    /// Its future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Tells what the request costs.
    fn cost(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut> AsyncCost<'a> for F
where
    F: Fn(&'a Parts) -> Fut + Send + Sync,
    Fut: Future<Output: IntoCost> + Send + 'a,
{
    type Output = Fut::Output;
    type Future = Fut;

    fn cost(&self, parts: &'a Parts) -> Fut {
        self(parts)
    }
}

/// A function that tells what requests cost.
pub(super) type CostOf = OfParts<u64>;

/// With feature `axum`.
impl Settings {
    /// Takes as much of the limit for a request as a function of it says.
    ///
    /// It is asked first, once for each decision. At 0 nothing else is asked: not who the client is, and no backend. A
    /// request that costs more than the limit can ever hold is refused for good: its 429 has no `Retry-After`, and says so.
    ///
    /// Where no request is at hand, as in [`Traffik::hit`](crate::Traffik::hit), the [`cost`](Self::cost) holds that is set
    /// beside it.
    ///
    /// ```
    /// use axum::http::{StatusCode, header::CONTENT_LENGTH, request::Parts};
    /// use traffik::Settings;
    ///
    /// /// One for each kilobyte that is begun. Without a length nobody knows.
    /// fn by_size(parts: &Parts) -> Result<u64, StatusCode> {
    ///     let length = parts.headers.get(CONTENT_LENGTH).ok_or(StatusCode::LENGTH_REQUIRED)?;
    ///     let bytes = length.to_str().ok().and_then(|bytes| bytes.parse::<u64>().ok()).ok_or(StatusCode::BAD_REQUEST)?;
    ///     Ok(bytes.div_ceil(1000))
    /// }
    ///
    /// let settings = Settings::new().cost_of(by_size);
    /// ```
    pub fn cost_of<F, C>(mut self, cost: F) -> Self
    where
        F: Fn(&Parts) -> C + Send + Sync + 'static,
        C: IntoCost,
    {
        let source = Source::function(&cost);
        self.web.cost = Some(CostOf::new(move |parts| cost(parts).into_cost(), source));
        self
    }

    /// The same by an async function.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::Settings;
    ///
    /// async fn by_report(parts: &Parts) -> u64 {
    ///     rows_of(parts.uri.path()).await / 1000
    /// }
    /// # async fn rows_of(_: &str) -> u64 { 42 }
    ///
    /// let settings = Settings::new().async_cost_of(by_report);
    /// ```
    pub fn async_cost_of(mut self, cost: impl for<'a> AsyncCost<'a> + 'static) -> Self {
        let source = Source::function(&cost);
        let function = CostOf::new_async(
            move |parts| {
                let cost = cost.cost(parts);
                Box::pin(async move { cost.await.into_cost() })
            },
            source,
        );
        self.web.cost = Some(function);
        self
    }
}
