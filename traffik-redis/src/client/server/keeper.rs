//! Keeps a client connected, for as long as there is somebody to keep it for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fred::{clients::Client, error::Error as FredError, interfaces::ClientLike};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use crate::client::{line::Line, pause::Pause, reasons, task::Task};

/// Drives a connection, and ends with it.
pub(super) type Connection = Task<Result<(), FredError>>;

/// One attempt. Nothing comes of one that is not waited for.
pub(super) async fn connect(client: &Client) -> Result<Connection, FredError> {
    let mut attempt = Attempt { client, is_over: false };
    let connection = client.init().await.map(Task);
    attempt.is_over = true;
    connection
}

/// The client goes on with an attempt by itself, and keeps the connection that comes of it.
struct Attempt<'a> {
    client: &'a Client,
    is_over: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over && Handle::try_current().is_ok() {
            // Another one takes its place, whereupon it closes what it has; and of the other one nothing comes either.
            drop(Task(self.client.connect()));
        }
    }
}

/// Connects, waits until the connection is no use any more, and begins again, without end. What is under way on a connection
/// that is given up ends at once, in doubt.
pub(super) async fn keep(client: Client, line: Arc<Line>, mut connection: Option<Connection>) {
    let mut pause = Pause::shortest();
    loop {
        let attempt = match connection.take() {
            Some(connection) => Ok(connection),
            None => within_reason(&client).await,
        };
        match attempt {
            Ok(connection) => {
                line.standing().up();
                let connected = Instant::now();
                let why = last(connection, &line).await;
                line.standing().down(why);
                pause.after(connected.elapsed());
            }
            Err(why) => line.standing().down(why),
        }
        sleep(pause.next()).await;
    }
}

/// The client's own bounds are for each of the steps, of which there are many where there are sentinels.
async fn within_reason(client: &Client) -> Result<Connection, String> {
    const WITHIN: Duration = Duration::from_secs(5);
    match timeout(WITHIN, connect(client)).await {
        Ok(attempt) => attempt.map_err(|error| reasons::in_plain_words(error).to_string()),
        Err(_) => Err(format!("none within {WITHIN:?}")),
    }
}

/// Why the connection is no use any more, once it is none.
async fn last(mut connection: Connection, line: &Line) -> String {
    tokio::select! {
        ended = connection.ended() => match ended {
            Ok(Err(error)) => reasons::in_plain_words(error).to_string(),
            _ => "the connection was closed".to_owned(),
        },
        why = line.fails() => why.to_owned(),
    }
}
