use std::{error::Error, fmt, pin::Pin, sync::Arc, time::Duration};

use traffik_core::{backend::BackendError, client::Client, decision::Hit, rate::Rate};

/// What a function of one's own is told of a backend that gave no answer: see [`OnError`](super::OnError).
#[derive(Clone, Debug)]
pub struct Failure {
    error: Arc<BackendError>,
    uid: Box<str>,
    client: Client,
    rate: Rate,
    cost: u64,
}

/// What becomes of a request whose limits could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// It gets through, and is counted nowhere.
    Admit,
    /// It is refused, with a 503, and may come back after so long.
    RefuseFor(Duration),
}

/// Any error.
pub(super) type AnyError = Box<dyn Error + Send + Sync>;

type Answer = Pin<Box<dyn Future<Output = Result<Resolution, AnyError>> + Send>>;

/// A function of one's own, shared.
#[derive(Clone)]
pub(super) struct Function(Arc<dyn Fn(Failure) -> Answer + Send + Sync>);

impl Failure {
    pub(super) fn new(error: Arc<BackendError>, hit: &Hit<'_>) -> Self {
        let Hit { uid, key, rate, cost, .. } = *hit;
        Self { error, uid: uid.into(), client: key.clone().into(), rate, cost }
    }

    /// Why the backend gave no answer.
    #[must_use]
    pub fn error(&self) -> &BackendError {
        &self.error
    }

    /// The uid of the throttle. Of several that are one decision it is the one whose `on_error` this is, or the first if it
    /// is the app's.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Who makes the request.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The rate of the throttle.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// What the request was to cost.
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
