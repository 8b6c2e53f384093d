//! The client that a request comes from.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::{
    backend::MaybeReady,
    client::{Client, Key, Part},
};

use super::{
    client_ip::ClientIp,
    function::{OfParts, Source},
};

/// The return type of an identity: a [`Client`], a type that converts into one, or a `Result` whose error is the
/// response to a request that the identity rejects.
#[diagnostic::on_unimplemented(
    message = "an identity does not return `{Self}`",
    label = "neither a client nor a `Result`",
    note = "return a `traffik::Client`, a type that converts into one (an address, a number, a text, or a tuple of them), or a \
            `Result` with a response as its error",
    note = "of an `Option` say what `None` means: `.ok_or(StatusCode::UNAUTHORIZED)` refuses the request, \
            `.unwrap_or(EXEMPTED)` does not limit it, and `.unwrap_or(Client::from(\"anonymous\"))` makes all such \
            requests one client"
)]
pub trait IntoIdentity {
    /// Returns the client, or the response.
    ///
    /// # Errors
    ///
    /// Returns the response that is sent in place of the handler's.
    fn into_identity(self) -> Result<Client, Response>;
}

/// Implements the conversion of types that always identify a client.
macro_rules! names_a_client {
    ($($name:ty),+ $(,)?) => {
        $(impl IntoIdentity for $name {
            fn into_identity(self) -> Result<Client, Response> {
                Ok(self.into())
            }
        })+
    };
}

names_a_client!(Client, Key, IpAddr, Ipv4Addr, Ipv6Addr, String, Cow<'static, str>, &'static str);
names_a_client!(Box<str>, Arc<str>);
names_a_client!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);
#[cfg(feature = "uuid")]
names_a_client!(uuid::Uuid);

impl<const N: usize> IntoIdentity for [u8; N] {
    fn into_identity(self) -> Result<Client, Response> {
        Ok(self.into())
    }
}

impl<A: Into<Part>, B: Into<Part>> IntoIdentity for (A, B) {
    fn into_identity(self) -> Result<Client, Response> {
        Ok(self.into())
    }
}

impl<A: Into<Part>, B: Into<Part>, C: Into<Part>> IntoIdentity for (A, B, C) {
    fn into_identity(self) -> Result<Client, Response> {
        Ok(self.into())
    }
}

impl<C: Into<Client>, E: IntoResponse> IntoIdentity for Result<C, E> {
    fn into_identity(self) -> Result<Client, Response> {
        self.map(Into::into).map_err(IntoResponse::into_response)
    }
}

/// An async function of the request's parts: `async fn(&Parts) -> Client`, or one that returns a `Result`.
pub trait AsyncIdentity<'a>: Send + Sync {
    /// The output.
    type Output: IntoIdentity;
    /// The future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Identifies the client.
    fn identify(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut> AsyncIdentity<'a> for F
where
    F: Fn(&'a Parts) -> Fut + Send + Sync,
    Fut: Future<Output: IntoIdentity> + Send + 'a,
{
    type Output = Fut::Output;
    type Future = Fut;

    fn identify(&self, parts: &'a Parts) -> Fut {
        self(parts)
    }
}

/// A function that identifies clients.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A function.
    Function(OfParts<Client>),
    /// By address, behind proxies of its own.
    Address(ClientIp, Source),
}

impl Identity {
    pub(crate) fn by<C: IntoIdentity>(identity: impl Fn(&Parts) -> C + Send + Sync + 'static) -> Self {
        Self::Function(OfParts::new(move |parts| MaybeReady::Ready(identity(parts).into_identity())))
    }

    pub(crate) fn by_async(identity: impl for<'a> AsyncIdentity<'a> + 'static) -> Self {
        Self::Function(OfParts::new(move |parts| {
            let client = identity.identify(parts);
            MaybeReady::pending(async move { client.await.into_identity() })
        }))
    }

    pub(crate) fn by_address(client_ip: ClientIp) -> Self {
        let source = Source::function(&client_ip);
        Self::Address(client_ip, source)
    }

    /// Returns the proxies, if it identifies clients by address.
    pub(crate) fn client_ip(&self) -> Option<&ClientIp> {
        match self {
            Self::Address(client_ip, _) => Some(client_ip),
            Self::Function(_) => None,
        }
    }

    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Address(_, source) => *source,
            Self::Function(function) => function.source,
        }
    }
}
