//! Messages of WebSockets.

use traffik::{
    DefaultIdentity, Rate, Settings, Throttle,
    observe::{
        Decider,
        EventOutcome::{Admitted, Refused, WouldRefuse},
    },
    web::ws::Messages,
};

use super::{Dry, Result, Two, app, event};
use crate::ws::rig::{Client, echo, echoing, start};

throttles! {
    Each: "observe:each", "1/min", Settings::new();
}

#[tokio::test]
async fn each_message_has_one_event_for_each_limit() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let (address, _) = echoing::<Two>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    for outcome in [Admitted, Admitted, Refused] {
        client.ask("hello").await;
        assert_eq!(events.outcomes(), [event::<Two>(outcome)]);
    }
    Ok(())
}

#[tokio::test]
async fn limit_of_a_connection_has_events_of_its_own() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let (address, _) =
        echoing::<(Two, Dry)>(&traffik, |socket, messages| messages.per_connection().throttle(socket)).await;
    let mut client = Client::connect(address).await;
    for outcomes in [[Admitted, Admitted], [Admitted, WouldRefuse], [Refused, WouldRefuse]] {
        client.ask("hello").await;
        let seen = events.take();
        assert_eq!(seen.iter().map(|event| event.outcome).collect::<Vec<_>>(), outcomes);
        assert!(seen.iter().all(|event| event.backend == "connection" && event.decided_by == Decider::Primary));
    }
    Ok(())
}

#[tokio::test]
async fn message_over_a_dry_limit_is_passed_on() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let (address, _) = echoing::<Dry>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut client = Client::connect(address).await;
    for outcome in [Admitted, WouldRefuse, WouldRefuse] {
        assert_eq!(client.ask("hello").await, "hello");
        assert_eq!(events.outcomes(), [event::<Dry>(outcome)]);
    }
    Ok(())
}

#[tokio::test]
async fn message_with_limits_of_the_client_and_the_connection_has_events_of_both() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let handler = async |user: Messages<Dry>, each: Messages<Each>, upgrade: axum::extract::WebSocketUpgrade| {
        let messages = user.and_per_connection(&each);
        upgrade.on_upgrade(async move |socket| {
            echo(messages.throttle(socket)).await;
        })
    };
    let app = axum::Router::new().route("/", axum::routing::any(handler)).layer(traffik.layer());
    let mut client = Client::connect(start(app).await).await;
    client.ask("hello").await;
    assert_eq!(events.outcomes(), [event::<Dry>(Admitted), event::<Each>(Admitted)]);
    client.ask("hello").await;
    assert_eq!(events.outcomes(), [event::<Each>(Refused)], "the limits of the client are not asked then");
    Ok(())
}
