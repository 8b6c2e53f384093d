//! Limits on connections: ten open ones, and twenty new ones in a minute.

use std::error::Error;

use tokio::time::timeout;

use super::{PATIENCE, check, visitor::Visitor};

/// Shows the limits, and returns connections that are open at the end.
pub(super) async fn show(url: &str) -> Result<Vec<Visitor>, Box<dyn Error>> {
    let mut visitors = Vec::new();
    for _ in 0..10 {
        visitors.push(Visitor::connect(url).await??);
    }
    println!("connections 1 to 10: 101 Switching Protocols");
    refused(url, "one too many", "ws:open", "30").await?;

    visitors.pop().ok_or("no connection is open")?.leave().await?;
    visitors.push(connect_when_admitted(url).await?);
    println!("after one was closed: 101 Switching Protocols");
    refused(url, "one too many", "ws:open", "30").await?;

    visitors.pop().ok_or("no connection is open")?.vanish()?;
    visitors.push(connect_when_admitted(url).await?);
    println!("after one was reset: 101 Switching Protocols");
    refused(url, "one too many", "ws:open", "30").await?;

    println!("\nRefused handshakes were not charged to the 20 in a minute:");
    for _ in 13..=20 {
        visitors.pop().ok_or("no connection is open")?.leave().await?;
        visitors.push(connect_when_admitted(url).await?);
    }
    println!("connections 13 to 20, each after one was closed: 101 Switching Protocols");
    visitors.pop().ok_or("no connection is open")?.leave().await?;
    refused(url, "connection 21, with nine open", "ws:connect", "60").await?;
    Ok(visitors)
}

/// Checks that only the limit `uid` refuses a handshake, once the server has noticed all connections that ended.
async fn refused(url: &str, which: &str, uid: &str, retry_after: &str) -> Result<(), Box<dyn Error>> {
    let refusal = timeout(PATIENCE, async {
        loop {
            match Visitor::connect(url).await? {
                Ok(_) => return Err(format!("{which}: was not refused").into()),
                Err(refusal) if refusal.is_over(uid) => return Ok::<_, Box<dyn Error>>(refusal),
                Err(_) => {}
            }
        }
    });
    let refusal = refusal.await??;
    println!("{which}: {refusal}");
    check(which, &(refusal.status, refusal.retry_after.as_str()), &(429, retry_after))
}

/// Connects when the limit on open connections admits it. The server may notice a closed connection after its client.
async fn connect_when_admitted(url: &str) -> Result<Visitor, Box<dyn Error>> {
    let connected = timeout(PATIENCE, async {
        loop {
            match Visitor::connect(url).await? {
                Ok(visitor) => return Ok(visitor),
                Err(refusal) if refusal.is_over("ws:open") => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
    });
    connected.await?
}
