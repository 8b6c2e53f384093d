use std::{error::Error, fmt, pin::Pin, sync::Arc, time::Duration};

use traffik_core::{backend::BackendError, client::Client, decision::Hit, rate::Rate};

/// A decision that a backend did not make, for a function: see [`OnError`](super::OnError).
#[derive(Clone, Debug)]
pub struct Failure {
    error: Arc<BackendError>,
    uid: Box<str>,
    client: Client,
    rate: Rate,
    cost: u64,
}

/// What happens to a request whose limits could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// Admits the request without counting it.
    Admit,
    /// Refuses the request with a 503. `Retry-After` is this time.
    RefuseFor(Duration),
}

pub(super) type AnyError = Box<dyn Error + Send + Sync>;

type Answer = Pin<Box<dyn Future<Output = Result<Resolution, AnyError>> + Send>>;

/// A function of the user.
#[derive(Clone)]
pub(super) struct Function(Arc<dyn Fn(Failure) -> Answer + Send + Sync>);

impl Failure {
    pub(super) fn new(error: Arc<BackendError>, hit: &Hit<'_>) -> Self {
        let Hit { limit, key, rate, cost, .. } = *hit;
        Self { error, uid: limit.uid().into(), client: key.clone().into(), rate, cost }
    }

    /// Returns why the backend did not answer.
    #[must_use]
    pub fn error(&self) -> &BackendError {
        &self.error
    }

    /// Returns the uid of the throttle. If several throttles are one decision, it is the first one with this `on_error`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Returns the client of the request.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the rate of the throttle.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Returns the cost of the request.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }
}

impl Function {
    pub(super) fn new<F, Fut, E>(function: F) -> Self
    where
        F: Fn(Failure) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resolution, E>> + Send + 'static,
        E: Into<AnyError>,
    {
        Self(Arc::new(move |failure| {
            let answer = function(failure);
            Box::pin(async move { answer.await.map_err(Into::into) })
        }))
    }

    pub(super) async fn ask(&self, failure: Failure) -> Result<Resolution, AnyError> {
        (self.0)(failure).await
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}
