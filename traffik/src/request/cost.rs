//! What a request costs.

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::function::{OfParts, Source};

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
