use std::fmt;

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;
use thiserror::Error;
use traffik_core::{OutOfRange, backend::MaybeReady};

use crate::{request::OfParts, web::plain_problem};

/// Decides who may call the [`router`](super::router): by a bearer token, or by a function of the request.
///
/// ```
/// use traffik::admin::{Guard, Operator};
///
/// # let (secret, other) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
/// // One token that may change limits, and one that may read.
/// let guard = Guard::bearer(secret)?.or(Guard::bearer_of(Operator::new("dashboard").read_only(), other)?);
/// # Ok::<(), traffik::admin::GuardError>(())
/// ```
///
/// # Browsers
///
/// A browser adds cookies, client certificates and HTTP Basic credentials also to requests that another site makes. So a guard by
/// a function accepts a request other than `GET` and `HEAD` only with two headers: `X-Traffik-Admin`, of any value, and
/// `Sec-Fetch-Site: same-origin`, which browsers set themselves. A `GET` needs neither, but a `Sec-Fetch-Site` other than
/// `same-origin` and `none` is refused: the latter is an address that the operator enters. Other requests are a 403. A bearer
/// token needs neither header, because no browser adds it. [`accept_any_origin`](Self::accept_any_origin) ends this for a function
/// that reads no such credentials.
///
/// A `GET` that the browser opens as a page (`Sec-Fetch-Mode: navigate` and `Sec-Fetch-Dest: document`) is accepted from every site,
/// except for `/events`. So a login on another site can redirect back. No other site can read such a page.
///
/// Browsers send `Sec-Fetch-Site` only over HTTPS and on localhost. So over plain HTTP a page makes no change, except on localhost.
#[derive(Debug)]
#[must_use]
pub struct Guard {
    /// In the order in which they are asked. Never empty.
    all: Vec<One>,
}

#[derive(Debug)]
struct One {
    kind: Kind,
    checks_origin: bool,
}

enum Kind {
    Bearer(Secret, Operator),
    Function(OfParts<Operator>),
}

struct Secret(Box<[u8]>);

/// An operator who is let in.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) operator: Operator,
    /// Whether a change must come from a page of the same origin.
    pub(super) checks_origin: bool,
}

/// An error in the secret of a [`Guard`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The secret is too short.
    #[error(transparent)]
    TooShort(#[from] OutOfRange),
    /// The secret has a character that a bearer token cannot have.
    #[error(
        "the secret of `Guard::bearer` has a space, a line break or another character that no bearer token has, so no request \
         could match it: trim it, or use letters, digits and punctuation of ASCII"
    )]
    Characters,
}

