//! The same program, asked over TCP: what comes back, as a table, and an error where it is not what it should be.

use std::{error::Error, net::Ipv4Addr};

use reqwest::{Client, Method};
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{Traffik, backend::MemoryBackend, test::ManualClock};

/// A request, and what should come back.
struct Row {
    method: Method,
    path: &'static str,
    status: u16,
    ratelimit: &'static str,
}

const fn row(method: Method, path: &'static str, status: u16, ratelimit: &'static str) -> Row {
    Row { method, path, status, ratelimit }
}

/// The clock stands still where a minute begins.
const ROWS: &[Row] = &[
    row(Method::GET, "/notes/1", 200, r#""files:reads";r=99;t=60"#),
    row(Method::PUT, "/notes/1", 200, r#""files:writes";r=9;t=60"#),
    row(Method::GET, "/health", 200, ""),
    row(Method::GET, "/notes.zip", 200, r#""files:reads";r=98;t=60, "files:exports";r=1;t=60"#),
    // Written another way it is the same path.
    row(Method::GET, "/a//%6Eotes%2Ezip", 200, r#""files:reads";r=97;t=60, "files:exports";r=0;t=60"#),
    // One of the two has no room, so the other is not charged.
    row(Method::GET, "/notes.zip", 429, r#""files:reads";r=97;t=60, "files:exports";r=0;t=60"#),
    row(Method::GET, "/notes/1", 200, r#""files:reads";r=96;t=60"#),
];

/// Serves the program, asks it, shows the answers, and stops it in order.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let traffik = Traffik::builder(MemoryBackend::new("files").clock(ManualClock::new())).build()?;
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
    // The server is on this machine, whatever the environment says of proxies.
    let client = Client::builder().no_proxy().build()?;
    println!("{:<4} {:<18} {:>6}  ratelimit", "", "path", "status");
    for Row { method, path, status, ratelimit } in ROWS {
        let response = client.request(method.clone(), format!("{base}{path}")).send().await?;
        let field = response.headers().get("ratelimit").map_or(Ok(""), |value| value.to_str())?;
        let (found, told) = (response.status().as_u16(), field.to_owned());
        println!("{:<4} {path:<18} {found:>6}  {told}", method.as_str());
        if (found, told.as_str()) != (*status, *ratelimit) {
            return Err(format!("{method} {path}: {found} {told:?} instead of {status} {ratelimit:?}").into());
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
    async fn what_comes_back_is_what_should() {
        super::run().await.unwrap();
    }
}
