//! Throttles whose requests choose a backend.

use std::time::Duration;

use axum::{
    Router,
    http::{HeaderValue, Request, StatusCode, request::Parts},
    routing::{get, post},
};
use tests::refused;
use traffik::{
    AdjustError, CheckError, Client, Concurrency, ConfigError, Error, Limiter, Permit, Settings, Throttled, Traffik,
    TraffikBuilder, backend::MemoryBackend, limit_layer, outgoing::OutgoingError, refund_if, test::ManualClock,
    throttle_layer,
};

use crate::{
    http::{
        app::{HERE, throttle},
        server::{Reply, Server},
    },
    ws::rig::{Client as Socket, too_many},
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const MINUTE: Duration = Duration::from_secs(60);

throttle!(Two, "chosen:two", "2/min", chosen());
throttle!(Also, "chosen:also", "5/min", chosen());
throttle!(Fixed, "chosen:fixed", "5/min", Settings::new().backend("eu"));
throttle!(Own, "chosen:own", "5/min");
throttle!(Both, "chosen:both", "5/min", chosen().backend("eu"));
throttle!(Slots, "chosen:slots", "1/30s", chosen().strategy(Concurrency));
throttle!(Free, "chosen:free", "2/min", chosen().refund_if(refund_if::success));
throttle!(Login, "chosen:login", "1/s", chosen().penalty(1, MINUTE));
throttle!(Never, "chosen:never", "2/min", chosen().cost(0));
throttle!(Dry, "chosen:dry", "1/min", chosen().dry_run());

fn chosen() -> Settings {
    Settings::new().backend_of(tenant)
}

fn tenant(parts: &Parts) -> String {
    parts.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok()).unwrap_or("default").to_owned()
}

/// An app with the backends of two tenants, on one clock.
struct App {
    eu: MemoryBackend,
    us: MemoryBackend,
    own: MemoryBackend,
    clock: ManualClock,
}

impl App {
    fn new() -> Self {
        let clock = ManualClock::new();
        let backend = || MemoryBackend::with_clock("test", clock.clone());
        Self { eu: backend(), us: backend(), own: backend(), clock: clock.clone() }
    }

    fn builder(&self) -> TraffikBuilder {
        Traffik::builder(self.own.clone()).backend("eu", self.eu.clone()).backend("us", self.us.clone())
    }

    /// Returns the number of entries in each backend.
    fn entries(&self) -> [usize; 3] {
        [self.own.len(), self.eu.len(), self.us.len()]
    }
}

async fn of(server: &Server, path: &str, tenant: &str) -> Reply {
    server.send(Request::get(path).header("x-tenant", tenant), "").await
}

#[tokio::test]
async fn each_request_is_counted_in_the_backend_that_it_chooses() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<(Two, Also)>().build()?;
    let router = Router::new()
        .route("/", get(|_: Throttled<Two>| async {}))
        .route("/both", get(|_: Throttled<(Two, Also)>| async {}))
        .nest("/layer", Router::new().route("/", get(|| async {})).layer(throttle_layer::<Two>()))
        .route("/limiter", get(|two: Limiter<Two>| async move { two.check().await.map(drop) }));
    let server = Server::start(router.layer(traffik.layer())).await;
    for left in [1, 0] {
        for tenant in ["eu", "us"] {
            let state = format!(r#""chosen:two";r={left};t=60"#);
            assert_eq!(of(&server, "/", tenant).await.state(), Some(&*state), "{tenant}");
        }
    }
    for path in ["/", "/both", "/layer", "/limiter"] {
        assert_eq!(of(&server, path, "eu").await.status, 429, "{path}");
    }
    assert_eq!(app.entries(), [0, 1, 1]);
    assert_eq!(server.get("/layer").await.status, 200);
    assert_eq!(of(&server, "/both", "default").await.status, 200);
    assert_eq!(app.entries(), [2, 1, 1]);
    Ok(())
}

