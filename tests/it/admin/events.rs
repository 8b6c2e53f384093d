//! Streams of events.

use std::time::Duration;

use axum::{body::Body, http::Request, response::Response};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tests::admits;
use tokio::task::unconstrained;
use traffik::{Client, Settings};

use super::{Api, Result, knowing};
use crate::http::app::throttle;

throttle!(Seen, "admin:seen", "2/hour");
throttle!(Unseen, "admin:unseen", "2/hour");
throttle!(Login, "admin:login", "1/hour", Settings::new().penalty(2, Duration::from_secs(7200)));

/// The number of events that a reader may be behind.
const BUFFER: usize = 1024;

/// A client that reads when the test says so.
struct Reader {
    body: Body,
    text: String,
}

impl Reader {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok().map(str::to_owned));
        assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
        assert_eq!(header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
        Self { body: response.into_body(), text: String::new() }
    }

    /// Returns the next event and its data, or `None` if the stream has ended.
    async fn next(&mut self) -> Result<Option<(String, Value)>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let found = field("event: ").zip(field("data: "));
                self.text = rest.to_owned();
                match found {
                    Some((event, data)) => return Ok(Some((event, serde_json::from_str(&data)?))),
                    // A comment.
                    None => continue,
                }
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            self.text.push_str(std::str::from_utf8(&frame?.into_data().map_err(|_| "no data")?)?);
        }
    }

    /// Returns the next event, which is there.
    async fn now(&mut self) -> Result<(String, Value)> {
        // Without the pauses that tokio makes in tasks that do much.
        Ok(unconstrained(self.next()).now_or_never().ok_or("no event")??.ok_or("the stream has ended")?)
    }

    fn has_next(&mut self) -> bool {
        unconstrained(self.next()).now_or_never().is_some()
    }
}

async fn listen(api: &Api, query: &str) -> Result<Reader> {
    Ok(Reader::of(api.send(Request::get(format!("/admin/events{query}")), "").await?))
}

