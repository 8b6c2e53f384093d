//! Who a request comes from.

use std::{
    any::TypeId,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use traffik_core::client::{Client, Key, Part};

use super::{
    client_ip::ClientIp,
    function::{Answer, OfParts, Source},
    peer::client_at,
    rejection::{Misconfigured, ThrottleRejection, Unidentified},
};
use crate::{
    engine::Traffik,
    limit::{DefaultIdentity, Definition, Throttle},
};

/// What an identifier may answer: a [`Client`], what turns into one, or a `Result` with a response of its own to a
/// request that it turns away.
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

names_a_client!(Client, Key, IpAddr, Ipv4Addr, Ipv6Addr, String, &'static str, i32, i64, u32, u64);

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
pub trait AsyncIdentifier<'a>: Send + Sync {
    /// What it answers.
    type Output: IntoIdentity;
    /// Its future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Names the client.
    fn identify(&self, parts: &'a Parts) -> Self::Future;
}

impl<'a, F, Fut> AsyncIdentifier<'a> for F
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
pub(super) enum Identifier {
    /// A function.
    Function(OfParts<Client>),
    /// By their address, behind other proxies than the app.
    Address(ClientIp, Source),
}

impl Identifier {
    pub(super) fn by<C: IntoIdentity>(identifier: impl Fn(&Parts) -> C + Send + Sync + 'static) -> Self {
        let source = Source::function(&identifier);
        Self::Function(OfParts::new(move |parts| identifier(parts).into_identity(), source))
    }

    pub(super) fn by_async(identifier: impl for<'a> AsyncIdentifier<'a> + 'static) -> Self {
        let source = Source::function(&identifier);
        Self::Function(OfParts::new_async(
            move |parts| {
                let client = identifier.identify(parts);
                Box::pin(async move { client.await.into_identity() })
            },
            source,
        ))
    }

    pub(super) fn by_address(client_ip: ClientIp) -> Self {
        let source = Source::function(&client_ip);
        Self::Address(client_ip, source)
    }

    /// The proxies behind which it finds the client's address, if it does so.
    pub(super) fn client_ip(&self) -> Option<&ClientIp> {
        match self {
            Self::Address(client_ip, _) => Some(client_ip),
            Self::Function(_) => None,
        }
    }

    pub(super) fn source(&self) -> Source {
        match self {
            Self::Address(_, source) => *source,
            Self::Function(function) => function.source(),
        }
    }

    /// Whether it names the client without waiting.
    pub(super) fn is_at_once(&self) -> bool {
        match self {
            Self::Address(..) => true,
            Self::Function(function) => function.is_at_once(),
        }
    }

    /// Names the client, if that takes no waiting.
    fn ask_now(&self, parts: &Parts) -> Option<Result<Client, ThrottleRejection>> {
        match self {
            Self::Address(client_ip, _) => Some(client_behind(client_ip, parts)),
            Self::Function(function) => function.ask_now(parts).map(identified),
        }
    }

    async fn ask(&self, parts: &Parts) -> Result<Client, ThrottleRejection> {
        match self {
            Self::Address(client_ip, _) => client_behind(client_ip, parts),
            Self::Function(function) => identified(function.ask(parts).await),
        }
    }
}

fn identified(identity: Answer<Client>) -> Result<Client, ThrottleRejection> {
    identity.map_err(|response| Unidentified::new(response).into())
}

/// Where the names of a throttle's clients come from.
pub(super) fn source<T: Throttle>(definition: &Definition) -> Source {
    match &definition.settings.web.identifier {
        Some(identifier) => identifier.source(),
        None => Source::extractor::<T::Identity>(),
    }
}

/// Asks whoever names the clients of a throttle, if that takes no waiting: most have an address, which is there.
pub(super) fn identify_now<T: Throttle>(
    definition: &Definition,
    traffik: &Traffik,
    parts: &Parts,
) -> Option<Result<Client, ThrottleRejection>> {
    match &definition.settings.web.identifier {
        Some(identifier) => identifier.ask_now(parts),
        None if has_default_identity::<T>() => default_client_now(traffik, parts),
        None => None,
    }
}

/// Asks whoever names the clients of a throttle.
pub(super) async fn identify<T, S>(
    definition: &Definition,
    parts: &mut Parts,
    state: &S,
) -> Result<Client, ThrottleRejection>
where
    T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
    S: Sync,
{
    match &definition.settings.web.identifier {
        Some(identifier) => identifier.ask(parts).await,
        // Asked here, so that what rejects is seen for what it is: as a mere extractor its rejection is a response.
        None if has_default_identity::<T>() => default_client(parts).await,
        None => match T::Identity::from_request_parts(parts, state).await {
            Ok(identity) => Ok(identity.into()),
            Err(rejection) => Err(Unidentified::new(rejection.into_response()).into()),
        },
    }
}

impl<S: Sync> FromRequestParts<S> for DefaultIdentity {
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ThrottleRejection> {
        default_client(parts).await.map(Self)
    }
}

/// The client as a throttle finds it that is behind other proxies than the app.
fn client_behind(client_ip: &ClientIp, parts: &Parts) -> Result<Client, ThrottleRejection> {
    let Some(traffik) = parts.extensions.get::<Traffik>() else { return Err(Misconfigured::no_state().into()) };
    client_at(parts, Some(client_ip), traffik)
}

pub(super) fn has_default_identity<T: Throttle>() -> bool {
    TypeId::of::<T::Identity>() == TypeId::of::<DefaultIdentity>()
}

/// The client as the app names it.
async fn default_client(parts: &Parts) -> Result<Client, ThrottleRejection> {
    let Some(traffik) = parts.extensions.get::<Traffik>() else { return Err(Misconfigured::no_state().into()) };
    let web = traffik.web();
    match &web.identifier {
        Some(identifier) => identifier.ask(parts).await,
        None => client_at(parts, web.client_ip.as_ref(), traffik),
    }
}

/// The same, if that takes no waiting.
fn default_client_now(traffik: &Traffik, parts: &Parts) -> Option<Result<Client, ThrottleRejection>> {
    let web = traffik.web();
    match &web.identifier {
        Some(identifier) => identifier.ask_now(parts),
        None => Some(client_at(parts, web.client_ip.as_ref(), traffik)),
    }
}