#[tokio::test]
async fn unknown_name_rejects_the_request_and_names_the_backends() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<(Two, Dry)>().build()?;
    let router = Router::new().route("/", get(|_: Throttled<Two>| async {}));
    let router = router.route("/dry", get(|_: Throttled<Dry>| async {}));
    let server = Server::start(router.layer(traffik.layer())).await;
    for path in ["/", "/dry"] {
        let reply = of(&server, path, "mars").await;
        assert_eq!(reply.status, 500);
        for part in ["chosen:", "mars", "default", "eu", "us"] {
            assert!(reply.body.contains(part), "{part} in {}", reply.body);
        }
    }
    let checked = traffik.limiter::<Two>("alice").backend("mars").check().await.map(drop);
    assert!(matches!(checked, Err(CheckError::Failed(Error::Config(ConfigError::NoBackend { .. })))), "{checked:?}");
    assert_eq!(app.entries(), [0, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn throttles_of_a_tuple_share_the_backend_of_each_request() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<(Two, Fixed)>().register::<(Never, Own)>().build()?;
    let router = Router::new().route("/fixed", get(|_: Throttled<(Two, Fixed)>| async {}));
    let router = router.route("/never", get(|_: Throttled<(Never, Own)>| async {}));
    let server = Server::start(router.layer(traffik.layer())).await;
    assert_eq!(of(&server, "/fixed", "eu").await.status, 200);
    let reply = of(&server, "/fixed", "us").await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("chosen:two") && reply.body.contains("one decision"), "{}", reply.body);
    // What is not counted is in no backend.
    assert_eq!(of(&server, "/never", "us").await.status, 200);
    assert_eq!(app.entries(), [1, 2, 0]);
    Ok(())
}

#[tokio::test]
async fn charge_stays_in_its_backend() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<(Two, Slots)>().build()?;
    let left = async |backend: &str| -> Result<u64> {
        let limits = traffik.limiter::<Two>(HERE).backend(backend).peek().await?;
        Ok(limits.tightest().remaining().units().unwrap_or(u64::MAX))
    };
    async fn settle(permit: Throttled<Two>) -> std::result::Result<(), StatusCode> {
        let settled: std::result::Result<_, AdjustError> = permit.settle(0).await;
        settled.map(drop).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }
    let router = Router::new().route("/settle", post(settle));
    let router = router.route("/free", post(|_: Throttled<Free>| async {}));
    let router = router.route("/slot", get(|_: Throttled<Slots>| async {}));
    let server = Server::start(router.layer(traffik.layer())).await;
    for path in ["/settle", "/free"] {
        for _ in 0..3 {
            assert_eq!(server.send(Request::post(path).header("x-tenant", "us"), "").await.status, 200, "{path}");
        }
    }
    assert_eq!((left("us").await?, left("eu").await?), (2, 2));
    let permit: Permit<Two> = traffik.limiter::<Two>(HERE).backend("us").cost(2).check().await?;
    permit.refund().await?;
    assert_eq!(left("us").await?, 2);
    // A permit is held in its backend, and given back there.
    let slot = traffik.limiter::<Slots>(HERE).backend("us").check().await?;
    assert_eq!((of(&server, "/slot", "us").await.status, of(&server, "/slot", "eu").await.status), (429, 200));
    drop(slot);
    assert_eq!(of(&server, "/slot", "us").await.status, 200);
    Ok(())
}

#[tokio::test]
async fn callers_wait_in_the_line_of_their_backend() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<Two>().build()?;
    let fill = async |backend: &str| traffik.limiter::<Two>("alice").backend(backend).cost(2).check().await;
    let (eu, _us) = (fill("eu").await?, fill("us").await?);
    let waits = |backend: &'static str| {
        let traffik = traffik.clone();
        tokio::spawn(
            async move { traffik.limiter::<Two>("alice").backend(backend).wait(MINUTE * 2).check().await.is_ok() },
        )
    };
    let (in_eu, in_us) = (waits("eu"), waits("us"));
    tests::until_idle().await;
    eu.refund().await?;
    assert!(in_eu.await?);
    tests::until_idle().await;
    assert!(!in_us.is_finished());
    app.clock.advance(MINUTE * 2);
    assert!(in_us.await?);
    Ok(())
}

