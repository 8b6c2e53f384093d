//! Sends requests to the program over TCP, prints the responses as a table, and returns an error if one differs.

use std::{error::Error, net::Ipv4Addr};

use reqwest::{Client, Method};
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{MemoryBackend, Traffik, test::ManualClock};

/// A request, and the expected response.
struct Row {
    method: Method,
    path: &'static str,
    status: u16,
    ratelimit: &'static str,
}

const fn row(method: Method, path: &'static str, status: u16, ratelimit: &'static str) -> Row {
    Row { method, path, status, ratelimit }
}

/// The clock stands still at the beginning of a minute.
const ROWS: &[Row] = &[
    row(Method::GET, "/notes/1", 200, r#""files:reads";r=99;t=60"#),
    row(Method::PUT, "/notes/1", 200, r#""files:writes";r=9;t=60"#),
    row(Method::GET, "/health", 200, ""),
    row(Method::GET, "/notes.zip", 200, r#""files:reads";r=98;t=60, "files:exports";r=1;t=60"#),
    // Another spelling of the same path.
    row(Method::GET, "/a//%6Eotes%2Ezip", 200, r#""files:reads";r=97;t=60, "files:exports";r=0;t=60"#),
    // One of the two limits refuses, so the other is not charged.
    row(Method::GET, "/notes.zip", 429, r#""files:reads";r=97;t=60, "files:exports";r=0;t=60"#),
    row(Method::GET, "/notes/1", 200, r#""files:reads";r=96;t=60"#),
];

/// Serves the program, sends the requests, prints the responses, and shuts down gracefully.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let traffik = Traffik::builder(MemoryBackend::with_clock("files", ManualClock::new())).build()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let asking = async {
        ask_all(&base).await?;
        drop(stop);
        Ok(())
    };
    tokio::try_join!(super::serve(listener, traffik, shutdown), asking)?;
    Ok(())
}

async fn ask_all(base: &str) -> Result<(), Box<dyn Error>> {
    // The server is on this machine: ignore the proxies of the environment.
    let client = Client::builder().no_proxy().build()?;
    println!("{:<4} {:<18} {:>6}  ratelimit", "", "path", "status");
    for Row { method, path, status, ratelimit } in ROWS {
        let response = client.request(method.clone(), format!("{base}{path}")).send().await?;
        let field = response.headers().get("ratelimit").map_or(Ok(""), |value| value.to_str())?;
        let (found, field) = (response.status().as_u16(), field.to_owned());
        println!("{:<4} {path:<18} {found:>6}  {field}", method.as_str());
        if (found, field.as_str()) != (*status, *ratelimit) {
            return Err(format!("{method} {path}: {found} {field:?} instead of {status} {ratelimit:?}").into());
        }
        let body = response.text().await?;
        if found == 200 && body != format!("{method} {path}\n") {
            return Err(format!("{method} {path} was answered with {body:?}").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
