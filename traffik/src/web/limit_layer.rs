//! Layers with limits that are values: those that an app adds, and those of a limits file.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    http::{Request, request, response},
    response::{IntoResponse, Response},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    RequestContext, Site, ThrottleRejection,
    check::Sought,
    resolve::Memo,
    site::LayerRules,
    throttle_layer::{checked, take_ready},
};
#[cfg(feature = "file")]
use crate::engine::Traffik;
use crate::{
    engine::{Check, Checks},
    limit::{DefaultIdentity, Definition},
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
        self.rules.add_to_all(|rules| rules.applies.add_rule(rule));
        self
    }

    /// Adds a bypass: in this layer the limits do not apply to requests that match. See [`Bypass`].
    pub fn bypass(mut self, bypass: Bypass) -> Self {
        self.rules.add_to_all(|rules| rules.applies.add_bypass(bypass));
        self
    }

    /// Refunds the charges of the layer's limits if the response meets this condition: see
    /// [`Settings::refund_if`](crate::Settings::refund_if).
    pub fn refund_if(mut self, condition: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.rules.add_to_all(|rules| rules.refund_if.add(condition));
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
        LimitService { inner, limits: LayerLimits::Listed(self.clone()) }
    }
}

/// Layer that checks requests against the limits that a limits file makes. See [`Traffik::file_limits_layer`].
#[cfg(feature = "file")]
#[derive(Clone, Debug)]
#[must_use]
pub struct FileLimitsLayer {
    traffik: Traffik,
}

#[cfg(feature = "file")]
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

#[cfg(feature = "file")]
impl<S> Layer<S> for FileLimitsLayer {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> LimitService<S> {
        LimitService { inner, limits: LayerLimits::OfFile(self.traffik.clone()) }
    }
}

/// The service of a [`LimitLayer`], or of the layer with the limits of a file.
#[derive(Clone, Debug)]
pub struct LimitService<S> {
    inner: S,
    limits: LayerLimits,
}

/// The limits that a layer checks.
#[derive(Clone, Debug)]
enum LayerLimits {
    Listed(LimitLayer),
    #[cfg(feature = "file")]
    OfFile(Traffik),
}

impl<S, B> Service<Request<B>> for LimitService<S>
where
    S: Service<Request<B>, Response: IntoResponse, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = take_ready(&mut self.inner);
        let (limits, rules, marks) = match self.limits.clone() {
            LayerLimits::Listed(layer) => (LimitSet::Listed(layer.limits), layer.rules, layer.marks),
            #[cfg(feature = "file")]
            LayerLimits::OfFile(traffik) => {
                let Some(limits) = of_file(&traffik) else {
                    let mut inner = inner;
                    return Box::pin(async move { inner.call(request).await.map(IntoResponse::into_response) });
                };
                (limits, LayerRules::default(), false)
            }
        };
        checked(inner, limits, rules, marks, request)
    }
}

/// The limits of a layer, which are one decision.
#[derive(Clone, Debug)]
enum LimitSet {
    Listed(OneOrMore<Uid>),
    /// Those that the limits file makes, at least one.
    #[cfg(feature = "file")]
    OfFile(OneOrMore<Arc<Definition>>),
}

/// Returns the limits that the file makes. `None` if there are none.
#[cfg(feature = "file")]
fn of_file(traffik: &Traffik) -> Option<LimitSet> {
    let made = traffik.made_by_file();
    let mut made = made.iter().map(|made| made.definition.clone());
    let mut all = OneOrMore::new(made.next()?);
    made.for_each(|definition| all.add(definition, |_, _| false));
    Some(LimitSet::OfFile(all))
}

/// Names a limit.
#[derive(Clone)]
enum Uid {
    One(Arc<str>),
    Of(Arc<dyn Fn(&request::Parts) -> Arc<str> + Send + Sync>),
}

impl<S: Send + Sync> Sought<S> for LimitSet {
    type Found = OneOrMore<Arc<Definition>>;

    fn find(self, context: &RequestContext, parts: &request::Parts) -> Result<Self::Found, ThrottleRejection> {
        let find = |uid: &Uid| match uid {
            Uid::One(uid) => context.value(uid),
            Uid::Of(function) => context.value(&function(parts)),
        };
        let uids = match self {
            Self::Listed(uids) => uids,
            #[cfg(feature = "file")]
            Self::OfFile(found) => return Ok(found),
        };
        let mut found = OneOrMore::new(find(uids.first())?);
        for uid in uids.iter().skip(1) {
            found.add(find(uid)?, Arc::ptr_eq);
        }
        Ok(found)
    }

    async fn checks<'a>(
        found: &'a Self::Found,
        context: &'a RequestContext,
        site: &Site,
        parts: &mut request::Parts,
        state: &S,
    ) -> Result<Checks<'a>, ThrottleRejection> {
        let first = context.check::<DefaultIdentity, S>(found.first(), site, Memo(None), parts, state).await?;
        let mut checks = Checks::new(first);
        for definition in found.iter().skip(1) {
            let memo = Memo(Some(&checks));
            let check = context.check::<DefaultIdentity, S>(definition, site, memo, parts, state).await?;
            checks.add(check, Check::is_same);
        }
        Ok(checks)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(uid) => fmt::Debug::fmt(uid, f),
            Self::Of(_) => f.write_str("Function(..)"),
        }
    }
}
