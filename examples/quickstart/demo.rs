//! Sends requests to the program over TCP, prints the responses as a table, and returns an error if one differs.
//!
//! The demo moves the clock of the limits by hand, so no window ends during a request.

use std::{
    collections::HashMap,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, Response, header::HOST},
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use traffik::{MemoryBackend, Traffik, test::ManualClock};

/// The `nth` request to a route, and the expected response.
struct Row {
    route: Route,
    nth: u32,
    status: u16,
    retry_after: &'static str,
    ratelimit: &'static str,
}

type Route = (Method, &'static str);

const ITEMS: Route = (Method::GET, "/items");
const UPLOAD: Route = (Method::POST, "/upload");
const USERS: Route = (Method::GET, "/api/v1/users");
const PRODUCTS: Route = (Method::GET, "/api/v1/products");

/// 18 seconds into a minute, 42 before the next.
const INTO_THE_MINUTE: Duration = Duration::from_secs(18);
const UNTIL_THE_NEXT: Duration = Duration::from_secs(42);

const IN_ONE_MINUTE: &[Row] = &[
    row(ITEMS, 1, 200, "", r#""api:items";r=99;t=42"#),
    row(ITEMS, 100, 200, "", r#""api:items";r=0;t=42"#),
    row(ITEMS, 101, 429, "42", r#""api:items";r=0;t=42"#),
    row(UPLOAD, 1, 200, "", r#""uploads:burst";r=9;t=42, "uploads:sustained";r=99;t=3582"#),
    row(UPLOAD, 10, 200, "", r#""uploads:burst";r=0;t=42, "uploads:sustained";r=90;t=3582"#),
    // The burst limit refuses, so the other limit is not charged either.
    row(UPLOAD, 11, 429, "42", r#""uploads:burst";r=0;t=42, "uploads:sustained";r=90;t=3582"#),
    // Two routes share one limit.
    row(USERS, 1, 200, "", r#""api:v1";r=999;t=42"#),
    row(PRODUCTS, 1, 200, "", r#""api:v1";r=998;t=42"#),
    row(USERS, 999, 200, "", r#""api:v1";r=0;t=42"#),
    row(PRODUCTS, 2, 429, "42", r#""api:v1";r=0;t=42"#),
];

const IN_THE_NEXT: &[Row] = &[
    row(ITEMS, 102, 200, "", r#""api:items";r=99;t=60"#),
    row(UPLOAD, 12, 200, "", r#""uploads:burst";r=9;t=60, "uploads:sustained";r=89;t=3540"#),
    row(PRODUCTS, 3, 200, "", r#""api:v1";r=999;t=60"#),
];

const fn row(route: Route, nth: u32, status: u16, retry_after: &'static str, ratelimit: &'static str) -> Row {
    Row { route, nth, status, retry_after, ratelimit }
}

/// Serves the program, sends the requests, prints the responses, and shuts down gracefully.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    clock.advance(INTO_THE_MINUTE);
    let traffik = Traffik::new(MemoryBackend::with_clock("myapp", clock.clone()))?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let asking = async {
        show(&mut Visitor::connect(address).await?, &clock).await?;
        drop(stop);
        Ok(())
    };
    tokio::try_join!(super::serve(listener, traffik, shutdown), asking)?;
    Ok(())
}

async fn show(visitor: &mut Visitor, clock: &ManualClock) -> Result<(), Box<dyn Error>> {
    println!("{:<21} {:>7}  {:>6}  {:>11}  ratelimit", "route", "request", "status", "retry-after");
    let mut refusals = visitor.ask_all(IN_ONE_MINUTE).await?.into_iter();
    clock.advance(UNTIL_THE_NEXT);
    println!("-- {} seconds later --", UNTIL_THE_NEXT.as_secs());
    visitor.ask_all(IN_THE_NEXT).await?;

    let refusal = refusals.next().ok_or("nothing was refused")?;
    println!("\nThe first 429 in full:\n");
    show_in_full(refusal).await
}

async fn show_in_full(refusal: Response<Incoming>) -> Result<(), Box<dyn Error>> {
    println!("{:?} {}", refusal.version(), refusal.status());
    for (name, value) in refusal.headers() {
        println!("{name}: {}", value.to_str()?);
    }
    let body = to_bytes(Body::new(refusal.into_body()), 1024).await?;
    let body = String::from_utf8_lossy(&body);
    println!("\n{body}");
    expect("the body", &body.contains(r#""violated-policies":["api:items"]"#), &true)
}

/// A connection to the program, and the number of requests that it sent to each route.
struct Visitor {
    connection: http1::SendRequest<Body>,
    address: SocketAddr,
    sent: HashMap<Route, u32>,
}

impl Visitor {
    async fn connect(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(address).await?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(Self { connection, address, sent: HashMap::new() })
    }

    /// Prints and checks each row, and returns the refusals.
    async fn ask_all(&mut self, rows: &[Row]) -> Result<Vec<Response<Incoming>>, Box<dyn Error>> {
        let mut refusals = Vec::new();
        for row in rows {
            let response = self.ask(row).await?;
            if response.status().is_client_error() {
                refusals.push(response);
            }
        }
        Ok(refusals)
    }

    /// Sends requests up to the one of the row. Those before it must be admitted.
    async fn ask(&mut self, row: &Row) -> Result<Response<Incoming>, Box<dyn Error>> {
        let (method, path) = &row.route;
        loop {
            let nth = self.sent.entry(row.route.clone()).and_modify(|sent| *sent += 1).or_insert(1);
            let request = Request::builder().method(method).uri(*path).header(HOST, self.address.to_string());
            self.connection.ready().await?;
            let response = self.connection.send_request(request.body(Body::empty())?).await?;
            let (status, which) = (response.status().as_u16(), format!("{method} {path}, request {nth}"));
            if *nth < row.nth {
                expect(&which, &status, &200)?;
                continue;
            }
            let retry_after = field(response.headers(), "retry-after");
            let ratelimit = field(response.headers(), "ratelimit");
            println!("{:<4} {path:<16} {nth:>7}  {status:>6}  {retry_after:>11}  {ratelimit}", method.as_str());
            expect(&which, &(status, retry_after, ratelimit), &(row.status, row.retry_after, row.ratelimit))?;
            return Ok(response);
        }
    }
}

/// Returns the value of a field, or an empty text if it is missing.
fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
