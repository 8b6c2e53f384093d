//! Connects to the program over TCP, prints the answers, and returns an error if one differs.
//!
//! The demo moves the clock of the limits by hand.

mod connections;
mod messages;
mod visitor;

use std::{error::Error, net::Ipv4Addr, time::Duration};

use tokio::{net::TcpListener, sync::oneshot};
use traffik::{MemoryBackend, Traffik, test::ManualClock};

/// The deadline for each answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves the program, sends messages, prints the answers, and shuts down gracefully.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let traffik = Traffik::builder(MemoryBackend::with_clock("myapp", clock.clone())).build()?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("ws://{}/ws/chat", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };

    let talking = async {
        let mut visitors = connections::show(&url).await?;
        messages::show(&mut visitors, &clock).await?;
        for visitor in visitors {
            visitor.leave().await?;
        }
        drop(stop);
        Ok(())
    };
    tokio::try_join!(super::serve(listener, traffik, shutdown), talking)?;
    Ok(())
}

fn check<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
