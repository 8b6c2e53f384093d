//! Sends requests to the program over TCP, prints the responses as a table, and returns an error if one differs.

use std::{error::Error, net::Ipv4Addr, time::Duration};

use reqwest::Client;
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{MemoryBackend, Traffik, test::ManualClock};

/// A request, and the expected response.
struct Row {
    /// The time that passes before.
    after: Duration,
    path: &'static str,
    body: &'static str,
    status: u16,
    retry_after: &'static str,
    ratelimit: &'static str,
}

const fn row(path: &'static str, body: &'static str, status: u16, ratelimit: &'static str) -> Row {
    Row { after: Duration::ZERO, path, body, status, retry_after: "", ratelimit }
}

/// The clock starts at the beginning of a minute, and stands still in between.
const ROWS: &[Row] = &[
    // The fields are sent before the answer: they show the 1000 tokens that are reserved.
    row("/complete", "300", 200, r#""chat:tokens";r=9000;t=61"#),
    // The first answer took 300 tokens. 300 and 1000 are used now.
    row("/complete", "200", 200, r#""chat:tokens";r=8700;t=61"#),
    // This answer takes more than is left, and is sent all the same.
    row("/complete", "12000", 200, r#""chat:tokens";r=8500;t=61"#),
    // Of 12 500 tokens, 3500 have to fade before 1000 fit.
    Row { retry_after: "77", ..row("/complete", "1", 429, r#""chat:tokens";r=0;t=73"#) },
    Row { after: Duration::from_secs(77), ..row("/complete", "1", 200, r#""chat:tokens";r=41;t=1"#) },
    // Four guesses, of which each counts.
    row("/login", "12345", 401, r#""auth:login";r=4;t=43"#),
    row("/login", "secret", 401, r#""auth:login";r=3;t=43"#),
    // The right password does not count.
    row("/login", "correct horse", 204, r#""auth:login";r=3;t=43"#),
    row("/login", "correct horse", 204, r#""auth:login";r=3;t=43"#),
];

/// Serves the program, sends the requests, prints the responses, and shuts down gracefully.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let traffik = Traffik::builder(MemoryBackend::with_clock("chat", clock.clone())).strict().build()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let asking = async {
        let asked = ask_all(&base, &clock).await;
        drop(stop);
        asked
    };
    tokio::try_join!(super::serve(listener, traffik, shutdown), asking)?;
    Ok(())
}

async fn ask_all(base: &str, clock: &ManualClock) -> Result<(), Box<dyn Error>> {
    // The server is on this machine: ignore the proxies of the environment.
    let client = Client::builder().no_proxy().build()?;
    println!("{:<10} {:<14} {:>6} {:>12}  ratelimit", "path", "body", "status", "retry-after");
    for Row { after, path, body, status, retry_after, ratelimit } in ROWS {
        clock.advance(*after);
        let response = client.post(format!("{base}{path}")).body(*body).send().await?;
        let field = |name| response.headers().get(name).map_or(Ok(""), |value| value.to_str()).map(str::to_owned);
        let (found, wait, state) = (response.status().as_u16(), field("retry-after")?, field("ratelimit")?);
        println!("{path:<10} {body:<14} {found:>6} {wait:>12}  {state}");
        if (found, wait.as_str(), state.as_str()) != (*status, *retry_after, *ratelimit) {
            return Err(format!("{path} {body}: expected {status} {retry_after:?} {ratelimit:?}").into());
        }
        // The answer ends, and its charge is settled.
        let words = response.text().await?.split_whitespace().count();
        if found == 200 && words.to_string() != *body {
            return Err(format!("{body} tokens were asked for, and {words} came").into());
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