#[tokio::test]
async fn check_without_a_request_has_to_name_the_backend() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<(Two, Own)>().build()?;
    let is_error = |error: &Error| matches!(error, Error::Config(ConfigError::NoBackendChosen { .. }));
    match traffik.limiter::<Two>("alice").check().await.map(drop) {
        Err(CheckError::Failed(error)) if is_error(&error) => {
            let text = error.to_string();
            assert!(text.contains("chosen:two") && text.contains(".backend("), "{text}");
        }
        other => return Err(format!("{other:?}").into()),
    }
    assert!(traffik.limiter::<Two>("alice").peek().await.is_err_and(|error| is_error(&error)));
    assert!(traffik.limiter::<Two>("alice").wait(MINUTE).check().await.is_err());
    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Two>("alice").backend("eu"));
    quota.add(traffik.limiter::<Two>("bob").backend("us"));
    assert!(matches!(quota.check().await, Err(CheckError::Failed(Error::Config(ConfigError::TwoBackends { .. })))));
    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Two>("alice").backend("eu"));
    quota.add(traffik.limiter::<Two>("bob").backend("eu"));
    let _ = quota.check().await?;
    assert_eq!(app.entries(), [0, 2, 0]);
    Ok(())
}

#[tokio::test]
async fn throttle_that_is_always_in_one_backend_takes_no_other_name() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<(Two, Own)>().register::<Fixed>().build()?;
    for name in ["us", "default", "mars"] {
        let checked = traffik.limiter::<Fixed>("alice").backend(name).check().await.map(drop);
        let Err(CheckError::Failed(Error::Config(error))) = checked else { return Err(format!("{checked:?}").into()) };
        assert!(matches!(error, ConfigError::FixedBackend { .. }), "{error}");
        for part in ["Fixed", "chosen:fixed", "\"eu\"", name, "`Settings::backend_of`"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let handle = traffik.limit("chosen:fixed")?.in_backend(name).map(drop);
        assert!(matches!(handle, Err(ConfigError::FixedBackend { .. })), "{handle:?}");
    }
    assert!(traffik.limiter::<Own>("alice").backend("eu").peek().await.is_err());
    // Its own name is no error, and neither is a name for others of a tuple.
    let _ = traffik.limiter::<Fixed>("alice").backend("eu").check().await?;
    let _ = traffik.limiter::<(Two, Fixed)>("alice").backend("eu").check().await?;
    assert_eq!(traffik.limit("chosen:fixed")?.in_backend("eu")?.peek("alice").await?.tightest().remaining(), 3);
    let _ = traffik.limiter::<Own>("alice").backend("default").check().await?;
    assert_eq!(app.entries(), [1, 2, 0]);
    let _ = Traffik::disabled().limiter::<Own>("alice").backend("mars").check().await?;
    Ok(())
}

