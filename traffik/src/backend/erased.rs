//! Any backend, behind one pointer: the only place where a backend's futures are boxed.

use std::{fmt, pin::Pin, sync::Arc};

use super::{Backend, BackendError};
use crate::{
    clock::Timestamp,
    decision::{Decision, Hit, Receipt},
};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

/// [`Backend`] with its futures boxed, so that it can be called through a pointer.
trait ErasedBackend: fmt::Debug + Send + Sync {
    fn namespace(&self) -> &str;
    fn decide_now(&self, hits: &[Hit<'_>]) -> Option<Result<Decision, BackendError>>;
    fn decide<'a>(&'a self, hits: &'a [Hit<'a>]) -> Answer<'a, Decision>;
    fn peek<'a>(&'a self, hits: &'a [Hit<'a>]) -> Answer<'a, Decision>;
    fn refund<'a>(&'a self, receipts: &'a [Receipt<'a>]) -> Answer<'a, ()>;
    fn renew<'a>(&'a self, receipts: &'a [Receipt<'a>]) -> Answer<'a, Vec<Option<Timestamp>>>;
    fn reset<'a>(&'a self, hits: &'a [Hit<'a>]) -> Answer<'a, ()>;
    fn clear(&self) -> Answer<'_, ()>;
    fn close(&self) -> Answer<'_, ()>;
}

impl<B: Backend> ErasedBackend for B {
    fn namespace(&self) -> &str {
        Backend::namespace(self)
    }

    fn decide_now(&self, hits: &[Hit<'_>]) -> Option<Result<Decision, BackendError>> {
        Backend::decide_now(self, hits)
    }

    fn decide<'a>(&'a self, hits: &'a [Hit<'a>]) -> Answer<'a, Decision> {
        Box::pin(Backend::decide(self, hits))
    }

    fn peek<'a>(&'a self, hits: &'a [Hit<'a>]) -> Answer<'a, Decision> {
        Box::pin(Backend::peek(self, hits))
    }

    fn refund<'a>(&'a self, receipts: &'a [Receipt<'a>]) -> Answer<'a, ()> {
        Box::pin(Backend::refund(self, receipts))
    }

    fn renew<'a>(&'a self, receipts: &'a [Receipt<'a>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        Box::pin(Backend::renew(self, receipts))
    }

    fn reset<'a>(&'a self, hits: &'a [Hit<'a>]) -> Answer<'a, ()> {
        Box::pin(Backend::reset(self, hits))
    }

    fn clear(&self) -> Answer<'_, ()> {
        Box::pin(Backend::clear(self))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(Backend::close(self))
    }
}

/// Any [`Backend`], shared.
#[derive(Clone, Debug)]
pub(crate) struct AnyBackend(Arc<dyn ErasedBackend>);

impl AnyBackend {
    pub(crate) fn new(backend: impl Backend) -> Self {
        Self(Arc::new(backend))
    }

    pub(crate) fn namespace(&self) -> &str {
        self.0.namespace()
    }

    pub(crate) async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.0.decide(hits).await
    }

    pub(crate) fn decide_now(&self, hits: &[Hit<'_>]) -> Option<Result<Decision, BackendError>> {
        self.0.decide_now(hits)
    }

    pub(crate) async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.0.peek(hits).await
    }

    pub(crate) async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        self.0.refund(receipts).await
    }

    pub(crate) async fn renew(&self, receipts: &[Receipt<'_>]) -> Result<Vec<Option<Timestamp>>, BackendError> {
        self.0.renew(receipts).await
    }

    pub(crate) async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        self.0.reset(hits).await
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        self.0.clear().await
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        self.0.close().await
    }
}
