//! The log: misconfiguration, one line per outage, and no secrets.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use traffik::{
    Client, Rate, Rule, Settings, Throttled, Traffik, backend::MemoryBackend, breaker::CircuitBreaker,
    on_error::Failover, strategy::SlidingWindowLog, test::ManualClock, throttle_layer, warning::Warning,
};

use super::{
    app::{throttle, traffik},
    backends::Unsteady,
    server::{get_from, get_from_nowhere},
};

throttle!(Search, "logs:search", "1/min");
throttle!(Wrong, "logs:wrong", "1/min", Settings::new().rule(Rule::path("api")));
throttle!(ByKey, "logs:by-key", "1/min", Settings::new().identity(|_| Client::secret("hunter2")));

throttle!(
    Unworkable,
    "logs:unworkable",
    "1/min",
    Settings::new().strategy(SlidingWindowLog).rate_of(|_, _| Rate::literal("70000/s"))
);

/// If there were only one subscriber, tracing would disable each line for the whole program that another thread reaches first.
static ANOTHER: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish()));

/// Captures what this thread logs while the value exists.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        LazyLock::force(&ANOTHER);
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Returns how often a warning was logged, each time with its page of the guide.
    pub(crate) fn warnings(&self, warning: Warning) -> usize {
        let (text, name) = (self.text(), format!("warning=\"{warning}\""));
        let lines = text.lines().filter(|line| line.contains(&name));
        lines.inspect(|line| assert!(line.contains(warning.docs()), "{line}")).count()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a test on a new thread, where no rate-limited log line has been written yet.
#[expect(clippy::unwrap_used, reason = "a test that cannot be run fails")]
pub(crate) fn on_a_thread_of_its_own<T: Future<Output = ()>>(test: impl FnOnce() -> T + Send + 'static) {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    std::thread::spawn(run).join().unwrap();
}

#[test]
fn missing_layer_or_address_is_logged_with_the_line_to_add() {
    on_a_thread_of_its_own(|| async {
        let (log, _guard) = Log::begin();
        let app = Router::new().route("/", get(|_: Throttled<Search>| async {}));
        assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 500);
        assert!(log.text().contains("ERROR") && log.text().contains(".layer(traffik.layer())"), "{}", log.text());

        let (traffik, _) = traffik();
        assert_eq!(get_from_nowhere(&app.layer(traffik.layer()), "/").await.status, 500);
        assert!(log.text().contains("into_make_service_with_connect_info"), "{}", log.text());
    });
}

#[tokio::test]
async fn invalid_rate_is_logged_once_a_second() {
    let (log, _guard) = Log::begin();
    let clock = ManualClock::new();
    let traffik = Traffik::builder(MemoryBackend::new("test")).clock(clock.clone()).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Unworkable>| async {})).layer(traffik.layer());

    for (pause, logged) in [(0, 1), (0, 1), (999, 1), (1, 2), (0, 2)] {
        clock.advance(Duration::from_millis(pause));
        assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 500);
        assert_eq!(log.text().matches("cannot work at the rate 70000/s").count(), logged, "{}", log.text());
    }
}

#[test]
fn misconfiguration_is_logged_once_a_second() {
    on_a_thread_of_its_own(|| async {
        let (log, _guard) = Log::begin();
        let (traffik, _) = traffik();
        let app = Router::new()
            .route("/layer", get(|| async {}).layer(throttle_layer::<Search>().rule::<Search>(Rule::path("api"))))
            .route("/throttle", get(|_: Throttled<Wrong>| async {}))
            .layer(traffik.layer())
            .route("/late", get(|_: Throttled<Search>| async {}));
        for (path, line) in [("/late", ".layer(traffik.layer())"), ("/throttle", "begins with `/`")] {
            let begun = Instant::now();
            for _ in 0..200 {
                assert_eq!(get_from(&app, "203.0.113.7:1", path).await.status, 500);
            }
            let (count, seconds) = (log.text().matches(line).count(), begun.elapsed().as_secs());
            // One more line is from the place that made the layer with the wrong rule.
            assert!((1..=seconds + 3).contains(&u64::try_from(count).unwrap()), "{count} lines in {seconds} s");
        }
        // The log may omit the mistake of a layer within the second, but the response has it.
        let reply = get_from(&app, "203.0.113.7:1", "/layer").await;
        assert!(reply.status == 500 && reply.body.contains("begins with `/`"), "{}", reply.body);
    });
}

#[tokio::test]
async fn outage_and_its_end_are_logged_once() {
    let (log, _guard) = Log::begin();
    let clock = ManualClock::new();
    let backend = Unsteady::new(MemoryBackend::with_clock("test", clock.clone()));
    let traffik = Traffik::builder(backend.clone()).clock(clock.clone()).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer());
    let count = |words: &str| log.text().matches(words).count();

    for _outage in 0..2 {
        backend.fails();
        for _ in 0..10 {
            assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 503);
            clock.advance(Duration::from_secs(1));
        }
        backend.answers();
        for status in [200, 429] {
            assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, status);
        }
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(count("a backend gives no answer: requests are refused"), 2, "{}", log.text());
    assert_eq!(count("the backend answers again"), 2, "{}", log.text());
    assert!(log.text().contains("logs:search") && log.text().contains("lasted=10s failures=10"), "{}", log.text());
}

#[tokio::test]
async fn fallback_is_logged_when_it_takes_over_and_when_it_ends() {
    let (log, _guard) = Log::begin();
    let clock = ManualClock::new();
    let backend = Unsteady::new(MemoryBackend::with_clock("test", clock.clone()));
    let breaker = CircuitBreaker::builder().failure_threshold(3).recovery_timeout(Duration::from_secs(10));
    let breaker = breaker.success_threshold(1).build().unwrap();
    let failover = Failover::to(MemoryBackend::with_clock("spare", clock.clone())).breaker(breaker);
    let traffik = Traffik::builder(backend.clone()).on_error(failover).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer());
    let count = |words: &str| log.text().matches(words).count();

    backend.fails();
    for client in 0..10 {
        assert_eq!(get_from(&app, &format!("203.0.113.{client}:1"), "/").await.status, 200);
    }
    assert_eq!(count("a backend gives no answer: the fallback decides"), 1, "{}", log.text());
    assert_eq!(count("so the circuit breaker opened"), 1, "{}", log.text());
    assert!(log.text().contains("logs:search") && log.text().contains("refused the connection"), "{}", log.text());

    backend.answers();
    clock.advance(Duration::from_secs(10));
    assert_eq!(get_from(&app, "203.0.113.99:1", "/").await.status, 200);
    assert_eq!((count("the backend decides"), count("ERROR")), (1, 2), "{}", log.text());
}

#[tokio::test]
async fn secret_is_never_logged() {
    let (log, _guard) = Log::begin();
    let clock = ManualClock::new();
    let backend = Unsteady::new(MemoryBackend::with_clock("test", clock.clone()));
    let traffik = Traffik::new(backend.clone()).unwrap();
    let app = Router::new().route("/", get(|_: Throttled<ByKey>| async {})).layer(traffik.layer());

    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 200);
    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 429);
    backend.fails();
    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 503);
    assert!(log.text().contains("logs:by-key") && !log.text().contains("hunter2"), "{}", log.text());
}
