//! The status and text of a rejection before it becomes a response.

use axum::{
    Router,
    http::{StatusCode, request::Parts},
    routing::get,
};
use traffik::{
    Client, Settings, ThrottleRejection, Throttled, Traffik, backend::MemoryBackend, on_error::Raise, test::ManualClock,
};

use super::{
    app::{throttle, traffik},
    backends::Unsteady,
    server::Server,
};

throttle!(Once, "rejections:once", "1/min");
throttle!(Strict, "rejections:strict", "1/min", Settings::new().on_error(Raise));
throttle!(ByUser, "rejections:by-user", "1/min", Settings::new().identity(reject_all));
throttle!(BySize, "rejections:by-size", "1/min", Settings::new().cost_of(|_| Err(StatusCode::LENGTH_REQUIRED)));

fn reject_all(_: &Parts) -> Result<Client, StatusCode> {
    Err(StatusCode::UNAUTHORIZED)
}

async fn describe<T>(permit: Result<Throttled<T>, ThrottleRejection>) -> String {
    permit
        .map_or_else(|rejection| format!("{}: {}", rejection.status().as_u16(), rejection.body_text()), |_| "ok".into())
}

fn app(traffik: &Traffik) -> Router {
    Router::new()
        .route("/once", get(describe::<Once>))
        .route("/strict", get(describe::<Strict>))
        .route("/by-user", get(describe::<ByUser>))
        .route("/by-size", get(describe::<BySize>))
        .layer(traffik.layer())
        .route("/no-layer", get(describe::<Once>))
}

#[tokio::test]
async fn rejection_of_each_kind_has_a_status_and_a_text() {
    let (traffik, _) = traffik();
    let server = Server::start(app(&traffik)).await;
    let body = async |path| server.get(path).await.body;

    assert_eq!(body("/once").await, "ok");
    assert_eq!(body("/once").await, r#"429: "rejections:once" allows 1 request per minute; try again in 1m"#);
    assert!(body("/no-layer").await.starts_with("500: traffik: a throttle found no `Traffik`"));
    assert_eq!(body("/by-user").await, "401: the client of the request could not be identified");
    assert_eq!(body("/by-size").await, "411: a function of the throttle rejected the request");

    let backend = Unsteady::new(MemoryBackend::with_clock("test", ManualClock::new()));
    let server = Server::start(app(&Traffik::new(backend.clone()).unwrap())).await;
    backend.fails();
    assert_eq!(server.get("/once").await.body, "503: the limits of this request cannot be checked at present");
    assert_eq!(server.get("/strict").await.body, "500: the limits of this request cannot be checked");
}
