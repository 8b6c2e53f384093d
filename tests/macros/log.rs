//! Captures what an app logs while it is built.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, Once, PoisonError},
};

use traffik::{ConfigError, Traffik, TraffikBuilder, warning::Warning};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Builds an app and returns the lines of `warning` that it logs.
pub(crate) fn build(app: TraffikBuilder, warning: Warning) -> (Result<Traffik, ConfigError>, Vec<String>) {
    // Another test may build an app without a subscriber, and `tracing` would then remember that nothing listens.
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| tracing_subscriber::fmt().with_writer(io::sink).init());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let built = tracing::subscriber::with_default(subscriber, || app.build());
    let text = String::from_utf8_lossy(&log.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    let name = format!("warning=\"{warning}\"");
    (built, text.lines().filter(|line| line.contains(&name)).map(str::to_owned).collect())
}
