use tower_layer::Layer;

use super::limit_service::{LayerLimits, LimitService};
use crate::engine::Traffik;

/// Layer that checks requests against the limits that a limits file makes. See [`Traffik::file_limits_layer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct FileLimitsLayer {
    traffik: Traffik,
}

impl Traffik {
    /// Returns the layer that applies the limits which the [limits file](crate::TraffikBuilder::limits_file) makes, each to requests
    /// of its paths. Requires the feature `file`.
    ///
    /// Add it before [`layer`](Self::layer), after the routes and their fallback. axum runs it then before the layers and the
    /// handlers that throttle.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// # let path = std::env::temp_dir().join(format!("traffik-layer-{}.toml", std::process::id()));
    /// std::fs::write(&path, "[new.\"site:search\"]\nrate = \"20/min\"\npath = \"/search\"\n")?;
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).limits_file(&path).build()?;
    /// let app: Router = Router::new()
    ///     .route("/search", get(|| async {}))
    ///     .layer(traffik.file_limits_layer())
    ///     .layer(traffik.layer());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// All limits of the file whose paths a request has are one decision: all are charged, or none is. A request meets the limits of
    /// the file as it was loaded last. Each request is compared with the paths of all of them. CORS preflights are not charged.
    pub fn file_limits_layer(&self) -> FileLimitsLayer {
        self.has_file_layer();
        FileLimitsLayer { traffik: self.clone() }
    }
}

impl<S> Layer<S> for FileLimitsLayer {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> LimitService<S> {
        LimitService { inner, limits: LayerLimits::OfFile(self.traffik.clone()) }
    }
}
