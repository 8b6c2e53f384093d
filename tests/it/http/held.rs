//! Requests that wait for their turn are held in order of arrival, and continue no earlier than their delay.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Extension, Router, extract::Path, http::Request, routing::get};
use futures_util::FutureExt;
use tests::{admits, until, until_idle};
use tokio::task::JoinHandle;
use traffik::{
    Settings, Throttle, Throttled, Traffik,
    clock::{Clock, Timestamp},
    strategy::{LeakyBucketWithQueue, TokenBucket},
    test::{ManualClock, RequestExt},
    throttle_layer, throttled,
};

use super::{
    app::{HERE, builder, throttle, traffik},
    logs::Log,
    server::{Reply, Server, get_from},
};
use crate::on_error::backends::{Mood, Moody};

const QUEUE: LeakyBucketWithQueue = LeakyBucketWithQueue::new().queue(20);

throttle!(Queue, "held:queue", "3/s", Settings::new().strategy(QUEUE));
throttle!(Short, "held:short", "1/s", Settings::new().strategy(LeakyBucketWithQueue::new().queue(1)));
throttle!(Soon, "held:soon", "1/10s", Settings::new().strategy(LeakyBucketWithQueue::new().max_delay(ms(4_000))));
throttle!(One, "held:one", "1/s", Settings::new().strategy(QUEUE.max_held(1)));
throttle!(Pair, "held:pair", "1/s", Settings::new().strategy(QUEUE.max_held(2)));
throttle!(Slow, "held:slow", "1/2s", Settings::new().strategy(QUEUE).cost(2));
throttle!(Three, "held:three", "3/min", Settings::new().strategy(TokenBucket::new()));

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The requests that continued, in order: the number in the path, and the time.
#[derive(Clone)]
struct Departures {
    clock: ManualClock,
    start: Timestamp,
    seen: Arc<Mutex<Vec<(u32, Duration)>>>,
}

impl Departures {
    fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), start: clock.now(), seen: Arc::default() }
    }

    fn add(&self, number: u32) {
        let after = self.clock.now().saturating_since(self.start);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((number, after));
    }

    fn seen(&self) -> Vec<(u32, Duration)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Advances the clock and returns the requests that continued.
    async fn after(&self, wait: Duration) -> Vec<(u32, Duration)> {
        self.clock.advance(wait);
        self.settled().await
    }

    /// Returns the requests that continued, once no more do.
    async fn settled(&self) -> Vec<(u32, Duration)> {
        until_idle().await;
        self.seen()
    }

    async fn until(&self, count: usize) -> Vec<(u32, Duration)> {
        until(&format!("{count} requests continued"), async || self.seen().len() >= count).await;
        self.seen()
    }
}

async fn queued<T: Throttle>(traffik: &Traffik) -> u64 {
    let limits = traffik.limiter::<T>(HERE).peek().await;
    let queued = limits.ok().and_then(|limits| {
        let limit = limits.tightest();
        Some(limit.capacity().units()? - limit.remaining().units()?)
    });
    queued.unwrap_or(u64::MAX)
}

/// Waits until this cost of a limit is taken.
async fn until_queued<T: Throttle>(traffik: &Traffik, most: u64) {
    until(&format!("{most} are queued"), async || queued::<T>(traffik).await == most).await;
}

/// Returns an app with a route for each way to check a throttle.
fn app(traffik: &Traffik, departures: &Departures) -> Router {
    async fn note(Path(number): Path<u32>, Extension(departures): Extension<Departures>) -> String {
        departures.add(number);
        number.to_string()
    }

    #[throttled(Queue)]
    async fn attributed(path: Path<u32>, departures: Extension<Departures>) -> String {
        note(path, departures).await
    }

    Router::new()
        .route("/queue/{number}", get(|_: Throttled<Queue>, path, departures| note(path, departures)))
        .route("/attribute/{number}", get(attributed))
        .route("/layer/{number}", get(note).layer(throttle_layer::<Queue>()))
        .route(
            "/twice/{number}",
            get(|_: Throttled<Queue>, path, departures| note(path, departures)).layer(throttle_layer::<Queue>()),
        )
        .route("/short/{number}", get(|_: Throttled<Short>, path, departures| note(path, departures)))
        .route("/soon/{number}", get(|_: Throttled<Soon>, path, departures| note(path, departures)))
        .route("/one/{number}", get(|_: Throttled<One>, path, departures| note(path, departures)))
        .route("/pair/{number}", get(|_: Throttled<Pair>, path, departures| note(path, departures)))
        .route("/one-and-slow/{number}", get(|_: Throttled<(One, Slow)>, path, departures| note(path, departures)))
        .route("/tuple/{number}", get(|_: Throttled<(Queue, Slow, Three)>, path, departures| note(path, departures)))
        .route(
            "/in-turn/{number}",
            get(|_: Throttled<Queue>, _: Throttled<Three>, path, departures| note(path, departures)),
        )
        .layer(Extension(departures.clone()))
        .layer(traffik.layer())
}

