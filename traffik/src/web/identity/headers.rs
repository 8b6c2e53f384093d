//! Identities by a header: its text, an API key, a bearer token, or a cookie.

use std::{borrow::Cow, fmt, marker::PhantomData, str};

use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName,
        header::{AUTHORIZATION, COOKIE},
        request::Parts,
    },
};
use percent_encoding::percent_decode;
use traffik_core::client::Client;

use super::rejection::{IdentityRejection, Reason};
use crate::web::rejection::{Cause, Misconfigured};

/// The name of a header or a cookie, for an identity as a type.
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
///
/// ```compile_fail
/// use axum::{Router, routing::get};
/// use traffik::identity::{ByHeader, Named};
///
/// struct TenantId;
///
/// impl Named for TenantId {
///     const NAME: &'static str = "X-Tenant-Id";
/// }
///
/// let _: Router = Router::new().route("/", get(async |_: ByHeader<TenantId>| {}));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the name of a header or a cookie",
    label = "a type that implements `Named` is needed here",
    note = "write `struct TenantId; impl traffik::identity::Named for TenantId {{ const NAME: &'static str = \"x-tenant-id\"; }}`"
)]
pub trait Named: 'static {
    /// The name. A name of a header is in lower case: others do not compile.
    const NAME: &'static str;
}

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
    move |parts: &Parts| header(parts, known(&name)?)
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

/// Identifies the client by its bearer token, the one in `Authorization: Bearer ..` (RFC 6750). It is
/// [secret](Client::secret).
///
/// ```
/// use traffik::{Settings, identity::by_bearer_token};
///
/// let settings = Settings::new().identity(by_bearer_token);
/// ```
///
/// The token is not verified. A middleware that rejects unknown tokens has to run before: otherwise a client can have as many
/// limits as it makes up tokens.
///
/// # Errors
///
/// Returns a 401 if the request has no token, and a 400 if it has several `Authorization` headers.
pub fn by_bearer_token(parts: &Parts) -> Result<Client, IdentityRejection> {
    // Another scheme is not a token.
    const SCHEME: &str = "bearer";
    if !parts.headers.contains_key(AUTHORIZATION) {
        return Err(IdentityRejection(Reason::NoToken));
    }
    let value = text(parts, &AUTHORIZATION)?;
    let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME));
    let token = token.map(|(_, token)| token.trim_ascii()).filter(|token| !token.is_empty());
    token.map(Client::secret).ok_or(IdentityRejection(Reason::NoToken))
}

/// Identity by the bearer token of a request, which is [secret](Client::secret). [`by_bearer_token`] is the same as a function.
///
/// ```
/// use traffik::{Rate, Throttle, identity::ByBearerToken};
///
/// struct Api;
///
/// impl Throttle for Api {
///     const UID: &'static str = "api:token";
///     const RATE: Rate = Rate::literal("1000/min");
///     type Identity = ByBearerToken;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ByBearerToken(Client);

impl<S: Sync> FromRequestParts<S> for ByBearerToken {
    type Rejection = IdentityRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, IdentityRejection> {
        by_bearer_token(parts).map(Self)
    }
}

impl From<ByBearerToken> for Client {
    fn from(ByBearerToken(client): ByBearerToken) -> Self {
        client
    }
}

/// Returns a function that identifies the client by a cookie, which is [secret](Client::secret).
///
/// ```
/// use traffik::{Settings, identity::by_cookie};
///
/// let settings = Settings::new().identity(by_cookie("session"));
/// ```
///
/// The value counts without quotes and percent-decoded, so that a client cannot get another limit by another spelling. A
/// request without the cookie, or with an empty one, gets a 401. One that has the cookie with different values gets a 400,
/// because it is not known which of them the app reads.
///
/// The session is not verified. A middleware that rejects unknown sessions has to run before: otherwise a client can have as
/// many limits as it makes up cookies.
pub fn by_cookie(
    name: impl Into<Cow<'static, str>>,
) -> impl Fn(&Parts) -> Result<Client, IdentityRejection> + Clone + Send + Sync + 'static {
    let name = name.into();
    move |parts: &Parts| cookie(parts, &name)
}

/// Identity by a cookie, which is [secret](Client::secret). [`by_cookie`] is the same as a function.
///
/// ```
/// use traffik::{Rate, Throttle, identity::{ByCookie, Named}};
///
/// struct Session;
///
/// impl Named for Session {
///     const NAME: &'static str = "session";
/// }
///
/// struct Pages;
///
/// impl Throttle for Pages {
///     const UID: &'static str = "pages:session";
///     const RATE: Rate = Rate::literal("60/min");
///     type Identity = ByCookie<Session>;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ByCookie<N>(Client, PhantomData<fn() -> N>);

/// Implements the extractors whose type names a header or a cookie.
macro_rules! named {
    ($($identity:ident: $client:expr;)+) => {
        $(impl<N: Named, S: Sync> FromRequestParts<S> for $identity<N> {
            type Rejection = IdentityRejection;

            async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, IdentityRejection> {
                let client: fn(&Parts) -> Result<Client, IdentityRejection> = $client;
                client(parts).map(|client| Self(client, PhantomData))
            }
        }

        impl<N> From<$identity<N>> for Client {
            fn from(identity: $identity<N>) -> Self {
                identity.0
            }
        })+
    };
}

named! {
    ByHeader: |parts| header(parts, &const { HeaderName::from_static(N::NAME) });
    ByApiKey: |parts| api_key(parts, &const { HeaderName::from_static(N::NAME) });
    ByCookie: |parts| cookie(parts, N::NAME);
}

/// Returns the value of the only header of this name.
fn text<'p>(parts: &'p Parts, name: &HeaderName) -> Result<&'p str, IdentityRejection> {
    let mut values = parts.headers.get_all(name).iter();
    let value = values.next().map(|value| value.as_bytes().trim_ascii()).filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| IdentityRejection(Reason::NoHeader(name.clone())))?;
    if values.next().is_some() {
        return Err(IdentityRejection(Reason::SeveralHeaders(name.clone())));
    }
    str::from_utf8(value).map_err(|_| IdentityRejection(Reason::UnreadableHeader(name.clone())))
}

fn header(parts: &Parts, name: &HeaderName) -> Result<Client, IdentityRejection> {
    text(parts, name).map(|value| value.to_owned().into())
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
    name.as_ref().map_err(|text| {
        IdentityRejection(Reason::Misconfigured(Misconfigured::logged(Cause::HeaderName(text.clone()))))
    })
}

fn cookie(parts: &Parts, name: &str) -> Result<Client, IdentityRejection> {
    let mut values = values(&parts.headers, name);
    let value = values.next().filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| IdentityRejection(Reason::NoCookie(name.into())))?;
    if values.any(|other| other != value) {
        return Err(IdentityRejection(Reason::SeveralCookies(name.into())));
    }
    Ok(Client::secret(String::from_utf8_lossy(&value)))
}

/// Returns the values of the cookies with a name. HTTP/2 may split them into several headers.
fn values<'p>(headers: &'p HeaderMap, name: &'p str) -> impl Iterator<Item = Cow<'p, [u8]>> {
    let lines = headers.get_all(COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.filter_map(move |pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (found, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        // Some frameworks decode names too.
        (decoded(found) == name.as_bytes()).then(|| decoded(unquoted(value.trim_ascii())))
    })
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(text.trim_ascii()).into()
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}
