use tower_layer::Layer;

use super::TraffikService;
use crate::engine::Traffik;

/// Layer that makes a [`Traffik`] available to throttles and handlers. See [`Traffik::layer`].
#[derive(Clone, Debug)]
pub struct TraffikLayer {
    traffik: Traffik,
    exposes: bool,
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
    /// With [`expose`](TraffikLayer::expose) it also puts the limits that the request met into the extensions of the response.
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
        #[cfg(feature = "file")]
        self.is_served();
        TraffikLayer { traffik: self.clone(), exposes: false }
    }
}

impl TraffikLayer {
    /// Puts the [`Limits`](crate::Limits) that the request met into the extensions of the response, for middleware outside of
    /// this layer.
    ///
    /// ```
    /// use axum::{Router, extract::Request, middleware::{Next, from_fn}, response::Response, routing::get};
    /// use traffik::{Limits, MemoryBackend, Traffik};
    ///
    /// async fn log(request: Request, next: Next) -> Response {
    ///     let response = next.run(request).await;
    ///     if let Some(limits) = response.extensions().get::<Limits>() {
    ///         let tightest = limits.tightest();
    ///         println!("{}: {} left", tightest.uid(), tightest.remaining());
    ///     }
    ///     response
    /// }
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let app: Router = Router::new()
    ///     .route("/", get(|| async { "hello" }))
    ///     .layer(traffik.layer().expose())
    ///     .layer(from_fn(log));
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// The limits are those that the RateLimit fields show, in the same state: after refunds, once each. They are there also
    /// where the fields are not, because a shared cache may store the response. They hold no permit. A response to a request
    /// that no limit counted has none. To read them inside of this layer, see [`Limits::met_by`](crate::Limits::met_by).
    #[must_use]
    pub fn expose(self) -> Self {
        Self { exposes: true, ..self }
    }
}

impl<S> Layer<S> for TraffikLayer {
    type Service = TraffikService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraffikService { inner, traffik: self.traffik.clone(), exposes: self.exposes }
    }
}
