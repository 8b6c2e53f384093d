//! Functions of a request that an app or a throttle calls: for the cost, the rate and the backend.

use std::{
    any::TypeId,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::{backend::MaybeReady, client::Client, rate::Rate};

/// The result of a function: the value, or the response to a request that the function rejects.
pub(crate) type Answer<T> = Result<T, Response>;

/// The future of a result.
type Awaited<'a, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 'a>>;

/// A function of a request's parts that returns a `T`.
#[derive(Clone)]
pub(crate) struct OfParts<T> {
    function: Arc<Ask<T>>,
    pub(crate) source: Source,
}

type Ask<T> = dyn for<'a> Fn(&'a Parts) -> MaybeReady<'a, Answer<T>> + Send + Sync;

impl<T> OfParts<T> {
    /// `function` holds what the function of the app holds, and no more: it becomes the source.
    pub(crate) fn new(
        function: impl for<'a> Fn(&'a Parts) -> MaybeReady<'a, Answer<T>> + Send + Sync + 'static,
    ) -> Self {
        Self { source: Source::function(&function), function: Arc::new(function) }
    }

    /// Calls the function. A result that needs no waiting is ready.
    pub(crate) fn ask<'a>(&self, parts: &'a Parts) -> MaybeReady<'a, Answer<T>> {
        (self.function)(parts)
    }
}

impl<T> fmt::Debug for OfParts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}

/// The source of a result. Each source is called once in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An extractor, or a function without captured state.
    Type(TypeId),
    /// A function with captured state, by its number.
    Holding(usize),
}

impl Source {
    pub(crate) fn extractor<T: 'static>() -> Self {
        Self::Type(TypeId::of::<T>())
    }

    pub(crate) fn function<F: 'static>(function: &F) -> Self {
        static HOLDING: AtomicUsize = AtomicUsize::new(0);
        match size_of_val(function) {
            0 => Self::Type(TypeId::of::<F>()),
            _ => Self::Holding(HOLDING.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

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
        Self::new(move |parts| MaybeReady::Ready(cost(parts).into_cost()))
    }

    pub(crate) fn by_async(cost: impl for<'a> AsyncCost<'a> + 'static) -> Self {
        Self::new(move |parts| {
            let cost = cost.cost(parts);
            MaybeReady::pending(async move { cost.await.into_cost() })
        })
    }
}

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
    pub(crate) source: Source,
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
}

impl fmt::Debug for RateOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}

/// A function that names the backend of a request.
#[derive(Clone)]
pub(crate) struct BackendOf(Arc<Choose>);

type Choose = dyn Fn(&Parts, &mut dyn FnMut(&str)) + Send + Sync;

impl BackendOf {
    pub(crate) fn by<N: AsRef<str>>(name: impl Fn(&Parts) -> N + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |parts, receive| receive(name(parts).as_ref())))
    }

    /// Calls `read` with the name for a request.
    pub(crate) fn with_name<R>(&self, parts: &Parts, read: impl FnOnce(&str) -> R) -> Option<R> {
        let (mut read, mut result) = (Some(read), None);
        (self.0)(parts, &mut |name| result = read.take().map(|read| read(name)));
        result
    }
}

impl fmt::Debug for BackendOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}
