use std::{borrow::Cow, marker::PhantomData};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::COOKIE, request::Parts},
};
use percent_encoding::percent_decode;
use traffik_core::client::Client;

use super::{IdentityRejection, Named};

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
    move |parts: &Parts| cookie(parts, &name).map_err(|reject| reject(name.clone()))
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

impl<N: Named, S: Sync> FromRequestParts<S> for ByCookie<N> {
    type Rejection = IdentityRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, IdentityRejection> {
        let client = cookie(parts, N::NAME).map_err(|reject| reject(N::NAME.into()))?;
        Ok(Self(client, PhantomData))
    }
}

impl<N> From<ByCookie<N>> for Client {
    fn from(ByCookie(client, _): ByCookie<N>) -> Self {
        client
    }
}

/// Makes a rejection of the name of a cookie.
type Reject = fn(Cow<'static, str>) -> IdentityRejection;

fn cookie(parts: &Parts, name: &str) -> Result<Client, Reject> {
    let mut values = values(&parts.headers, name);
    let value = values.next().filter(|value| !value.is_empty()).ok_or(IdentityRejection::no_cookie as Reject)?;
    if values.any(|other| other != value) {
        return Err(IdentityRejection::several_cookies);
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
