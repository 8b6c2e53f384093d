use std::sync::Arc;

use axum::http::{request, response};
use tower_layer::Layer;

use super::{
    limit_service::{LayerLimits, LimitService},
    limit_set::Uid,
    site::LayerRules,
};
use crate::{
    one_or_more::OneOrMore,
    request::{Bypass, Rule},
};

/// Layer that checks all requests against limits that were [added](crate::Traffik::add_limit). See [`limit_layer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct LimitLayer {
    limits: OneOrMore<Uid>,
    rules: LayerRules,
    marks: bool,
}

/// Returns a layer that checks a limit that was [added](crate::Traffik::add_limit), for a whole router. It is
/// [`throttle_layer`](crate::throttle_layer) for a limit that is a value.
///
/// ```
/// use axum::{Router, routing::get};
/// use traffik::{MemoryBackend, Settings, Traffik, limit_layer};
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
///     .add_limit("partner:v1", "1000/min".parse()?, Settings::new())
///     .build()?;
///
/// let app: Router = Router::new()
///     .route("/", get(|| async {}))
///     .route_layer(limit_layer("partner:v1"))
///     .layer(traffik.layer());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The app of the request finds the limit for each request. If it has none of this uid, or if the limit was
/// [removed](crate::Traffik::remove_limit), the response is a 500 that names the uid, and no request passes.
pub fn limit_layer(uid: impl Into<Arc<str>>) -> LimitLayer {
    LimitLayer::new(Uid::One(uid.into()))
}

/// Returns a layer that checks the limit that a function of the request names: that of its tenant, for example. See
/// [`limit_layer`].
///
/// ```
/// use axum::{Router, http::request::Parts, routing::get};
/// use traffik::{MemoryBackend, Settings, Traffik, limit_layer_of};
///
/// /// Set by the middleware that authenticates the request.
/// #[derive(Clone)]
/// struct Tenant(&'static str);
///
/// fn limit_of(parts: &Parts) -> String {
///     match parts.extensions.get::<Tenant>() {
///         Some(Tenant(name)) => format!("tenant:{name}"),
///         None => "tenant:none".to_owned(),
///     }
/// }
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
///     .add_limit("tenant:none", "10/min".parse()?, Settings::new())
///     .add_limit("tenant:acme", "1000/min".parse()?, Settings::new())
///     .build()?;
///
/// let app: Router = Router::new()
///     .route("/", get(|| async {}))
///     .route_layer(limit_layer_of(limit_of))
///     .layer(traffik.layer());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A request for which the app has no limit is answered with a 500. So the function must not return what a client writes
/// without checking it: return the uid of a limit that the app has.
pub fn limit_layer_of<U: Into<Arc<str>>>(uid: impl Fn(&request::Parts) -> U + Send + Sync + 'static) -> LimitLayer {
    LimitLayer::new(Uid::Of(Arc::new(move |parts| uid(parts).into())))
}

impl LimitLayer {
    fn new(uid: Uid) -> Self {
        Self { limits: OneOrMore::new(uid), rules: LayerRules::default(), marks: false }
    }

    /// Adds a limit. All limits of a layer are one decision: all are charged, or none is.
    ///
    /// ```
    /// use traffik::limit_layer;
    ///
    /// let layer = limit_layer("partner:burst").and("partner:day");
    /// ```
    pub fn and(mut self, uid: impl Into<Arc<str>>) -> Self {
        self.limits.add(Uid::One(uid.into()), |_, _| false);
        self
    }

    /// Adds the limit that a function of the request names: see [`limit_layer_of`].
    pub fn and_of<U: Into<Arc<str>>>(mut self, uid: impl Fn(&request::Parts) -> U + Send + Sync + 'static) -> Self {
        self.limits.add(Uid::Of(Arc::new(move |parts| uid(parts).into())), |_, _| false);
        self
    }

    /// Adds a rule: in this layer the limits apply only to requests that match this rule and all other rules of the limit and of
    /// the layer. See [`Rule`].
    ///
    /// An error in a rule is logged here, and every request is answered with a 500 that explains it.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.add_to_all(|applies, _| applies.add_rule(rule));
        self
    }

    /// Adds a bypass: in this layer the limits do not apply to requests that match. See [`Bypass`].
    pub fn bypass(mut self, bypass: Bypass) -> Self {
        self.rules.add_to_all(|applies, _| applies.add_bypass(bypass));
        self
    }

    /// Refunds the charges of the layer's limits if the response meets this condition: see
    /// [`Settings::refund_if`](crate::Settings::refund_if).
    pub fn refund_if(mut self, condition: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.rules.add_to_all(|_, refund_if| refund_if.add(condition));
        self
    }

    /// Lets requests over a limit pass: see [`ThrottleLayer::mark`](crate::ThrottleLayer::mark).
    pub fn mark(self) -> Self {
        Self { marks: true, ..self }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> LimitService<S> {
        LimitService { inner, limits: LayerLimits::Listed(self.limits.clone(), self.rules.clone(), self.marks) }
    }
}
