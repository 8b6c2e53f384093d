//! Checks of limits that were added: outside of requests, and in handlers.

use axum::{
    Router,
    extract::Path,
    http::{Request, StatusCode, request::Parts},
    routing::get,
};
use traffik::{
    CheckError, Client, Error, Rate, Rule, Settings, ThrottleRejection, Traffik, observe::EventOutcome, web::Limiters,
};

use super::{FIVE, Result, TWO, Typed, UID, builder, traffik, with_limit};
use crate::http::{app::HERE, server::Server};

#[tokio::test]
async fn limiter_of_an_added_limit_has_the_options_of_a_type() -> Result {
    let (traffik, _) = with_limit()?;
    let limiter = || traffik.limiter_of(UID, ("user", 7));
    let permit = limiter().rate(FIVE).at_least(1).at_most(4).check().await?;
    assert_eq!(permit.granted(), 4);
    assert_eq!(permit.tightest().remaining(), 1);
    permit.settle(2).await?;
    permit.charge_more(1).await.err().ok_or("a settled charge has ended")?;
    assert_eq!(limiter().rate(FIVE).peek().await?.tightest().remaining(), 3);
    let refusal = tests::refused(limiter().check().await);
    assert_eq!((refusal.exceeded().count(), refusal.tightest().uid()), (1, UID));
    Ok(())
}

#[tokio::test]
async fn quota_makes_added_limits_and_types_one_decision() -> Result {
    let (traffik, _) = with_limit()?;
    traffik.add_limit("tenant:day", FIVE, Settings::new())?;
    let mut quota = traffik.quota();
    let own = quota.add(traffik.limiter_of(UID, "alice"));
    let day = quota.add(traffik.limiter_of("tenant:day", "alice").cost(3));
    quota.add(traffik.limiter::<Typed>("alice"));
    let permit = quota.clone().check().await?;
    permit.part(&day).ok_or("no part")?.settle(1).await?;
    assert_eq!(permit.part(&own).ok_or("no part")?.tightest().uid(), UID);
    let remaining: Vec<_> = quota.peek().await?.iter().map(|limit| limit.remaining()).collect();
    assert_eq!(remaining, [1, 4, 1]);
    let mut more = traffik.quota();
    more.add(traffik.limiter_of(UID, "alice").cost(2));
    more.add(traffik.limiter_of("tenant:day", "alice"));
    assert!(matches!(more.check().await, Err(CheckError::Refused(_))));
    assert_eq!(traffik.limiter_of("tenant:day", "alice").peek().await?.tightest().remaining(), 4, "nothing is charged");
    let mut unknown = traffik.quota();
    unknown.add(traffik.limiter_of("tenant:none", "alice"));
    assert!(matches!(unknown.check().await, Err(CheckError::Failed(Error::Config(_)))));
    Ok(())
}

async fn handler(limits: Limiters, Path(tenant): Path<String>) -> std::result::Result<String, ThrottleRejection> {
    let limiter = limits.of(&format!("tenant:{tenant}")).await?;
    let permit = limiter.cost(2).check().await?;
    Ok(permit.tightest().remaining().to_string())
}

fn app(traffik: &Traffik) -> Router {
    let by_name = |limits: Limiters, Path((tenant, name)): Path<(String, String)>| async move {
        let limiter = limits.of(&format!("tenant:{tenant}")).await?.client(name);
        limiter.check().await.map(|permit| permit.tightest().remaining().to_string())
    };
    Router::new().route("/{tenant}", get(handler)).route("/{tenant}/{name}", get(by_name)).layer(traffik.layer())
}

#[tokio::test]
async fn handler_checks_the_limit_that_its_request_names() -> Result {
    let (traffik, _) = with_limit()?;
    traffik.add_limit("tenant:globex", FIVE, Settings::new())?;
    let server = Server::start(app(&traffik)).await;
    let reply = server.get("/acme").await;
    assert_eq!((reply.status, reply.state()), (200, Some(r#""tenant:acme";r=0;t=3600"#)));
    assert_eq!(server.get("/acme").await.status, 429);
    assert_eq!(server.get("/globex").await.body, "3");
    assert_eq!(traffik.limiter_of(UID, HERE).peek().await?.tightest().remaining(), 0);
    for left in ["4", "3"] {
        assert_eq!(server.get("/globex/bob").await.body, left);
    }
    traffik.remove_limit(UID)?;
    let reply = server.get("/acme").await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains(r#"the uid "tenant:acme""#), "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn settings_of_an_added_limit_hold_in_a_handler() -> Result {
    fn user(parts: &Parts) -> std::result::Result<Client, StatusCode> {
        let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok());
        user.map(|user| user.to_owned().into()).ok_or(StatusCode::UNAUTHORIZED)
    }
    fn plan(_: &Parts, client: &Client) -> Rate {
        if *client == Client::from("vip") { FIVE } else { TWO }
    }
    let (traffik, _) = traffik();
    let settings = Settings::new().identity(user).rate_of(plan).rule(Rule::prefix("/acme"));
    traffik.add_limit(UID, TWO, settings)?;
    let server = Server::start(app(&traffik)).await;
    assert_eq!(server.get("/acme").await.status, 401);
    let of = |user: &str| server.send(Request::get("/acme").header("x-user", user), "");
    assert_eq!((of("vip").await.body, of("bob").await.body), ("3".into(), "0".into()));
    assert_eq!(server.get("/acme/vip").await.body, "2", "the client of the handler needs no identity");
    Ok(())
}

#[tokio::test]
async fn events_and_metrics_name_an_added_limit() -> Result {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let record = move |event: &traffik::observe::Event<'_>| {
        let _ = sender.send((event.uid().to_owned(), event.label().to_owned(), event.outcome()));
    };
    let traffik = builder().0.on_event(record).build()?;
    traffik.add_limit(UID, TWO, Settings::new())?;
    traffik.add_limit("plain", TWO, Settings::new())?;
    traffik.add_limit("tenant:other", TWO, Settings::new().label("others"))?;
    for uid in [UID, "plain", "tenant:other"] {
        let _ = traffik.limiter_of(uid, "alice").check().await?;
    }
    for (uid, label) in [(UID, "tenant"), ("plain", "plain"), ("tenant:other", "others")] {
        assert_eq!(receiver.recv().await, Some((uid.to_owned(), label.to_owned(), EventOutcome::Admitted)));
    }
    Ok(())
}
