use std::sync::{Arc, Weak};

use tokio::{sync::watch, time::sleep};

use super::{Client, Settings, backoff::Backoff, check, handle::Inner, status::Phase};
use crate::{Error, keys::Keys};

impl Client {
    /// Connects, and checks that the server can keep limits.
    pub(crate) async fn connect(settings: &Settings, keys: &Keys) -> Result<Self, Error> {
        let client = Self::new(settings)?;
        client.supervisor().connect().await?;
        client.start();
        check::check(&client, keys).await?;
        Ok(client)
    }

    /// Connects in the background. Logs what would have been an error.
    pub(crate) fn connect_later(settings: &Settings, keys: Keys) -> Result<Self, Error> {
        let client = Self::new(settings)?;
        client.start();
        let phases = client.supervisor().status().phases();
        tokio::spawn(check_later(Arc::downgrade(&client.0), phases, keys));
        Ok(client)
    }
}

/// Checks the server once it is reachable, and logs once what is wrong with it.
async fn check_later(client: Weak<Inner>, mut phases: watch::Receiver<Phase>, keys: Keys) {
    let mut backoff = Backoff::new();
    // Ends when the client is dropped.
    while phases.wait_for(|phase| matches!(phase, Phase::Up)).await.is_ok() {
        let Some(client) = client.upgrade().map(Client) else { return };
        match check::check(&client, &keys).await {
            // The connection was lost again.
            Err(Error::Connect(_)) => sleep(backoff.next()).await,
            Err(error) => return tracing::error!("every decision is an error until this is fixed: {error}"),
            Ok(()) => return,
        }
    }
}