#[tokio::test]
async fn decisions_are_streamed_without_the_client() -> Result {
    let (traffik, api, _) = knowing::<(Seen, Unseen)>()?;
    assert!(admits::<Seen>(&traffik, "before").await?);
    let mut reader = listen(&api, "").await?;
    assert!(admits::<Seen>(&traffik, "mallory").await?);
    let (event, data) = reader.now().await?;
    assert_eq!(event, "decision");
    assert_eq!(
        (&data["uid"], &data["outcome"], &data["decided_by"]),
        (&json!("admin:seen"), &json!("admitted"), &json!("primary"))
    );
    assert_eq!((&data["rate"], &data["cost"], &data["remaining"]), (&json!("2/hour"), &json!(1), &json!(1)));
    assert_eq!((&data["backend"], &data["enforced"], &data["near"]), (&json!("default"), &json!(true), &json!(false)));
    assert_eq!((&data["retry_after_ms"], &data["duration_us"]), (&json!(null), &json!(0)));
    assert!(data["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{data}");
    assert!(data["client"].as_str().is_some_and(|digest| digest.len() == 16), "{data}");
    assert!(!data.to_string().contains("mallory"), "{data}");

    assert!(admits::<Seen>(&traffik, Client::secret("hunter2")).await?);
    assert!(!reader.now().await?.1.to_string().contains("hunter2"));
    traffik.limit("admin:seen")?.block("mallory", traffik::control::Until::Removed, "")?;
    assert_eq!(reader.now().await?, ("changed".to_owned(), json!({})));
    assert!(!admits::<Seen>(&traffik, "mallory").await?);
    let blocked = reader.now().await?.1;
    assert_eq!((&blocked["outcome"], &blocked["client"]), (&json!("blocked"), &data["client"]));
    assert!(admits::<Seen>(&traffik, Client::exempt()).await?);
    assert_eq!(reader.now().await?.1["client"], json!(null));
    assert!(!reader.has_next());
    Ok(())
}

#[tokio::test]
async fn stream_is_limited_to_a_limit_and_an_outcome() -> Result {
    let (traffik, api, _) = knowing::<(Seen, Unseen)>()?;
    let mut of_limit = listen(&api, "?limit=admin:seen").await?;
    let mut refused = listen(&api, "?limit=admin:seen&outcome=refused").await?;
    for _ in 0..3 {
        admits::<Unseen>(&traffik, "alice").await?;
        admits::<Seen>(&traffik, "alice").await?;
    }
    for outcome in ["admitted", "admitted", "refused"] {
        let (_, data) = of_limit.now().await?;
        assert_eq!((&data["uid"], &data["outcome"]), (&json!("admin:seen"), &json!(outcome)));
    }
    let (_, data) = refused.now().await?;
    assert_eq!((&data["outcome"], &data["retry_after_ms"]), (&json!("refused"), &json!(3_600_000)));
    assert!(!of_limit.has_next() && !refused.has_next());
    Ok(())
}

#[tokio::test]
async fn changes_by_any_source_are_events() -> Result {
    let (traffik, api, _) = knowing::<Seen>()?;
    let mut reader = listen(&api, "?outcome=refused").await?;
    let changed = ("changed".to_owned(), json!({}));
    api.patch("/limits/admin:seen", r#"{"rate": "3/hour"}"#).await?;
    assert_eq!(reader.now().await?, changed);
    traffik.limit("admin:seen")?.set_cost(2);
    assert_eq!(reader.now().await?, changed);
    assert_eq!(api.patch("/limits/admin:seen?scope=local", r#"{"rate": "70000"}"#).await?.status, 422);
    assert!(!reader.has_next());
    Ok(())
}

#[tokio::test]
async fn penalty_is_a_change() -> Result {
    let (traffik, api, _) = knowing::<Login>()?;
    let mut reader = listen(&api, "?outcome=admitted").await?;
    admits::<Login>(&traffik, "mallory").await?;
    assert_eq!(reader.now().await?.0, "decision");
    admits::<Login>(&traffik, "mallory").await?;
    assert!(!reader.has_next());
    admits::<Login>(&traffik, "mallory").await?;
    assert_eq!(reader.now().await?, ("changed".to_owned(), json!({})));
    admits::<Login>(&traffik, "mallory").await?;
    assert!(!reader.has_next(), "a block is no change");
    Ok(())
}

#[tokio::test]
async fn limits_that_come_and_go_are_events() -> Result {
    let (traffik, api, _) = knowing::<Seen>()?;
    let mut reader = listen(&api, "").await?;
    let changed = ("changed".to_owned(), json!({}));
    traffik.add_limit("tenant:acme", "5/min".parse()?, Settings::new())?;
    assert_eq!(reader.now().await?, changed);
    traffik.replace_limit("tenant:acme", "5/min".parse()?, Settings::new())?;
    assert_eq!(reader.now().await?, changed);
    assert_eq!(api.put("/limits/tenant:acme", r#"{"rate": "9/min"}"#).await?.status, 200);
    assert_eq!(reader.now().await?, changed);
    traffik.remove_limit("tenant:acme")?;
    assert_eq!(reader.now().await?, changed);
    assert_eq!(api.put("/limits/tenant:acme", r#"{"rate": "9/min"}"#).await?.status, 200);
    assert_eq!(reader.now().await?, changed);
    traffik.limit("tenant:acme")?.set_cost(2);
    assert_eq!(reader.now().await?, changed);
    assert_eq!(api.delete("/limits/tenant:acme").await?.status, 200);
    assert_eq!(reader.now().await?, changed);
    assert_eq!(api.delete("/limits/tenant:acme").await?.status, 404);
    assert_eq!(api.put("/limits/admin:seen", r#"{"rate": "9/min"}"#).await?.status, 409);
    assert!(!reader.has_next(), "what fails changes nothing");
    Ok(())
}

#[tokio::test]
async fn slow_reader_loses_the_oldest_events_and_no_decision_waits() -> Result {
    let (traffik, api, _) = knowing::<Seen>()?;
    let mut slow = listen(&api, "").await?;
    let mut fast = listen(&api, "").await?;
    let clients = u64::try_from(BUFFER)? + 10;
    for client in 0..clients {
        // Each decision is ready immediately, although one reader reads nothing.
        let admitted = admits::<Seen>(&traffik, client).now_or_never().ok_or("the decision waits")??;
        assert!(admitted);
        assert_eq!(fast.now().await?.0, "decision");
    }
    assert_eq!(slow.now().await?, ("lost".to_owned(), json!({ "count": 10 })));
    for _ in 0..BUFFER {
        assert_eq!(slow.now().await?.0, "decision");
    }
    assert!(!slow.has_next());
    Ok(())
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room() -> Result {
    let (_, api, _) = knowing::<Seen>()?;
    let mut readers = Vec::new();
    for _ in 0..16 {
        readers.push(listen(&api, "").await?);
    }
    let refused = api.get("/events").await?;
    assert!(
        refused.problem().0 == 503 && refused.problem().1.starts_with("16 streams of events are open"),
        "{refused:?}"
    );
    readers.pop();
    let mut reader = listen(&api, "").await?;
    assert!(!reader.has_next());
    Ok(())
}

#[tokio::test]
async fn streams_end_when_the_app_closes() -> Result {
    let (traffik, api, _) = knowing::<Seen>()?;
    let mut reader = listen(&api, "").await?;
    assert!(admits::<Seen>(&traffik, "alice").await?);
    traffik.close().await?;
    assert_eq!(reader.now().await?.0, "decision");
    assert!(reader.next().await?.is_none());
    assert_eq!(api.get("/events").await?.problem(), (503, "the app is closing, so it has no events"));
    Ok(())
}
