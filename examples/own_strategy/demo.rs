//! Sends requests to the program over TCP, prints the responses as a table, and returns an error if one differs.
//!
//! The demo moves the clock of the limit by hand, so days pass without waiting.

use std::{error::Error, net::Ipv4Addr, time::Duration};

use reqwest::Client;
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{MemoryBackend, Traffik, test::ManualClock};

const DAY: Duration = Duration::from_secs(86_400);

/// A day: how many mails are sent before one is refused, and the expected field of the refusal.
struct Row {
    day: u32,
    sent: u32,
    ratelimit: &'static str,
}

const ROWS: &[Row] = &[
    // A new client has three mails, and four that are saved.
    Row { day: 0, sent: 7, ratelimit: r#""mails:sent";r=0;t=86400"# },
    Row { day: 1, sent: 3, ratelimit: r#""mails:sent";r=0;t=86400"# },
    // None were sent on day 2, so there are twice as many on day 3.
    Row { day: 3, sent: 6, ratelimit: r#""mails:sent";r=0;t=86400"# },
    // At most four are saved.
    Row { day: 30, sent: 7, ratelimit: r#""mails:sent";r=0;t=86400"# },
];

/// Serves the program, sends the requests, prints the responses, and shuts down gracefully.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let traffik = Traffik::builder(MemoryBackend::with_clock("myapp", clock.clone())).build()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/mails", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let asking = async {
        // The server is on this machine: ignore the proxies of the environment.
        let client = Client::builder().no_proxy().build()?;
        println!("{:>3} {:>4}  {:>6}  ratelimit", "day", "mail", "status");
        let mut today = 0;
        for row in ROWS {
            clock.advance(DAY * (row.day - today));
            today = row.day;
            row.ask(&client, &url).await?;
        }
        drop(client);
        drop(stop);
        Ok(())
    };
    tokio::try_join!(super::serve(listener, traffik, shutdown), asking)?;
    Ok(())
}

impl Row {
    async fn ask(&self, client: &Client, url: &str) -> Result<(), Box<dyn Error>> {
        let Self { day, sent, ratelimit } = self;
        let mut last = String::new();
        for mail in 1..=sent + 1 {
            let response = client.post(url).send().await?;
            let (status, expected) = (response.status().as_u16(), if mail <= *sent { 200 } else { 429 });
            let field = response.headers().get("ratelimit").and_then(|value| value.to_str().ok());
            last = field.unwrap_or_default().to_owned();
            println!("{day:>3} {mail:>4}  {status:>6}  {last}");
            if status != expected {
                return Err(format!("mail {mail} on day {day}: {status} instead of {expected}").into());
            }
        }
        if last == *ratelimit { Ok(()) } else { Err(format!("day {day}: {last} instead of {ratelimit}").into()) }
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
