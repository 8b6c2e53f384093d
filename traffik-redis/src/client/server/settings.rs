use std::time::Duration;

use fred::{
    clients::Client,
    error::Error as FredError,
    types::{Builder, config::Config},
};

use crate::client::line::Patience;

/// How long the system may take to connect.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(1);

/// How long what was written may stay unacknowledged before the connection counts as dead.
#[cfg(target_os = "linux")]
const DEAD_AFTER: Duration = Duration::from_millis(300);

/// A client that tries each command once, since one that was lost may have run, and does not connect again by itself: its
/// keeper does, which bounds how long that takes, and notices when it is no use.
pub(super) fn client(config: Config, patience: Patience) -> Result<Client, FredError> {
    Builder::from_config(config)
        .with_config(|config| config.fail_fast = true)
        .with_performance_config(|performance| performance.default_command_timeout = patience.answer)
        .with_connection_config(|connection| {
            connection.connection_timeout = ATTEMPT_WITHIN.max(patience.greeting);
            connection.internal_command_timeout = patience.greeting;
            connection.max_command_attempts = 1;
            connection.tcp.nodelay = Some(true);
            #[cfg(target_os = "linux")]
            {
                connection.tcp.user_timeout = Some(DEAD_AFTER.max(patience.greeting));
            }
        })
        .build()
}
