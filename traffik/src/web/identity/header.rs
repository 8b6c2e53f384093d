use std::{fmt, marker::PhantomData, str};

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, request::Parts},
};
use traffik_core::client::Client;

use super::{IdentityRejection, Named};
use crate::web::rejection::Misconfigured;

/// Returns a function that identifies the client by a header.
///
/// ```
/// use traffik::{Settings, identity::by_header};
///
/// /// The gateway sets the header, and removes it from what clients send.
/// let settings = Settings::new().identity(by_header("x-tenant-id"));
/// ```
///
/// The value is text, and stored as such: use [`by_api_key`] for a secret. A request without the header, or with an empty one,
/// gets a 400; so does a request with several, because it is not known which of them the app reads.
///
/// If no header can have the name, every request is answered with a 500 that says so, and the error is logged.
pub fn by_header(
    name: impl TryInto<HeaderName> + fmt::Display,
) -> impl Fn(&Parts) -> Result<Client, IdentityRejection> + Clone + Send + Sync + 'static {
    let name = header_name(name);
    move |parts: &Parts| text(parts, known(&name)?).map(|value| Client::from(value.to_owned()))
}

/// Returns a function that identifies the client by an API key in a header, which is [secret](Client::secret).
///
/// ```
/// use traffik::{Settings, identity::by_api_key};
///
/// let settings = Settings::new().identity(by_api_key("x-api-key"));
/// ```
///
/// A request without the header gets a 401, and one with several a 400. Otherwise it is the same as [`by_header`].
pub fn by_api_key(
    header: impl TryInto<HeaderName> + fmt::Display,
) -> impl Fn(&Parts) -> Result<Client, IdentityRejection> + Clone + Send + Sync + 'static {
    let name = header_name(header);
    move |parts: &Parts| api_key(parts, known(&name)?)
}

/// Identity by a header. [`by_header`] is the same as a function.
///
/// ```
/// use traffik::{Rate, Throttle, identity::{ByHeader, Named}};
///
/// struct TenantId;
///
/// impl Named for TenantId {
///     const NAME: &'static str = "x-tenant-id";
/// }
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "search:tenant";
///     const RATE: Rate = Rate::literal("600/min");
///     type Identity = ByHeader<TenantId>;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ByHeader<N>(Client, PhantomData<fn() -> N>);

/// Identity by an API key in a header, which is [secret](Client::secret). [`by_api_key`] is the same as a function.
#[derive(Clone, Debug)]
pub struct ByApiKey<N>(Client, PhantomData<fn() -> N>);

impl<N: Named, S: Sync> FromRequestParts<S> for ByHeader<N> {
    type Rejection = IdentityRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, IdentityRejection> {
        let value = text(parts, &const { HeaderName::from_static(N::NAME) })?;
        Ok(Self(value.to_owned().into(), PhantomData))
    }
}

impl<N: Named, S: Sync> FromRequestParts<S> for ByApiKey<N> {
    type Rejection = IdentityRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, IdentityRejection> {
        api_key(parts, &const { HeaderName::from_static(N::NAME) }).map(|client| Self(client, PhantomData))
    }
}

impl<N> From<ByHeader<N>> for Client {
    fn from(ByHeader(client, _): ByHeader<N>) -> Self {
        client
    }
}

impl<N> From<ByApiKey<N>> for Client {
    fn from(ByApiKey(client, _): ByApiKey<N>) -> Self {
        client
    }
}

/// Returns the value of the only header of this name.
pub(super) fn text<'p>(parts: &'p Parts, name: &HeaderName) -> Result<&'p str, IdentityRejection> {
    let mut values = parts.headers.get_all(name).iter();
    let value = values.next().map(|value| value.as_bytes().trim_ascii()).filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| IdentityRejection::no_header(name))?;
    if values.next().is_some() {
        return Err(IdentityRejection::several_headers(name));
    }
    str::from_utf8(value).map_err(|_| IdentityRejection::unreadable_header(name))
}

fn api_key(parts: &Parts, name: &HeaderName) -> Result<Client, IdentityRejection> {
    text(parts, name).map(Client::secret).map_err(IdentityRejection::of_api_key)
}

/// Returns the name of a header, or the text that is none.
fn header_name(name: impl TryInto<HeaderName> + fmt::Display) -> Result<HeaderName, Box<str>> {
    let text = name.to_string().into();
    name.try_into().map_err(|_| text)
}

fn known(name: &Result<HeaderName, Box<str>>) -> Result<&HeaderName, IdentityRejection> {
    name.as_ref().map_err(|text| IdentityRejection::misconfigured(Misconfigured::header_name(text)))
}