fn ask(server: &Server, path: String) -> JoinHandle<Reply> {
    let server = server.reconnected();
    tokio::spawn(async move { server.get(&path).await })
}

/// Sends each request on its own connection, after the decision about the previous one.
async fn ask_in_order(
    server: &Server,
    traffik: &Traffik,
    path: &str,
    numbers: std::ops::Range<u32>,
) -> Vec<JoinHandle<Reply>> {
    let (mut replies, before) = (Vec::new(), queued::<Queue>(traffik).await);
    for (number, taken) in numbers.zip(before + 1..) {
        replies.push(ask(server, format!("/{path}/{number}")));
        until_queued::<Queue>(traffik, taken).await;
    }
    replies
}

#[tokio::test]
async fn queued_requests_leave_an_interval_apart_in_order_of_arrival() {
    for path in ["queue", "attribute", "layer", "twice"] {
        let (traffik, clock) = traffik();
        let departures = Departures::new(&clock);
        let server = Server::start(app(&traffik, &departures)).await;
        let replies = ask_in_order(&server, &traffik, path, 0..10).await;

        // Thirds of a second, each rounded up to a microsecond, without drift.
        let due = |number: u32| (number, Duration::from_micros((u64::from(number) * 1_000_000).div_ceil(3)));
        assert_eq!(departures.until(1).await, [due(0)], "{path}");
        for number in 1..10 {
            let before: Vec<_> = (0..number).map(due).collect();
            let wait = due(number).1 - clock.now().saturating_since(departures.start);
            assert_eq!(departures.after(wait - Duration::from_micros(1)).await, before, "{path}: a microsecond early");
            clock.advance(Duration::from_micros(1));
            let after: Vec<_> = (0..=number).map(due).collect();
            assert_eq!(departures.until(after.len()).await, after, "{path}");
        }
        for (number, reply) in (0..).zip(replies) {
            let reply = reply.await.unwrap();
            assert_eq!((reply.status, reply.body), (200, u32::to_string(&number)));
        }
    }
}

