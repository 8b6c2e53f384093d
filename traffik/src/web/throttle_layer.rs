//! A layer that throttles the routes inside of it.

use std::{
    fmt,
    marker::PhantomData,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    http::{Request, response},
    response::{IntoResponse, Response},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Site, ThrottleRejection, ThrottleSet,
    check::{Sought, check_request},
    settle_body::EndingBody,
    site::LayerRules,
    throttled::Types,
    uploads::drain_unread,
};
use crate::{
    engine::Limits,
    limit::{Throttle, Throttles},
    request::{Bypass, Rule},
};

/// Layer that checks all requests against a throttle, or a tuple of throttles. See [`throttle_layer`].
#[must_use]
pub struct ThrottleLayer<T> {
    rules: LayerRules,
    marks: bool,
    throttles: PhantomData<fn() -> T>,
}

/// Returns a layer that checks one shared limit for a whole router, before anything inside of it runs.
///
/// axum decides which requests meet the layer:
///
/// - `route_layer`: requests that match a route which was added before.
/// - `layer`: these, and requests for the fallback. **A fallback that is set after the layer is not limited**: write
///   `.fallback(handler).layer(throttle_layer::<T>())`. A router with such a layer that is merged into another also
///   limits requests that match no route.
///
/// ```
/// use axum::{Router, routing::get};
/// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik, throttle_layer};
///
/// struct ApiV1;
///
/// impl Throttle for ApiV1 {
///     const UID: &'static str = "api:v1";
///     const RATE: Rate = Rate::literal("1000/min");
///     type Identity = DefaultIdentity;
/// }
///
/// let api = Router::new()
///     .route("/users", get(|| async { "users" }))
///     .route("/products", get(|| async { "products" }));
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new()
///     .nest("/api/v1", api.route_layer(throttle_layer::<ApiV1>()))
///     .layer(traffik.layer());
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// The permit of a [`Concurrency`](crate::strategy::Concurrency) limit is held until the body of the response was sent or
/// is dropped. It does not follow an upgrade: for a WebSocket it ends with the handshake. To count open sockets, take
/// `Throttled<T>` in the handler and move it into the task of the socket.
///
/// `axum::middleware::from_extractor::<Throttled<T>>()` is not the same: it charges CORS preflights, takes no rules, and
/// releases a permit when the handler returns, before a streamed body is sent.
///
/// The throttle's [`Identity`](crate::Throttle::Identity) must be found without the app's state. Where it needs the state,
/// use `axum::middleware::from_extractor_with_state::<Throttled<T>, _>`, which charges preflights, has no rules of its own,
/// and releases a permit when the handler returns.
///
/// A permit cannot follow a connection that a handler upgrades: for WebSockets take the throttle as an argument, and move
/// it into the socket's task.
pub fn throttle_layer<T: ThrottleSet<()>>() -> ThrottleLayer<T> {
    ThrottleLayer::new()
}

impl<T> ThrottleLayer<T> {
    /// Creates the layer. [`throttle_layer`] does the same.
    pub fn new() -> Self
    where
        T: ThrottleSet<()>,
    {
        Self { rules: LayerRules::default(), marks: false, throttles: PhantomData }
    }
}

