//! How many connections a client gets: ten at once, and twenty in a minute.

use std::error::Error;

use tokio::{task::yield_now, time::timeout};

use super::{PATIENCE, check, visitor::Visitor};

/// Ten visitors, who are there once all of it was shown.
pub(super) async fn show(url: &str) -> Result<Vec<Visitor>, Box<dyn Error>> {
    let mut visitors = Vec::new();
    for _ in 0..10 {
        visitors.push(Visitor::connect(url).await??);
    }
    println!("connections 1 to 10: 101 Switching Protocols");
    refused(url, "one too many", "ws:open", "30").await?;

    visitors.pop().ok_or("nobody is there")?.leave().await?;
    visitors.push(once_there_is_a_place(url).await?);
    println!("instead of one that was closed: 101 Switching Protocols");
    refused(url, "one too many", "ws:open", "30").await?;

    visitors.pop().ok_or("nobody is there")?.vanish()?;
    visitors.push(once_there_is_a_place(url).await?);
    println!("instead of one that was reset: 101 Switching Protocols");
    refused(url, "one too many", "ws:open", "30").await?;

    println!("\nThose that were refused took nothing of the 20 in a minute:");
    for _ in 13..=20 {
        visitors.pop().ok_or("nobody is there")?.leave().await?;
        visitors.push(once_there_is_a_place(url).await?);
    }
    println!("connections 13 to 20, each instead of one that was closed: 101 Switching Protocols");
    visitors.pop().ok_or("nobody is there")?.leave().await?;
    refused(url, "connection 21, for which there is a place", "ws:connect", "60").await?;
    Ok(visitors)
}

/// The handshake is over the limit `uid`, and over no other once the server has heard of all that ended.
async fn refused(url: &str, which: &str, uid: &str, retry_after: &str) -> Result<(), Box<dyn Error>> {
    let refusal = timeout(PATIENCE, async {
        loop {
            match Visitor::connect(url).await? {
                Ok(_) => return Err(format!("{which}: was not refused").into()),
                Err(refusal) if refusal.is_over(uid) => return Ok::<_, Box<dyn Error>>(refusal),
                Err(_) => yield_now().await,
            }
        }
    });
    let refusal = refusal.await??;
    println!("{which}: {refusal}");
    check(which, &(refusal.status, refusal.retry_after.as_str()), &(429, retry_after))
}

/// The server may hear of an end a moment later than its client.
async fn once_there_is_a_place(url: &str) -> Result<Visitor, Box<dyn Error>> {
    let connected = timeout(PATIENCE, async {
        loop {
            match Visitor::connect(url).await? {
                Ok(visitor) => return Ok(visitor),
                Err(refusal) if refusal.is_over("ws:open") => yield_now().await,
                Err(refusal) => return Err(refusal.into()),
            }
        }
    });
    connected.await?
}