/// An async function of the request's parts: `async fn(&Parts) -> Result<Operator, impl IntoResponse>`.
pub trait AsyncGuard<'a>: Send + Sync {
    /// The response to a request that is not let in.
    type Rejection: IntoResponse;
    /// The future.
    type Future: Future<Output = Result<Operator, Self::Rejection>> + Send + 'a;

    /// Finds out which operator sent the request.
    fn admit(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut, R> AsyncGuard<'a> for F
where
    F: Fn(&'a Parts) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Operator, R>> + Send + 'a,
    R: IntoResponse,
{
    type Rejection = R;
    type Future = Fut;

    fn admit(&self, parts: &'a Parts) -> Fut {
        self(parts)
    }
}

impl Guard {
    /// The least number of bytes of a secret.
    const SECRET: u64 = 16;

    /// Lets requests in with `Authorization: Bearer` and this secret. The operator is `bearer`, and may make changes.
    ///
    /// The secret has at least 16 bytes. It is compared in constant time for secrets of the same length.
    ///
    /// # Errors
    ///
    /// Returns an error if the secret is shorter, or if it has a character that a token cannot have, such as a line break.
    pub fn bearer(secret: impl AsRef<str>) -> Result<Self, GuardError> {
        Self::bearer_of(Operator::new("bearer"), secret)
    }

    /// Lets an operator in with `Authorization: Bearer` and this secret.
    ///
    /// # Errors
    ///
    /// The same as [`bearer`](Self::bearer).
    pub fn bearer_of(operator: Operator, secret: impl AsRef<str>) -> Result<Self, GuardError> {
        let secret = secret.as_ref();
        let range = Self::SECRET..=u64::MAX;
        OutOfRange::check("the number of bytes of the secret of Guard::bearer", secret.len() as u64, range)?;
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(GuardError::Characters);
        }
        Ok(Self::of(Kind::Bearer(Secret(secret.as_bytes().into()), operator), false))
    }

    /// Asks a function, which returns the operator or a response, such as a 401 or a redirect to a login.
    ///
    /// ```
    /// use axum::http::{StatusCode, request::Parts};
    /// use traffik::admin::{Guard, Operator};
    ///
    /// // What a middleware of yours has found out, for example from the cookie of a session.
    /// #[derive(Clone)]
    /// struct Employee {
    ///     name: String,
    ///     is_on_call: bool,
    /// }
    ///
    /// let guard = Guard::by(|parts: &Parts| {
    ///     let employee = parts.extensions.get::<Employee>().ok_or(StatusCode::UNAUTHORIZED)?;
    ///     let operator = Operator::new(employee.name.clone());
    ///     Ok::<_, StatusCode>(if employee.is_on_call { operator } else { operator.read_only() })
    /// });
    /// ```
    pub fn by<R: IntoResponse>(function: impl Fn(&Parts) -> Result<Operator, R> + Send + Sync + 'static) -> Self {
        let function =
            OfParts::new(move |parts| MaybeReady::Ready(function(parts).map_err(IntoResponse::into_response)));
        Self::of(Kind::Function(function), true)
    }

    /// Asks an async function: see [`by`](Self::by).
    ///
    /// ```
    /// use axum::http::{StatusCode, request::Parts};
    /// use traffik::admin::{Guard, Operator};
    ///
    /// async fn employee(parts: &Parts) -> Result<Operator, StatusCode> {
    ///     let session = parts.headers.get("cookie").ok_or(StatusCode::UNAUTHORIZED)?;
    ///     // .. look the session up.
    /// #   let _ = session;
    ///     Ok(Operator::new("dana"))
    /// }
    ///
    /// let guard = Guard::by_async(employee);
    /// ```
    pub fn by_async(function: impl for<'a> AsyncGuard<'a> + 'static) -> Self {
        let function = OfParts::new(move |parts| {
            let operator = function.admit(parts);
            MaybeReady::pending(async move { operator.await.map_err(IntoResponse::into_response) })
        });
        Self::of(Kind::Function(function), true)
    }

    /// Asks another guard about requests that this one does not let in. The response is that of the last guard.
    pub fn or(mut self, other: Self) -> Self {
        self.all.extend(other.all);
        self
    }

    /// Accepts requests from pages of any origin, and changes from programs. Only for functions that read no cookie, no client
    /// certificate and nothing else that a browser adds by itself: see [Browsers](#browsers).
    pub fn accept_any_origin(mut self) -> Self {
        self.all.iter_mut().for_each(|guard| guard.checks_origin = false);
        self
    }

    fn of(kind: Kind, checks_origin: bool) -> Self {
        Self { all: vec![One { kind, checks_origin }] }
    }

    /// Returns the operator, or the response.
    pub(super) async fn admit(&self, parts: &Parts) -> Result<Admitted, Response> {
        let mut rejection = no_token();
        for One { kind, checks_origin } in &self.all {
            let answer = match kind {
                Kind::Bearer(secret, operator) => secret.admits(parts).then(|| operator.clone()).ok_or_else(no_token),
                Kind::Function(function) => function.ask(parts).await,
            };
            match answer {
                Ok(operator) => return Ok(Admitted { operator, checks_origin: *checks_origin }),
                Err(response) => rejection = response,
            }
        }
        Err(rejection)
    }
}

impl Secret {
    fn admits(&self, parts: &Parts) -> bool {
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.as_bytes().split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && token.trim_ascii().ct_eq(&self.0).into()
    }
}

fn no_token() -> Response {
    let detail = "send the token of an operator as `Authorization: Bearer <token>`";
    let mut response = plain_problem(StatusCode::UNAUTHORIZED, detail);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"traffik\""));
    response
}

/// Does not show the secret.
impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(_, operator) => f.debug_tuple("Bearer").field(operator).finish(),
            Self::Function(function) => function.fmt(f),
        }
    }
}

/// The person or the program that calls the [`router`](super::router). A [`Guard`] returns it.
///
/// ```
/// use traffik::admin::Operator;
///
/// assert!(Operator::new("dana").may_change());
/// assert!(!Operator::new("dashboard").read_only().may_change());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Operator {
    name: Box<str>,
    may_change: bool,
}

impl Operator {
    /// Creates an operator that may read and change everything. The name is for the log.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), may_change: true }
    }

    /// Lets the operator read alone. A change is answered with a 403.
    pub fn read_only(self) -> Self {
        Self { may_change: false, ..self }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `true` if the operator may make changes.
    #[must_use]
    pub fn may_change(&self) -> bool {
        self.may_change
    }
}

/// Writes the name.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}
