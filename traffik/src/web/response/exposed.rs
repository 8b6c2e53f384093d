//! The fields that a CORS layer must expose to pages of other origins.

use axum::http::{HeaderName, header::RETRY_AFTER};

use super::fields::{POLICY, STATE, X_LIMIT, X_REMAINING, X_RESET};

/// `RateLimit-Policy`, `RateLimit` and `Retry-After`. A script from another origin can read them only if a CORS layer
/// exposes them.
///
/// Add the CORS layer outside of everything that throttles, so that a 429 has its fields too:
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_http::cors::{Any, CorsLayer};
/// use traffik::{MemoryBackend, Traffik, web::EXPOSED_HEADERS};
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(traffik.layer())
///     .layer(CorsLayer::new().allow_origin(Any).expose_headers(EXPOSED_HEADERS)); // last, so it runs first
/// # Ok::<(), traffik::ConfigError>(())
/// ```
pub const EXPOSED_HEADERS: [HeaderName; 3] = [POLICY, STATE, RETRY_AFTER];

/// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, for apps that [send
/// them](crate::Fields::x_ratelimit).
///
/// ```
/// use tower_http::cors::{CorsLayer, ExposeHeaders};
/// use traffik::web::{EXPOSED_HEADERS, X_RATELIMIT_HEADERS};
///
/// let all = EXPOSED_HEADERS.into_iter().chain(X_RATELIMIT_HEADERS);
/// let cors = CorsLayer::new().expose_headers(ExposeHeaders::list(all));
/// ```
pub const X_RATELIMIT_HEADERS: [HeaderName; 3] = [X_LIMIT, X_REMAINING, X_RESET];