#[tokio::test]
async fn full_queue_refuses_with_the_time_until_it_has_room() {
    let (traffik, clock) = traffik();
    let departures = Departures::new(&clock);
    let server = Server::start(app(&traffik, &departures)).await;

    let first = server.get("/short/0").await;
    assert_eq!((first.status, first.state()), (200, Some(r#""held:short";r=1;t=1"#)));
    let second = ask(&server, "/short/1".into());
    until_queued::<Short>(&traffik, 2).await;
    clock.advance(ms(400));
    let refused = server.get("/short/2").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("1")));
    assert_eq!((refused.state(), queued::<Short>(&traffik).await), (Some(r#""held:short";r=0;t=1"#), 2));

    clock.advance(ms(600));
    assert_eq!(second.await.unwrap().status, 200);
    let third = ask(&server, "/short/3".into());
    until_queued::<Short>(&traffik, 2).await;
    clock.advance(ms(1000));
    assert_eq!(third.await.unwrap().status, 200);
    assert_eq!(departures.seen(), [(0, ms(0)), (1, ms(1000)), (3, ms(2000))]);
}

#[tokio::test]
async fn request_beyond_the_longest_delay_is_refused() {
    let (traffik, clock) = traffik();
    let departures = Departures::new(&clock);
    let server = Server::start(app(&traffik, &departures)).await;

    assert_eq!(server.get("/soon/0").await.status, 200);
    clock.advance(Duration::from_micros(5_999_999));
    let refused = server.get("/soon/1").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("1")));
    clock.advance(Duration::from_micros(1));
    let second = ask(&server, "/soon/2".into());
    // The next slot is beyond the longest delay.
    until_queued::<Soon>(&traffik, 2).await;
    assert_eq!(server.get("/soon/3").await.status, 429);
    clock.advance(ms(4000));
    assert_eq!(second.await.unwrap().status, 200);
    assert_eq!(departures.seen(), [(0, ms(0)), (2, ms(10_000))]);
}

#[tokio::test]
async fn tuple_is_held_for_the_longest_delay_and_charged_as_one() {
    let (traffik, clock) = traffik();
    let departures = Departures::new(&clock);
    let server = Server::start(app(&traffik, &departures)).await;

    assert_eq!(server.get("/tuple/0").await.status, 200);
    let second = ask(&server, "/tuple/1".into());
    until_queued::<Queue>(&traffik, 2).await;
    let third = ask(&server, "/tuple/2".into());
    until_queued::<Queue>(&traffik, 3).await;
    let refused = server.get("/tuple/3").await;
    assert_eq!((refused.status, refused.problem("violated-policies")), (429, serde_json::json!(["held:three"])));
    assert_eq!((queued::<Queue>(&traffik).await, queued::<Slow>(&traffik).await), (3, 6), "nothing was charged");

    assert_eq!(departures.after(ms(3_999)).await, [(0, ms(0))]);
    clock.advance(ms(1));
    assert_eq!(second.await.unwrap().status, 200);
    assert_eq!(departures.after(ms(3_999)).await, [(0, ms(0)), (1, ms(4000))]);
    clock.advance(ms(1));
    assert_eq!(third.await.unwrap().status, 200);
    assert_eq!(departures.seen(), [(0, ms(0)), (1, ms(4000)), (2, ms(8000))]);
}

/// Its slot stays unused: the next request leaves at its own time, and a later one no sooner than an interval after the
/// last.
#[tokio::test]
async fn disconnected_client_leaves_its_slot_unused() {
    let (traffik, clock) = traffik();
    let departures = Departures::new(&clock);
    let server = Server::start(app(&traffik, &departures)).await;

    let first = ask(&server, "/queue/0".into());
    assert_eq!(first.await.unwrap().status, 200);
    let gone = server.open("GET /queue/1 HTTP/1.1\r\nhost: here\r\n\r\n").await;
    until_queued::<Queue>(&traffik, 2).await;
    let third = ask(&server, "/queue/2".into());
    until_queued::<Queue>(&traffik, 3).await;
    drop(gone);
    departures.settled().await;
    assert_eq!(queued::<Queue>(&traffik).await, 3);

    let fourth = ask(&server, "/queue/3".into());
    until_queued::<Queue>(&traffik, 4).await;
    let third_of = |thirds: u64| Duration::from_micros((thirds * 1_000_000).div_ceil(3));
    assert_eq!(departures.after(third_of(2) - Duration::from_micros(1)).await, [(0, ms(0))]);
    clock.advance(Duration::from_micros(1));
    assert_eq!(third.await.unwrap().status, 200);
    clock.advance(ms(1000) - third_of(2));
    assert_eq!(fourth.await.unwrap().status, 200);
    assert_eq!(departures.seen(), [(0, ms(0)), (2, third_of(2)), (3, ms(1000))]);
}

#[tokio::test]
async fn request_beyond_max_held_is_refused_and_not_charged() {
    let (log, _guard) = Log::begin();
    let (traffik, clock) = traffik();
    let departures = Departures::new(&clock);
    let server = Server::start(app(&traffik, &departures)).await;

    assert_eq!(server.get("/one/0").await.status, 200);
    let gone = server.open("GET /one/1 HTTP/1.1\r\nhost: here\r\n\r\n").await;
    until_queued::<One>(&traffik, 2).await;
    for _ in 0..3 {
        let refused = server.get("/one/2").await;
        // The time until it could continue without waiting.
        assert_eq!(
            (refused.status, refused.retry_after(), refused.state()),
            (429, Some("2"), Some(r#""held:one";r=0;t=2"#))
        );
        assert_eq!(queued::<One>(&traffik).await, 2);
    }
    assert_eq!(log.text().matches("the queue of this throttle is full").count(), 1, "{}", log.text());
    assert!(log.text().contains("held:one") && log.text().contains("max_held=1"), "{}", log.text());
    // Requests that need not wait are not held, so `max_held` does not refuse them.
    let app = app(&traffik, &departures);
    assert_eq!(get_from(&app, "203.0.113.7:1", "/one/3").await.status, 200);
    assert_eq!(get_from(&app, "203.0.113.7:1", "/one/3").await.status, 429);

    // A disconnected client frees its slot among the held requests.
    drop(gone);
    let held = Mutex::new(None);
    until("a slot is free", async || {
        let asked = ask(&server, "/one/4".into());
        until("it is decided", async || asked.is_finished() || queued::<One>(&traffik).await == 3).await;
        let is_held = !asked.is_finished();
        *held.lock().unwrap() = Some(asked);
        is_held
    })
    .await;
    let held = held.into_inner().unwrap().unwrap();
    clock.advance(ms(2000));
    assert_eq!(held.await.unwrap().status, 200);
}

/// A future that is dropped while it waits, as by a timeout or a race of two futures.
#[tokio::test]
async fn dropped_request_releases_its_held_slot() {
    let (traffik, clock) = traffik();
    let app = app(&traffik, &Departures::new(&clock));
    assert_eq!(get_from(&app, "203.0.113.7:1", "/one/0").await.status, 200);
    for waiting in 1..=20 {
        let held = tokio::time::timeout(Duration::ZERO, get_from(&app, "203.0.113.7:1", "/one/1"));
        assert!(held.await.is_err(), "{waiting}");
    }
    // Each dropped request had a slot in the queue, which stays unused.
    clock.advance(ms(20_000));
    assert!(tokio::time::timeout(Duration::ZERO, get_from(&app, "203.0.113.7:1", "/one/2")).await.is_err());
    clock.advance(ms(1000));
    assert!(tokio::time::timeout(Duration::ZERO, get_from(&app, "203.0.113.7:1", "/one/3")).await.is_err());
    clock.advance(ms(2000));
    assert_eq!(get_from(&app, "203.0.113.7:1", "/one/4").await.status, 200);
}

const ALICE: &str = "203.0.113.7:1";
const BOB: &str = "203.0.113.8:1";

/// Polls a request once and keeps it. The request has to wait.
fn kept(app: &Router, peer: &'static str, path: &'static str) -> Pin<Box<impl Future<Output = Reply>>> {
    let app = app.clone();
    let mut request = Box::pin(async move { get_from(&app, peer, path).await });
    assert!(request.as_mut().now_or_never().is_none(), "{path} does not wait");
    request
}

#[tokio::test]
async fn kept_requests_after_their_turn_take_no_slots() {
    let (traffik, clock) = traffik();
    let app = app(&traffik, &Departures::new(&clock));
    assert_eq!(get_from(&app, ALICE, "/pair/0").await.status, 200);
    let first = kept(&app, ALICE, "/pair/1");
    let second = kept(&app, ALICE, "/pair/2");
    assert_eq!(get_from(&app, ALICE, "/pair/3").await.status, 429);

    clock.advance(ms(999));
    assert_eq!(get_from(&app, ALICE, "/pair/3").await.status, 429);
    clock.advance(ms(1));
    let third = kept(&app, ALICE, "/pair/3");
    assert_eq!(get_from(&app, ALICE, "/pair/4").await.status, 429, "the second request still waits");
    clock.advance(ms(1000));
    let fourth = kept(&app, ALICE, "/pair/4");

    // Requests that are polled after their turns free the slots of no others.
    assert_eq!((first.await.status, second.await.status), (200, 200));
    assert_eq!(get_from(&app, ALICE, "/pair/5").await.status, 429);
    drop(third);
    let fifth = kept(&app, ALICE, "/pair/5");
    clock.advance(ms(3000));
    assert_eq!((fourth.await.status, fifth.await.status), (200, 200));
}

#[tokio::test]
async fn kept_request_in_a_tuple_keeps_its_slots_until_it_goes_on() {
    let (traffik, clock) = traffik();
    let app = app(&traffik, &Departures::new(&clock));
    assert_eq!(get_from(&app, ALICE, "/one-and-slow/0").await.status, 200);
    let _kept = kept(&app, ALICE, "/one-and-slow/1");
    assert_eq!(get_from(&app, BOB, "/one/0").await.status, 200);
    clock.advance(ms(3999));
    assert_eq!(get_from(&app, BOB, "/one/1").await.status, 200);
    assert_eq!(get_from(&app, BOB, "/one/2").await.status, 429);
    clock.advance(ms(1));
    let held = kept(&app, BOB, "/one/2");
    clock.advance(ms(999));
    assert_eq!(held.await.status, 200);
}

#[tokio::test]
async fn kept_request_without_a_decision_takes_a_slot_until_the_deadline() {
    let clock = ManualClock::new();
    let backend = Moody::new(&clock);
    let traffik = Traffik::builder(backend.clone()).backend_timeout(ms(200)).build().unwrap();
    let app = app(&traffik, &Departures::new(&clock));
    backend.is(Mood::Hangs);
    let undecided = kept(&app, ALICE, "/one/0");
    backend.is(Mood::Answers);
    assert_eq!(get_from(&app, BOB, "/one/1").await.status, 200);
    clock.advance(ms(199));
    assert_eq!(get_from(&app, BOB, "/one/2").await.status, 429);
    clock.advance(ms(1));
    let held = kept(&app, BOB, "/one/2");
    assert_eq!(undecided.await.status, 503);
    assert_eq!(get_from(&app, BOB, "/one/3").await.status, 429);
    clock.advance(ms(800));
    assert_eq!(held.await.status, 200);
}

/// A request that a later limit rejects returns its slot only if the queue is otherwise empty.
#[tokio::test]
async fn later_refusal_keeps_the_order_of_the_queue() {
    let (traffik, clock) = traffik();
    let departures = Departures::new(&clock);
    let server = Server::start(app(&traffik, &departures)).await;
    for _ in 0..3 {
        assert!(admits::<Three>(&traffik, HERE).await.unwrap());
    }

    // The queue is otherwise empty, so the request continues without waiting and returns its slot.
    assert_eq!(server.get("/in-turn/0").await.status, 429);
    assert_eq!(queued::<Queue>(&traffik).await, 0);

    assert_eq!(server.get("/queue/1").await.status, 200);
    let refused = ask(&server, "/in-turn/2".into());
    until_queued::<Queue>(&traffik, 2).await;
    let last = ask(&server, "/queue/3".into());
    until_queued::<Queue>(&traffik, 3).await;
    clock.advance(ms(500));
    assert_eq!(refused.await.unwrap().status, 429);
    let behind = ask(&server, "/queue/4".into());
    until_queued::<Queue>(&traffik, 3).await;
    clock.advance(ms(167));
    assert_eq!(last.await.unwrap().status, 200);
    clock.advance(ms(333));
    assert_eq!(behind.await.unwrap().status, 200);
    assert_eq!(departures.seen(), [(1, ms(0)), (3, ms(667)), (4, ms(1000))]);
}

#[tokio::test]
async fn held_request_finishes_while_app_and_server_close() {
    let (traffik, clock) = traffik();
    let departures = Departures::new(&clock);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = app(&traffik, &departures).into_make_service_with_connect_info::<std::net::SocketAddr>();
    let serving = tokio::spawn(async move {
        axum::serve(listener, service).with_graceful_shutdown(async { drop(stopped.await) }).await
    });
    let get = |number: u32| {
        let url = format!("http://{address}/queue/{number}");
        tokio::spawn(async move { reqwest::Client::builder().no_proxy().build()?.get(url).send().await })
    };

    assert_eq!(get(0).await.unwrap().unwrap().status(), 200);
    let held = get(1);
    until_queued::<Queue>(&traffik, 2).await;
    stop.send(()).unwrap();
    traffik.close().await.unwrap();
    assert_eq!(departures.settled().await, [(0, ms(0))]);
    assert!(!serving.is_finished());
    clock.advance(ms(334));
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn delay_follows_the_clock_of_the_app() {
    let (builder, clock) = builder();
    let own = ManualClock::new();
    let traffik = builder.clock(own.clone()).build().unwrap();
    let app = app(&traffik, &Departures::new(&clock));
    assert_eq!(get_from(&app, "203.0.113.7:1", "/one/0").await.status, 200);
    let second = tokio::spawn(async move { get_from(&app, "203.0.113.7:1", "/one/1").await.status });
    until_idle().await;
    clock.advance(ms(60_000));
    until_idle().await;
    assert!(!second.is_finished());
    own.advance(ms(1000));
    assert_eq!(second.await.unwrap(), 200);
}

/// No socket, and no layer that waits for the response.
#[tokio::test]
async fn extension_without_a_layer_holds_requests() {
    let (traffik, clock) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Short>| async {})).layer(Extension(traffik));
    let request = || Request::get("/").body(axum::body::Body::empty()).unwrap().with_peer("203.0.113.7:1");
    use tower::ServiceExt;
    assert_eq!(app.clone().oneshot(request()).await.unwrap().status(), 200);
    let second = tokio::spawn(app.clone().oneshot(request()));
    until_idle().await;
    assert!(!second.is_finished());
    assert_eq!(app.oneshot(request()).await.unwrap().status(), 429);
    clock.advance(ms(1000));
    assert_eq!(second.await.unwrap().unwrap().status(), 200);
}
