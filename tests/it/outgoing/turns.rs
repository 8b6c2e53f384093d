//! The turn of a call.

use std::time::Duration;

use tower::{Layer, ServiceExt, service_fn};
use traffik::{CheckError, Error, Permit, backend::BackendError, outgoing::OutgoingError};

use super::{Api, Concurrent, One, Queued, Result, Two, call, traffik, waits};

const URI: &str = "http://api.example.com/x";
const MINUTE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn calls_wait_for_their_turns_in_order() -> Result {
    let (traffik, clock) = traffik()?;
    let api = Api::default();
    let client = api.client(&traffik.outgoing::<Two>().wait(LONG));
    for _ in 0..2 {
        call(&client, URI)?.await?;
    }
    let [first, second, third] = [waits(&client, URI)?, waits(&client, URI)?, waits(&client, URI)?];
    assert_eq!(api.calls(), 2);
    clock.advance(MINUTE);
    first.await?;
    second.await?;
    assert_eq!(api.calls(), 4);
    clock.advance(MINUTE);
    third.await?;
    assert_eq!(api.calls(), 5);
    Ok(())
}

#[tokio::test]
async fn call_whose_turn_would_come_too_late_is_not_made() -> Result {
    let (traffik, _) = traffik()?;
    let api = Api::default();
    let client = api.client(&traffik.outgoing::<One>());
    call(&client, URI)?.await?;
    let error = call(&client, URI)?.await.err().ok_or("it was made")?;
    assert!(matches!(error, OutgoingError::NotAdmitted(CheckError::Refused(_))), "{error}");
    assert_eq!((error.retry_after(), api.calls()), (Some(MINUTE), 1));
    Ok(())
}

#[tokio::test]
async fn dropped_call_gives_its_turn_to_the_next() -> Result {
    let (traffik, clock) = traffik()?;
    let api = Api::default();
    let client = api.client(&traffik.outgoing::<One>().wait(LONG));
    call(&client, URI)?.await?;
    let (first, second) = (waits(&client, URI)?, waits(&client, URI)?);
    clock.advance(MINUTE);
    tests::until_idle().await;
    drop(first);
    second.await?;
    assert_eq!(api.calls(), 2);
    Ok(())
}

#[tokio::test]
async fn response_holds_the_permit_of_its_call() -> Result {
    let (traffik, _) = traffik()?;
    let client = Api::default().client(&traffik.outgoing::<Concurrent>().wait(LONG));
    let response = call(&client, URI)?.await?;
    let second = waits(&client, URI)?;
    drop(response);
    let mut response = second.await?;
    let permit = response.extensions_mut().remove::<Permit<Concurrent>>().ok_or("no permit")?;
    drop(response);
    let third = waits(&client, URI)?;
    permit.refund().await?;
    third.await?;
    Ok(())
}

#[tokio::test]
async fn call_leaves_when_a_queue_lets_it() -> Result {
    let (traffik, clock) = traffik()?;
    let api = Api::default();
    let client = api.client(&traffik.outgoing::<Queued>());
    call(&client, URI)?.await?;
    let second = waits(&client, URI)?;
    assert_eq!(api.calls(), 1);
    clock.advance(Duration::from_secs(1));
    second.await?;
    Ok(())
}

#[tokio::test]
async fn closed_app_ends_the_wait_of_calls() -> Result {
    let (traffik, _) = traffik()?;
    let client = Api::default().client(&traffik.outgoing::<One>().wait(LONG));
    call(&client, URI)?.await?;
    let waiting = waits(&client, URI)?;
    traffik.close().await?;
    let error = waiting.await.err().ok_or("it was made")?;
    let is_closed =
        matches!(error, OutgoingError::NotAdmitted(CheckError::Failed(Error::Backend(BackendError::Closed))));
    assert!(is_closed, "{error}");
    Ok(())
}

#[tokio::test]
async fn error_of_the_client_is_returned_and_charged() -> Result {
    let (traffik, _) = traffik()?;
    let client = service_fn(|_: axum::http::Request<()>| async {
        Err::<axum::http::Response<()>, _>(std::io::Error::other("the connection was lost"))
    });
    let client = traffik.outgoing::<Two>().layer(client);
    let error = client.oneshot(axum::http::Request::get(URI).body(())?).await.err().ok_or("it was answered")?;
    assert_eq!((error.to_string().as_str(), error.retry_after()), ("the connection was lost", None));
    assert_eq!(traffik.limiter::<Two>("api.example.com").peek().await?.tightest().remaining(), 1);
    Ok(())
}
