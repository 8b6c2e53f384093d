//! The backend of a request.

use std::{fmt, sync::Arc};

use axum::http::request::Parts;

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
