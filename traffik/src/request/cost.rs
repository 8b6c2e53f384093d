//! The cost of a request.

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::function::{OfParts, Source};

/// The return type of a function that gives the cost of a request: the cost, or a `Result` whose error is the response
/// to a request that the function rejects.
pub trait IntoCost {
    /// Returns the cost, or the response.
    ///
    /// # Errors
    ///
    /// Returns the response that is sent in place of the handler's.
    fn into_cost(self) -> Result<u64, Response>;
}

/// The only integer type, so that a literal in a function needs no suffix.
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

/// An async function of the request's parts: `async fn(&Parts) -> u64`, or one that returns a `Result`.
pub trait AsyncCost<'a>: Send + Sync {
    /// The output.
    type Output: IntoCost;
    /// The future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Returns the cost of the request.
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

/// A function that returns the cost of requests.
pub(crate) type CostOf = OfParts<u64>;

impl CostOf {
    pub(crate) fn by<C: IntoCost>(cost: impl Fn(&Parts) -> C + Send + Sync + 'static) -> Self {
        let source = Source::function(&cost);
        Self::new(move |parts| cost(parts).into_cost(), source)
    }

    pub(crate) fn by_async(cost: impl for<'a> AsyncCost<'a> + 'static) -> Self {
        let source = Source::function(&cost);
        Self::new_async(
            move |parts| {
                let cost = cost.cost(parts);
                Box::pin(async move { cost.await.into_cost() })
            },
            source,
        )
    }
}
