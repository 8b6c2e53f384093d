//! The same program, asked over TCP: what comes back, as a table, and an error where it is not what it should be.
//!
//! Its limits go by a clock that stands still, so that no window ends while requests are under way.

use std::{error::Error, net::Ipv4Addr};

use reqwest::{Client, Method, Response};
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{Traffik, backend::MemoryBackend, test::ManualClock};

/// What should come back when a route is asked so many times: the statuses, and what the last response tells.
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
        // The burst limit refuses, so the other is charged five times, not six.
        r#""search:burst";r=0;t=60, "search:sustained";r=45;t=3600"#,
    ),
    row(Method::POST, "/upload", &[200, 200], r#""uploads:burst";r=8;t=60, "uploads:sustained";r=98;t=3600"#),
    row(
        Method::POST,
        "/avatar",
        &[200, 200, 200, 429],
        // Three limits, of which it shares two with the route above. It was charged three times for each.
        r#""uploads:burst";r=5;t=60, "uploads:sustained";r=95;t=3600, "avatars:daily";r=0;t=86400"#,
    ),
];

const fn row(method: Method, path: &'static str, statuses: &'static [u16], ratelimit: &'static str) -> Row {
    Row { method, path, statuses, ratelimit }
}

/// Serves the program, asks it, shows the answers, and stops it in order.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let backend = MemoryBackend::new("myapp").clock(ManualClock::new());
    let traffik = Traffik::builder(backend).build()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let asking = async {
        // The server is on this machine, whatever the environment says of proxies.
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
            last = told(&response);
            println!("{:<14} {:>7}  {status:>6}  {last}", format!("{method} {path}"), i + 1);
            expect(path, &status, expected)?;
        }
        expect(path, &last.as_str(), ratelimit)
    }
}

/// How the client stands.
fn told(response: &Response) -> String {
    let field = response.headers().get("ratelimit").and_then(|value| value.to_str().ok());
    field.unwrap_or_default().to_owned()
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn what_comes_back_is_what_should() {
        super::run().await.unwrap();
    }
}