impl<T: Throttles> ThrottleLayer<T> {
    /// Adds a rule for the throttle `U`, which is `T` or in the tuple: in this layer it applies only to requests that
    /// match this rule and all other rules of the throttle and of the layer. See [`Rule`].
    ///
    /// A policy for a whole app, whose limits are one decision:
    ///
    /// ```
    /// use axum::{Router, http::Method, routing::get};
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Rule, Throttle, Traffik, throttle_layer};
    ///
    /// struct Reads;
    ///
    /// impl Throttle for Reads {
    ///     const UID: &'static str = "policy:reads";
    ///     const RATE: Rate = Rate::literal("600/min");
    ///     type Identity = DefaultIdentity;
    /// }
    ///
    /// struct Writes;
    ///
    /// impl Throttle for Writes {
    ///     const UID: &'static str = "policy:writes";
    ///     const RATE: Rate = Rate::literal("60/min");
    ///     type Identity = DefaultIdentity;
    /// }
    ///
    /// let policy = throttle_layer::<(Reads, Writes)>()
    ///     .rule::<Reads>(Rule::methods([Method::GET]))
    ///     .rule::<Writes>(Rule::methods([Method::POST, Method::PUT, Method::PATCH, Method::DELETE]));
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let app: Router = Router::new().route("/", get(|| async {})).layer(policy).layer(traffik.layer());
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// An error in a rule is logged here, and every request is answered with a 500 that explains it.
    pub fn rule<U: Throttle>(mut self, rule: Rule) -> Self {
        self.rules.add::<T, U>(|rules| rules.applies.add_rule(rule));
        self
    }

    /// Refunds the charge of the throttle `U`, which is `T` or in the tuple, if the response meets this condition: see
    /// [`Settings::refund_if`](crate::Settings::refund_if). The conditions of the throttle itself apply too.
    ///
    /// ```
    /// use axum::{Router, routing::post};
    /// use traffik::{Throttle, refund_if, throttle_layer, web::ThrottleSet};
    ///
    /// fn logins<Login: Throttle + ThrottleSet<()>>(routes: Router) -> Router {
    ///     routes.route_layer(throttle_layer::<Login>().refund_if::<Login>(refund_if::success))
    /// }
    /// ```
    pub fn refund_if<U: Throttle>(
        mut self,
        condition: impl Fn(&response::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rules.add::<T, U>(|rules| rules.refund_if.add(condition));
        self
    }

    /// Lets requests over a limit pass. The handler reads the limits of the request, and decides:
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use traffik::{DefaultIdentity, Limits, MemoryBackend, Rate, Throttle, ThrottleRejection, Traffik, throttle_layer};
    ///
    /// struct Search;
    ///
    /// impl Throttle for Search {
    ///     const UID: &'static str = "search:fresh";
    ///     const RATE: Rate = Rate::literal("30/min");
    ///     type Identity = DefaultIdentity;
    /// }
    ///
    /// async fn search(limits: Option<Limits>) -> &'static str {
    ///     match limits {
    ///         Some(limits) if !limits.is_admitted() => "what is in the cache",
    ///         _ => "fresh results",
    ///     }
    /// }
    ///
    /// async fn export(limits: Option<Limits>) -> Result<&'static str, ThrottleRejection> {
    ///     limits.map(Limits::or_refuse).transpose()?; // the same 429 as without `mark`
    ///     Ok("an export")
    /// }
    ///
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let app: Router = Router::new()
    ///     .route("/search", get(search))
    ///     .route("/export", get(export))
    ///     .route_layer(throttle_layer::<Search>().mark())
    ///     .layer(traffik.layer());
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// - A request within the limits is charged, as without `mark`. A request over a limit charges none of the layer's limits,
    ///   so the response refunds none of them.
    /// - The RateLimit fields show the limits as they stand. A response that is not a refusal has no `Retry-After`.
    /// - Other layers and throttles keep their charges, unless the handler refuses by
    ///   [`Limits::or_refuse`](crate::Limits::or_refuse).
    /// - A throttle further inside decides for itself. The same throttle is asked again if it was over its limit, so
    ///   `Throttled<Search>` in a handler enforces what this layer marks.
    /// - No permit of a [`Concurrency`](struct@crate::strategy::Concurrency) limit is held for a request over it, and a request
    ///   over the limit of a [queue](struct@crate::strategy::LeakyBucketWithQueue) does not wait.
    ///
    /// Only refusals are marked. A request that cannot be decided is rejected as [`on_error`](crate::on_error) says, and one
    /// whose identity fails, or whose network is denied, is rejected too.
    pub fn mark(mut self) -> Self {
        self.marks = true;
        self
    }

    /// Adds a bypass for the throttle `U`, which is `T` or in the tuple: in this layer it does not apply to requests
    /// that match. See [`Bypass`].
    pub fn bypass<U: Throttle>(mut self, bypass: Bypass) -> Self {
        self.rules.add::<T, U>(|rules| rules.applies.add_bypass(bypass));
        self
    }
}

impl<T: ThrottleSet<()>> Default for ThrottleLayer<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, T> Layer<S> for ThrottleLayer<T> {
    type Service = ThrottleService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        ThrottleService { inner, rules: self.rules.clone(), marks: self.marks, throttles: PhantomData }
    }
}

impl<T> Clone for ThrottleLayer<T> {
    fn clone(&self) -> Self {
        Self { rules: self.rules.clone(), marks: self.marks, throttles: PhantomData }
    }
}

impl<T> fmt::Debug for ThrottleLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThrottleLayer<{}>", std::any::type_name::<T>())
    }
}

/// The service of a [`ThrottleLayer`].
pub struct ThrottleService<S, T> {
    inner: S,
    rules: LayerRules,
    marks: bool,
    throttles: PhantomData<fn() -> T>,
}

impl<S, T, B> Service<Request<B>> for ThrottleService<S, T>
where
    S: Service<Request<B>, Response: IntoResponse, Future: Send> + Clone + Send + 'static,
    T: ThrottleSet<()>,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    /// Calls the inner service only if the limit has room.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        checked(take_ready(&mut self.inner), Types::<T>(PhantomData), self.rules.clone(), self.marks, request)
    }
}

/// Checks a request, and calls a service that is ready if it is admitted.
pub(super) fn checked<S, L, B>(
    mut service: S,
    sought: L,
    rules: LayerRules,
    marks: bool,
    request: Request<B>,
) -> Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>
where
    S: Service<Request<B>, Response: IntoResponse, Future: Send> + Send + 'static,
    L: Sought<()> + 'static,
    B: Send + 'static,
{
    let site = Site::Layer(rules);
    Box::pin(async move {
        let (mut parts, body) = request.into_parts();
        let held = match check_request(sought, &mut parts, &(), &site).await {
            Ok(limits) => Some(limits).filter(Limits::is_held),
            // The ledger has the limits that refuse.
            Err(ThrottleRejection::Limited(_)) if marks => None,
            Err(rejection) => {
                drain_unread(&parts, body);
                return Ok(rejection.into_response());
            }
        };
        let response = service.call(Request::from_parts(parts, body)).await?.into_response();
        Ok(match held {
            Some(limits) => hold(response, limits),
            None => response,
        })
    })
}

/// Returns a service on which `poll_ready` was called, and leaves a clone, which may not be ready.
pub(super) fn take_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    mem::replace(service, clone)
}

impl<S: Clone, T> Clone for ThrottleService<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), rules: self.rules.clone(), marks: self.marks, throttles: PhantomData }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for ThrottleService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottleService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Holds a permit until the last part of the response is sent: a request with a streaming body is still running.
fn hold(response: Response, limits: Limits) -> Response {
    // Most responses are complete here, and nothing follows the handshake of a socket.
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(EndingBody::new(body, move |_| drop(limits))))
}
