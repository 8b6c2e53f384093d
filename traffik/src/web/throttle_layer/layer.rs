use std::{fmt, marker::PhantomData};

use tower_layer::Layer;

use super::ThrottleService;

/// Layer that holds all requests to a throttle, or to a tuple of them. See [`throttle_layer`].
pub struct ThrottleLayer<T> {
    throttles: PhantomData<fn() -> T>,
}

/// One shared limit for a whole router.
///
/// The limit is checked before anything inside runs. With `route_layer` requests that match no route are not charged. (A
/// router that has it by `layer` and is merged into another throttles what matches no route at all, as axum's layers do.)
///
/// ```
/// use axum::{Router, routing::get};
/// use traffik::{DefaultIdentity, Rate, Throttle, Traffik, backend::MemoryBackend, throttle_layer};
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
/// let traffik = Traffik::new(MemoryBackend::new("myapp"));
/// let app: Router = Router::new()
///     .nest("/api/v1", api.route_layer(throttle_layer::<ApiV1>()))
///     .layer(traffik.layer());
/// ```
///
/// The throttle's [`Identity`](crate::Throttle::Identity) must be found without the app's state. Where it needs the state,
/// use `axum::middleware::from_extractor_with_state::<Throttled<T>, _>`.
#[must_use]
pub fn throttle_layer<T>() -> ThrottleLayer<T> {
    ThrottleLayer { throttles: PhantomData }
}

impl<S, T> Layer<S> for ThrottleLayer<T> {
    type Service = ThrottleService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        ThrottleService { inner, throttles: PhantomData }
    }
}

impl<T> Clone for ThrottleLayer<T> {
    fn clone(&self) -> Self {
        throttle_layer()
    }
}

impl<T> fmt::Debug for ThrottleLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThrottleLayer<{}>", std::any::type_name::<T>())
    }
}
