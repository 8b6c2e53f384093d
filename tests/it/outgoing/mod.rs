//! Calls that an app makes, which wait for their turns.

mod clients;
mod hold_back;
mod keys;
mod turns;

use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};
use traffik::{
    DefaultIdentity, Rate, Settings, Throttle, Throttles, Traffik,
    backend::MemoryBackend,
    outgoing::{OutgoingError, OutgoingLayer},
    strategy::{Concurrency, LeakyBucketWithQueue},
    test::ManualClock,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

throttles! {
    One: "outgoing:one", "1/min", Settings::new();
    Two: "outgoing:two", "2/min", Settings::new();
    Many: "outgoing:many", "1000/min", Settings::new();
    Concurrent: "outgoing:concurrent", "1/30s", Settings::new().strategy(Concurrency);
    Queued: "outgoing:queued", "1/s", Settings::new().strategy(LeakyBucketWithQueue::new());
}

fn traffik() -> Result<(Traffik, ManualClock)> {
    let clock = ManualClock::new();
    Ok((Traffik::new(MemoryBackend::with_clock("test", clock.clone()))?, clock))
}

type Client = BoxCloneService<Request<Body>, Response<Body>, OutgoingError>;
type Call = Pin<Box<dyn Future<Output = std::result::Result<Response<Body>, OutgoingError>> + Send>>;

/// An API that counts its calls. Its next answers can be set, the last one first.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<(usize, Vec<Response<Body>>)>>);

impl Api {
    /// Returns a client of the API.
    fn client<T: Throttles>(&self, layer: &OutgoingLayer<T>) -> Client {
        let api = self.clone();
        let answer = move |_: Request<Body>| {
            let mut state = api.state();
            state.0 += 1;
            ready(Ok::<_, Infallible>(state.1.pop().unwrap_or_default()))
        };
        BoxCloneService::new(layer.layer(service_fn(answer)))
    }

    fn answers_next(&self, status: StatusCode, retry_after: &str) -> Result {
        let response = Response::builder().status(status).header("retry-after", retry_after).body(Body::empty())?;
        self.state().1.push(response);
        Ok(())
    }

    fn calls(&self) -> usize {
        self.state().0
    }

    fn state(&self) -> MutexGuard<'_, (usize, Vec<Response<Body>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a call that has not started.
fn call(client: &Client, uri: &str) -> Result<Call> {
    let request = Request::get(uri).body(Body::empty())?;
    Ok(Box::pin(client.clone().oneshot(request)))
}

/// Starts a call, by polling it once. It has to wait.
fn waits(client: &Client, uri: &str) -> Result<Call> {
    let mut call = call(client, uri)?;
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it does not wait");
    Ok(call)
}
