//! Functions of a request that an app or a throttle calls.

use std::{
    any::TypeId,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{http::request::Parts, response::Response};
use traffik_core::backend::MaybeReady;

/// The result of a function: the value, or the response to a request that the function rejects.
pub(crate) type Answer<T> = Result<T, Response>;

/// The future of a result.
pub(crate) type Awaited<'a, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 'a>>;

/// A function of a request's parts that returns a `T`.
pub(crate) struct OfParts<T> {
    function: Function<T>,
    source: Source,
}

enum Function<T> {
    Sync(Arc<dyn Fn(&Parts) -> Answer<T> + Send + Sync>),
    Async(Arc<dyn for<'a> Fn(&'a Parts) -> Awaited<'a, T> + Send + Sync>),
}

impl<T> OfParts<T> {
    pub(crate) fn new(function: impl Fn(&Parts) -> Answer<T> + Send + Sync + 'static, source: Source) -> Self {
        Self { function: Function::Sync(Arc::new(function)), source }
    }

    pub(crate) fn new_async(
        function: impl for<'a> Fn(&'a Parts) -> Awaited<'a, T> + Send + Sync + 'static,
        source: Source,
    ) -> Self {
        Self { function: Function::Async(Arc::new(function)), source }
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Calls the function. A result that needs no waiting is ready.
    pub(crate) fn ask<'a>(&self, parts: &'a Parts) -> MaybeReady<'a, Answer<T>> {
        match &self.function {
            Function::Sync(function) => MaybeReady::Ready(function(parts)),
            Function::Async(function) => MaybeReady::Pending(function(parts)),
        }
    }
}

impl<T> Clone for OfParts<T> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), source: self.source }
    }
}

impl<T> Clone for Function<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Sync(function) => Self::Sync(Arc::clone(function)),
            Self::Async(function) => Self::Async(Arc::clone(function)),
        }
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
