//! Sends requests to the program over TCP, prints the responses as a table, and returns an error if one differs.
//!
//! The clock of the limits stands still, so no window ends during the demo.

use std::{error::Error, net::Ipv4Addr};

use reqwest::{Client, Method, Response};
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{MemoryBackend, Traffik, test::ManualClock};

use crate::expect::expect;

/// Requests to a route: the expected status of each, and the expected field of the last response.
struct Row {
    method: Method,
    path: &'static str,
    statuses: &'static [u16],
    ratelimit: &'static str,
}

const ROWS: &[Row] = &[
    row(
        Method::GET,
        "/search",
        &[200, 200, 200, 200, 200, 429],
        // The burst limit refuses the last request, so the other limit is charged five times, not six.
        r#""search:burst";r=0;t=60, "search:sustained";r=45;t=3600"#,
    ),
    row(Method::POST, "/upload", &[200, 200], r#""uploads:burst";r=8;t=60, "uploads:sustained";r=98;t=3600"#),
    row(
        Method::POST,
        "/avatar",
        &[200, 200, 200, 429],
        // Three limits, two of which are shared with the route above. Each was charged three times here.
        r#""uploads:burst";r=5;t=60, "uploads:sustained";r=95;t=3600, "avatars:daily";r=0;t=86400"#,
    ),
];

const fn row(method: Method, path: &'static str, statuses: &'static [u16], ratelimit: &'static str) -> Row {
    Row { method, path, statuses, ratelimit }
}

/// Serves the program, sends the requests, prints the responses, and shuts down gracefully.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let backend = MemoryBackend::with_clock("myapp", ManualClock::new());
    let traffik = Traffik::builder(backend).build()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let asking = async {
        // The server is on this machine: ignore the proxies of the environment.
        let client = Client::builder().no_proxy().build()?;
        println!("{:<14} {:>7}  {:>6}  ratelimit", "route", "request", "status");
        for row in ROWS {
            row.ask(&client, &base).await?;
        }
        drop(client);
        drop(stop);
        Ok(())
    };
    tokio::try_join!(super::serve(listener, traffik, shutdown), asking)?;
    Ok(())
}

impl Row {
    async fn ask(&self, client: &Client, base: &str) -> Result<(), Box<dyn Error>> {
        let Self { method, path, statuses, ratelimit } = self;
        let mut last = String::new();
        for (i, expected) in statuses.iter().enumerate() {
            let response = client.request(method.clone(), format!("{base}{path}")).send().await?;
            let status = response.status().as_u16();
            last = ratelimit_of(&response);
            println!("{:<14} {:>7}  {status:>6}  {last}", format!("{method} {path}"), i + 1);
            expect(path, &status, expected)?;
        }
        expect(path, &last.as_str(), ratelimit)
    }
}

/// Returns the `RateLimit` field.
fn ratelimit_of(response: &Response) -> String {
    let field = response.headers().get("ratelimit").and_then(|value| value.to_str().ok());
    field.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