#[tokio::test]
async fn handle_resets_all_backends_and_peeks_in_one() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<Two>().build()?;
    let two = traffik.limit("chosen:two")?;
    let info = two.info()?;
    assert_eq!((info.backend(), info.has_backend_by_request()), (None, true));
    assert_eq!(serde_json::to_value(&info)?["backend_by_request"], serde_json::Value::Bool(true));
    let charge = async || -> Result {
        for backend in ["default", "eu", "us"] {
            let _ = traffik.limiter::<Two>("alice").backend(backend).check().await?;
        }
        Ok(())
    };
    charge().await?;
    assert!(matches!(two.peek("alice").await, Err(Error::Config(ConfigError::NoBackendChosen { .. }))));
    assert_eq!(two.in_backend("us")?.peek("alice").await?.tightest().remaining(), 1);
    assert!(matches!(two.in_backend("mars").map(drop), Err(ConfigError::NoBackend { .. })));
    two.in_backend("us")?.reset("alice").await?;
    assert_eq!(app.entries(), [1, 1, 0]);
    charge().await?;
    two.reset("alice").await?;
    assert_eq!(app.entries(), [0, 0, 0]);
    charge().await?;
    traffik.reset::<Two>("alice").await?;
    assert_eq!(app.entries(), [0, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn changes_and_penalties_hold_in_all_backends() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<(Two, Login)>().build()?;
    traffik.limit("chosen:two")?.set_rate("1/min".parse()?)?;
    for backend in ["eu", "us"] {
        let limits = traffik.limiter::<Two>("alice").backend(backend).peek().await?;
        assert_eq!(limits.tightest().remaining(), 1, "{backend}");
    }
    traffik.shared().limit("chosen:two")?.block("mallory", MINUTE, "scrapes").await?;
    let _ = refused(traffik.limiter::<Two>("mallory").backend("us").check().await);
    let login = |backend: &'static str| traffik.limiter::<Login>("eve").backend(backend).cost(2).check();
    assert!(!refused(login("eu").await).tightest().is_blocked());
    assert!(refused(login("eu").await).tightest().is_blocked());
    assert!(refused(login("us").await).tightest().is_blocked());
    traffik.reset::<Login>("eve").await?;
    assert!(!refused(login("us").await).tightest().is_blocked());
    Ok(())
}

#[test]
fn backend_and_a_function_for_it_are_an_error() {
    let built = App::new().builder().register::<Both>().build();
    assert!(matches!(&built, Err(ConfigError::BackendTwice { .. })), "{built:?}");
}

#[tokio::test]
async fn outgoing_calls_and_disabled_apps_choose_no_backend() -> Result {
    use tower::{Service, ServiceBuilder, service_fn};
    let app = App::new();
    let traffik = app.builder().register::<Two>().build()?;
    let inner = service_fn(|_: Request<()>| async {
        std::result::Result::<_, std::io::Error>::Ok(axum::http::Response::new(()))
    });
    let mut client = ServiceBuilder::new().layer(traffik.outgoing::<Two>()).service(inner);
    let called = client.call(Request::get("http://example.com/").body(())?).await;
    let error = called.map(drop).map_or_else(|error| error, |()| OutgoingError::NoHost);
    assert!(matches!(&error, OutgoingError::NotAdmitted(CheckError::Failed(Error::Config(_)))), "{error:?}");
    assert!(Traffik::disabled().limiter::<Two>("alice").check().await.is_ok());
    Ok(())
}

#[tokio::test]
async fn added_limit_chooses_its_backend_too() -> Result {
    let app = App::new();
    let settings = chosen().identity(|_| Client::from("everyone"));
    let traffik = app.builder().add_limit("plan:free", "1/min".parse()?, settings).build()?;
    let router = Router::new().route("/", get(|| async {})).layer(limit_layer("plan:free"));
    let server = Server::start(router.layer(traffik.layer())).await;
    let statuses =
        [of(&server, "/", "eu").await.status, of(&server, "/", "us").await.status, of(&server, "/", "eu").await.status];
    assert_eq!((statuses, app.entries()), ([200, 200, 429], [0, 1, 1]));
    Ok(())
}

#[tokio::test]
async fn same_throttle_is_charged_once_in_each_backend_of_a_request() -> Result {
    let app = App::new();
    let traffik = app.builder().register::<Two>().build()?;
    async fn moved(mut request: axum::extract::Request, next: axum::middleware::Next) -> axum::response::Response {
        request.headers_mut().insert("x-tenant", HeaderValue::from_static("us"));
        next.run(request).await
    }
    let handler = |_: Throttled<Two>| async {};
    let router = Router::new().route("/", get(handler)).layer(axum::middleware::from_fn(moved));
    let server = Server::start(router.layer(throttle_layer::<Two>()).layer(traffik.layer())).await;
    assert_eq!(of(&server, "/", "eu").await.status, 200);
    assert_eq!(of(&server, "/", "us").await.status, 200);
    assert_eq!(app.entries(), [0, 1, 1]);
    let left = traffik.limiter::<Two>(HERE).backend("us").peek().await?;
    assert_eq!(left.tightest().remaining(), 0, "once by each request");
    Ok(())
}

#[tokio::test]
async fn messages_of_a_socket_stay_in_the_backend_of_its_handshake() -> Result {
    use axum::extract::{WebSocketUpgrade, ws::Message};
    use traffik::web::ws::Messages;
    async fn chat(messages: Messages<Two>, upgrade: WebSocketUpgrade) -> axum::response::Response {
        upgrade.on_upgrade(|socket| async move {
            let mut socket = messages.throttle(socket);
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        })
    }
    let app = App::new();
    let traffik = app.builder().register::<Two>().build()?;
    async fn in_eu(mut request: axum::extract::Request, next: axum::middleware::Next) -> axum::response::Response {
        request.headers_mut().insert("x-tenant", HeaderValue::from_static("eu"));
        next.run(request).await
    }
    let router = Router::new().route("/", axum::routing::any(chat)).layer(axum::middleware::from_fn(in_eu));
    let address = crate::ws::rig::start(router.layer(traffik.layer())).await;
    let mut socket = Socket::connect(address).await;
    assert_eq!(socket.ask("1").await, "1");
    // A change has the socket resolve its limits again.
    traffik.limit("chosen:two")?.set_cost(1);
    assert_eq!([socket.ask("2").await, socket.ask("3").await], ["2".to_owned(), too_many(60)]);
    assert_eq!(app.entries(), [0, 1, 0]);
    Ok(())
}
