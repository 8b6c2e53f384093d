//! A thread that waits for changes of a file.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

use super::watched::{Message, Watched};

/// How long the folder must be quiet before the file is read. A file may be written in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// How long a folder that is never quiet delays a reading.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// How often the file is read where the system reports no change, as on some network file systems.
const PAUSE: Duration = Duration::from_secs(10);

/// Ends the thread when it is dropped.
pub(in crate::engine) struct Watch(SyncSender<Message>);

impl Watch {
    /// Starts the thread, which calls `load` when something changes near the file, until it returns `false`. Returns also why the
    /// system does not report changes, if it does not. Then the file is read every ten seconds.
    pub(in crate::engine) fn start(
        path: &Arc<Path>,
        load: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<(Self, Option<notify::Error>)> {
        // One message is enough: the file is read after it.
        let (sender, receiver) = sync_channel(1);
        let (mut watched, problem) = Watched::new(path, sender.clone());
        let dispatch = current_dispatch();
        let run = move || {
            with_dispatch(dispatch.as_ref(), || {
                // It may have changed since it was read.
                while load() && wait(&receiver) {
                    watched.update();
                }
            });
        };
        thread::Builder::new().name("traffik-limits".to_owned()).spawn(run)?;
        Ok((Self(sender), problem))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // If another message waits, the thread is about to find out that the app is gone.
        let _ = self.0.try_send(Message::Stop);
    }
}

/// Waits until the file is to be read. Returns `false` if it never is again.
fn wait(receiver: &Receiver<Message>) -> bool {
    let mut end = None;
    loop {
        let time = end.map_or(PAUSE, |end: Instant| QUIET.min(end.saturating_duration_since(Instant::now())));
        match receiver.recv_timeout(time) {
            Ok(Message::Changed) => end = end.or_else(|| Instant::now().checked_add(LONGEST_DELAY)),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => return true,
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            return true;
        }
    }
}

/// Returns the subscriber of this thread, which another thread may not have.
pub(in crate::engine) fn current_dispatch() -> Option<Dispatch> {
    let dispatch = dispatcher::get_default(Dispatch::clone);
    // One may be set later for all threads.
    Some(dispatch).filter(|dispatch| !dispatch.is::<NoSubscriber>())
}

pub(in crate::engine) fn with_dispatch<R>(dispatch: Option<&Dispatch>, run: impl FnOnce() -> R) -> R {
    match dispatch {
        Some(dispatch) => dispatcher::with_default(dispatch, run),
        None => run(),
    }
}
