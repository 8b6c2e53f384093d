//! A stream of events: `text/event-stream`.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream::unfold};
use serde::Deserialize;

use super::{
    Admin,
    endpoint::{Problem, query},
};
use crate::observe::{EventOutcome, Listener, Message, Received};

/// What a client wants to see. Everything by default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// The uid of a limit.
    limit: Option<Box<str>>,
    outcome: Option<Box<str>>,
}

/// nginx passes a response with this header on without delay.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

pub(super) async fn events(State(admin): State<Arc<Admin>>, parts: Parts) -> Result<Response, Problem> {
    let filter: Filter = query(&parts)?;
    if let Some(uid) = &filter.limit {
        admin.traffik.limit(uid)?;
    }
    let outcome = filter.outcome.as_deref().map(outcome).transpose()?;
    let listener = Listener::new(&admin.traffik.table().observers().streams)
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let events = stream(Reader { listener, limit: filter.limit, outcome });
    Ok(([NO_BUFFERING], Sse::new(events).keep_alive(KeepAlive::default())).into_response())
}

fn outcome(name: &str) -> Result<EventOutcome, Problem> {
    let found = EventOutcome::ALL.iter().find(|outcome| outcome.as_str() == name);
    found.copied().ok_or_else(|| {
        let known: Vec<_> = EventOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        Problem::new(StatusCode::BAD_REQUEST, format!("there is no outcome {name:?}: use one of {}", known.join(", ")))
    })
}

struct Reader {
    listener: Listener,
    limit: Option<Box<str>>,
    outcome: Option<EventOutcome>,
}

fn stream(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(reader, |mut reader| async move { Some((Ok(reader.next().await?), reader)) })
}

impl Reader {
    /// Returns the next event that the client wants to see. `None` if the app is closing.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let (name, data) = match self.listener.next().await {
                Received::Ended => return None,
                Received::Lost(count) => ("lost", serde_json::json!({ "count": count }).to_string()),
                Received::Message(message) => match &*message {
                    Message::Decision(decision) => {
                        let is_of_limit = self.limit.as_deref().is_none_or(|uid| uid == &*decision.uid);
                        if !is_of_limit || self.outcome.is_some_and(|outcome| outcome != decision.outcome) {
                            continue;
                        }
                        // Texts and numbers can always be written as JSON.
                        ("decision", serde_json::to_string(decision).unwrap_or_default())
                    }
                    Message::Other(name, data) => (*name, data.clone()),
                },
            };
            return Some(Event::default().event(name).data(data));
        }
    }
}
