//! Who a request comes from.

use std::{any::TypeId, fmt, pin::Pin, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::rejection::{Misconfigured, ThrottleRejection, Unidentified};
use crate::{
    app::Traffik,
    client::Client,
    throttle::{DefaultIdentity, Definition, Throttle},
};

/// What an identifier may answer: a [`Client`], or a response of its own to a request that it turns away.
pub trait IntoIdentity {
    /// The client, or the response.
    ///
    /// # Errors
    ///
    /// The response that is sent in place of the handler's.
    fn into_identity(self) -> Result<Client, Response>;
}

impl IntoIdentity for Client {
    fn into_identity(self) -> Result<Client, Response> {
        Ok(self)
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

type Identity = Result<Client, Response>;

/// A function that names clients.
#[derive(Clone)]
pub(super) enum Identifier {
    Sync(Arc<dyn Fn(&Parts) -> Identity + Send + Sync>),
    Async(Arc<dyn for<'a> Fn(&'a Parts) -> Pin<Box<dyn Future<Output = Identity> + Send + 'a>> + Send + Sync>),
}

impl Identifier {
    pub(super) fn new<C: IntoIdentity>(identifier: impl Fn(&Parts) -> C + Send + Sync + 'static) -> Self {
        Self::Sync(Arc::new(move |parts| identifier(parts).into_identity()))
    }

    pub(super) fn new_async(identifier: impl for<'a> AsyncIdentifier<'a> + 'static) -> Self {
        Self::Async(Arc::new(move |parts| {
            let client = identifier.identify(parts);
            Box::pin(async move { client.await.into_identity() })
        }))
    }

    async fn identify(&self, parts: &Parts) -> Result<Client, ThrottleRejection> {
        let identity = match self {
            Self::Sync(identifier) => identifier(parts),
            Self::Async(identifier) => identifier(parts).await,
        };
        identity.map_err(|response| Unidentified::new(response).into())
    }

    /// Tells two identifiers apart.
    fn address(&self) -> usize {
        match self {
            Self::Sync(identifier) => Arc::as_ptr(identifier).cast::<()>().addr(),
            Self::Async(identifier) => Arc::as_ptr(identifier).cast::<()>().addr(),
        }
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(..)")
    }
}

/// Where a client's name comes from. Within one decision each source is asked once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An extractor.
    Extractor(TypeId),
    /// A throttle's own function.
    Function(usize),
}

impl Source {
    pub(super) fn of<T: Throttle>(definition: &Definition) -> Self {
        match &definition.settings.web.identifier {
            Some(identifier) => Self::Function(identifier.address()),
            None => Self::Extractor(TypeId::of::<T::Identity>()),
        }
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
        Some(identifier) => identifier.identify(parts).await,
        None => match T::Identity::from_request_parts(parts, state).await {
            Ok(identity) => Ok(identity.into()),
            Err(rejection) => Err(Unidentified::new(rejection.into_response()).into()),
        },
    }
}

impl<S: Sync> FromRequestParts<S> for DefaultIdentity {
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ThrottleRejection> {
        let Some(traffik) = parts.extensions.get::<Traffik>() else { return Err(Misconfigured::no_state().into()) };
        let web = traffik.web();
        match &web.identifier {
            Some(identifier) => identifier.clone().identify(parts).await.map(Self),
            None => web.peer.client(parts).map(Self),
        }
    }
}
