//! The client that a request comes from.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::client::{Client, Key, Part};

use super::{
    client_ip::ClientIp,
    function::{OfParts, Source},
};

/// The answers of an identity: a [`Client`], what turns into one, or a `Result` whose error is the response to a request
/// that it refuses.
#[diagnostic::on_unimplemented(
    message = "an identity does not return `{Self}`",
    label = "neither a client nor a `Result`",
    note = "return a `traffik::Client`, what turns into one (an address, a number, a text, or a tuple of them), or a \
            `Result` with a response as its error",
    note = "of an `Option` say what `None` means: `.ok_or(StatusCode::UNAUTHORIZED)` refuses the request, \
            `.unwrap_or(EXEMPTED)` does not limit it, and `.unwrap_or(Client::from(\"anonymous\"))` makes all such \
            requests one client"
)]
pub trait IntoIdentity {
    /// The client, or the response.
    ///
    /// # Errors
    ///
    /// The response that is sent in place of the handler's.
    fn into_identity(self) -> Result<Client, Response>;
}

/// Whatever names a client without fail.
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

/// An async function of the request's parts: `async fn(&Parts) -> Client`, or one that answers with a `Result`.
pub trait AsyncIdentity<'a>: Send + Sync {
    /// What it answers.
    type Output: IntoIdentity;
    /// Its future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Names the client.
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

/// A function that names clients.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A function.
    Function(OfParts<Client>),
    /// By their address, behind other proxies than the app.
    Address(ClientIp, Source),
}

impl Identity {
    pub(crate) fn by<C: IntoIdentity>(identity: impl Fn(&Parts) -> C + Send + Sync + 'static) -> Self {
        let source = Source::function(&identity);
        Self::Function(OfParts::new(move |parts| identity(parts).into_identity(), source))
    }

    pub(crate) fn by_async(identity: impl for<'a> AsyncIdentity<'a> + 'static) -> Self {
        let source = Source::function(&identity);
        Self::Function(OfParts::new_async(
            move |parts| {
                let client = identity.identify(parts);
                Box::pin(async move { client.await.into_identity() })
            },
            source,
        ))
    }

    pub(crate) fn by_address(client_ip: ClientIp) -> Self {
        let source = Source::function(&client_ip);
        Self::Address(client_ip, source)
    }

    /// The proxies behind which it finds the client's address, if it does so.
    pub(crate) fn client_ip(&self) -> Option<&ClientIp> {
        match self {
            Self::Address(client_ip, _) => Some(client_ip),
            Self::Function(_) => None,
        }
    }

    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Address(_, source) => *source,
            Self::Function(function) => function.source(),
        }
    }
}
