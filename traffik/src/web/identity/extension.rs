use std::{any::type_name, marker::PhantomData};

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::client::Client;

use super::rejection::{IdentityRejection, Reason};
use crate::{
    request::IntoIdentity,
    web::rejection::{Cause, Misconfigured},
};

/// Returns a function that identifies the client by an extension of the request: what the middleware that authenticates the
/// request put into it.
///
/// ```
/// use axum::http::StatusCode;
/// use traffik::{Client, EXEMPTED, Settings, identity::by_extension};
///
/// #[derive(Clone)]
/// struct User {
///     id: u64,
///     is_staff: bool,
/// }
///
/// let settings = Settings::new().identity(by_extension(|user: &User| ("user", user.id)));
///
/// // Everything that an identity may return:
/// let settings = Settings::new().identity(by_extension(|user: &User| match user.is_staff {
///     true => EXEMPTED,
///     false => Client::from(("user", user.id)),
/// }));
/// ```
///
/// If the request does not have the extension, the app is set up wrong: the request gets a 500 that names the type, and the
/// error is logged. The middleware has to run before the throttle, so add it after the layers that throttle. For requests that
/// may have none, use a function of the [request](crate::Settings::identity).
pub fn by_extension<T, C>(
    identity: impl Fn(&T) -> C + Clone + Send + Sync + 'static,
) -> impl Fn(&Parts) -> Result<Client, Response> + Clone + Send + Sync + 'static
where
    T: Send + Sync + 'static,
    C: IntoIdentity,
{
    move |parts: &Parts| match extension::<T>(parts) {
        Ok(value) => identity(value).into_identity(),
        Err(rejection) => Err(rejection.into_response()),
    }
}

/// Identity by an extension of the request that converts into a [`Client`]. [`by_extension`] is the same as a function, and
/// needs no conversion.
///
/// ```
/// use traffik::{Client, Rate, Throttle, identity::ByExtension};
///
/// /// Inserted by the middleware that authenticates the request.
/// #[derive(Clone, Copy)]
/// struct UserId(u64);
///
/// impl From<UserId> for Client {
///     fn from(UserId(id): UserId) -> Self {
///         Self::from(("user", id))
///     }
/// }
///
/// struct Orders;
///
/// impl Throttle for Orders {
///     const UID: &'static str = "orders:placed";
///     const RATE: Rate = Rate::literal("500/hour");
///     type Identity = ByExtension<UserId>;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ByExtension<T>(Client, PhantomData<fn() -> T>);

impl<T, S> FromRequestParts<S> for ByExtension<T>
where
    T: Clone + Into<Client> + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = IdentityRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, IdentityRejection> {
        extension::<T>(parts).map(|value| Self(value.clone().into(), PhantomData))
    }
}

impl<T> From<ByExtension<T>> for Client {
    fn from(ByExtension(client, _): ByExtension<T>) -> Self {
        client
    }
}

fn extension<T: Send + Sync + 'static>(parts: &Parts) -> Result<&T, IdentityRejection> {
    parts.extensions.get().ok_or_else(|| {
        IdentityRejection(Reason::Misconfigured(Misconfigured::logged(Cause::NoExtension(type_name::<T>()))))
    })
}
