use tower_layer::Layer;

use super::TraffikService;
use crate::engine::Traffik;

/// Layer that carries a [`Traffik`] to everything that throttles. See [`Traffik::layer`].
#[derive(Clone, Debug)]
pub struct TraffikLayer {
    traffik: Traffik,
}

impl Traffik {
    /// Returns the layer that carries this handle to everything that throttles.
    ///
    /// It puts the handle into every request, where handlers extract it as a [`Traffik`] argument. It adds the RateLimit fields to every response whose request
    /// met a limit (whoever made it, and without touching fields that are there), and gives back what a request was
    /// charged when a later limit turns it away. What a client that is turned away had still to send is
    /// [drained](crate::TraffikBuilder::drain_limit), so that it gets to read why.
    ///
    /// A refusal is known by a mark in the response's extensions: a middleware of yours that makes a new response out of
    /// one has to take its extensions along, or nothing is given back, and nothing drained.
    ///
    /// Add it after the routes, and after the layers that throttle: of axum's layers the one added last runs first.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use traffik::{Traffik, backend::MemoryBackend};
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"));
    /// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(traffik.layer());
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
