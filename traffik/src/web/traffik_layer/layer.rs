use tower_layer::Layer;

use super::TraffikService;
use crate::engine::Traffik;

/// Layer that makes a [`Traffik`] available to throttles and handlers. See [`Traffik::layer`].
#[derive(Clone, Debug)]
pub struct TraffikLayer {
    traffik: Traffik,
}

impl Traffik {
    /// Returns the layer that makes this handle available to throttles and handlers. Add it after the routes, their
    /// fallback, and every layer that throttles: axum runs the layer that was added last first.
    ///
    /// The layer does four things:
    ///
    /// - It puts the handle into each request. Handlers extract it as a [`Traffik`] argument.
    /// - It adds the RateLimit fields to each response whose request met a limit. If the
    ///   response already has one of them, it adds none.
    /// - It refunds the charges of a request that a later limit rejects.
    /// - It [drains](crate::TraffikBuilder::drain_limit) the body of a rejected request, which lets the client read the
    ///   response.
    ///
    /// The layer recognizes a rejection by a mark in the extensions of the response. Middleware between this layer and a
    /// throttle, which is added before this layer, can replace the response of a throttle: it must then copy the
    /// extensions. Without them nothing is refunded or drained.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(traffik.layer());
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    #[must_use]
    pub fn layer(&self) -> TraffikLayer {
        TraffikLayer { traffik: self.clone() }
    }
}

impl<S> Layer<S> for TraffikLayer {
    type Service = TraffikService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraffikService { inner, traffik: self.traffik.clone() }
    }
}
