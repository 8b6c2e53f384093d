use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use traffik_core::client::Client;

/// Identity of a limit that all clients share, such as one for the whole service.
///
/// ```
/// use traffik::{Rate, Throttle, identity::Everyone};
///
/// /// What the database behind the search can do.
/// struct Searches;
///
/// impl Throttle for Searches {
///     const UID: &'static str = "search:service";
///     const RATE: Rate = Rate::literal("10000/min");
///     type Identity = Everyone;
/// }
/// ```
///
/// The RateLimit fields show every client how much of the shared limit remains. To check the limit without a request, pass
/// `Everyone` as the client:
///
/// ```
/// # use traffik::{Rate, Throttle, Traffik, MemoryBackend, identity::Everyone};
/// # struct Searches;
/// # impl Throttle for Searches {
/// #     const UID: &'static str = "search:service";
/// #     const RATE: Rate = Rate::literal("10000/min");
/// #     type Identity = Everyone;
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let limits = traffik.limiter::<Searches>(Everyone).peek().await?;
/// assert_eq!(limits.tightest().remaining(), 10_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everyone;

/// Identifies all clients as one: [`Everyone`] as a function.
///
/// ```
/// use traffik::{Settings, identity::everyone};
///
/// let settings = Settings::new().identity(everyone);
/// ```
#[must_use]
pub fn everyone(_: &Parts) -> Client {
    Everyone.into()
}

impl<S: Sync> FromRequestParts<S> for Everyone {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl From<Everyone> for Client {
    fn from(_: Everyone) -> Self {
        Self::from("everyone")
    }
}
