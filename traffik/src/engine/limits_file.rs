//! The limits file of an app: it is loaded at the start, on request, and when it changes.

use std::{
    fmt,
    fs::Metadata,
    hash::{BuildHasher, RandomState},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::AtomicBool,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

use crate::{
    limit::{
        LimitsFileError,
        file::{LimitsFile, MadeLimit, WithoutEffect},
    },
    observe::LimitsFileInstruments,
};

/// The state of the limits file of an app. [`Traffik::limits_file_status`](crate::Traffik::limits_file_status) returns it.
///
/// It serializes as an object with the fields `path`, `loads`, `failures`, `error` (a string, or null) and `without_effect` (an
/// array of objects with `key` and `source`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LimitsFileStatus {
    path: Box<str>,
    loads: u64,
    failures: u64,
    #[serde(serialize_with = "as_text")]
    error: Option<LimitsFileError>,
    pub(super) without_effect: Vec<WithoutEffect>,
}

impl LimitsFileStatus {
    pub(super) fn new(path: &Path) -> Self {
        let path = path.display().to_string().into();
        Self { path, loads: 0, failures: 0, error: None, without_effect: Vec::new() }
    }

    pub(super) fn loaded(&mut self, without_effect: Vec<WithoutEffect>) {
        self.loads = self.loads.saturating_add(1);
        self.error = None;
        self.without_effect = without_effect;
    }

    pub(super) fn failed(&mut self, error: LimitsFileError) {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns how often the file was put in force: 1 after the start.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.loads
    }

    /// Returns how often the file was found invalid or missing since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Returns the error of the present file. `None` if it is in force.
    #[must_use]
    pub fn error(&self) -> Option<&LimitsFileError> {
        self.error.as_ref()
    }

    /// Returns the values of the last valid file that were not in force when it was loaded, because other sources are stronger.
    #[must_use]
    pub fn without_effect(&self) -> &[WithoutEffect] {
        &self.without_effect
    }
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn as_text<S: serde::Serializer>(error: &Option<LimitsFileError>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&error.as_ref().map(ToString::to_string), serializer)
}

/// The limits file of an app.
pub(super) struct FileState {
    pub(super) path: Arc<Path>,
    pub(super) hasher: RandomState,
    /// Held while the file is loaded.
    pub(super) last: Mutex<LastRead>,
    pub(super) status: Mutex<LimitsFileStatus>,
    pub(super) watch: OnceLock<Watch>,
    pub(super) hooks: FileHooks,
    pub(super) instruments: LimitsFileInstruments,
    /// The limits that the file makes.
    pub(super) made: ArcSwap<Vec<MadeLimit>>,
    /// Whether the app has made a layer that applies them.
    pub(super) has_layer: AtomicBool,
    /// Whether the app has made its own layer, which comes last.
    pub(super) is_served: AtomicBool,
}

/// What was read last of a limits file.
pub(super) struct LastRead {
    pub(super) hash: u64,
    /// Whether the app cannot use the file as its limits are, which may change.
    pub(super) is_refused: bool,
}

impl FileState {
    /// Reads the file for the first time.
    pub(super) fn read(path: &Arc<Path>, hooks: FileHooks) -> Result<(Self, LimitsFile), LimitsFileError> {
        let (text, hasher) = (LimitsFile::read(path), RandomState::new());
        let state = Self {
            path: Arc::clone(path),
            last: Mutex::new(LastRead { hash: hasher.hash_one(&text), is_refused: false }),
            hasher,
            status: Mutex::new(LimitsFileStatus::new(path)),
            watch: OnceLock::new(),
            hooks,
            instruments: LimitsFileInstruments::default(),
            made: ArcSwap::default(),
            has_layer: AtomicBool::new(false),
            is_served: AtomicBool::new(false),
        };
        Ok((state, LimitsFile::parse(path, text?)?))
    }
}

type Hook = Box<dyn Fn(&LimitsFileStatus) + Send + Sync>;

/// The functions that learn of each load of the limits file, in the order in which they were added.
#[derive(Default)]
pub(super) struct FileHooks(Vec<Hook>);

impl FileHooks {
    pub(super) fn add(&mut self, hook: impl Fn(&LimitsFileStatus) + Send + Sync + 'static) {
        self.0.push(Box::new(hook));
    }

    /// Calls each function. One that panics keeps neither the others from being called nor the file from being in force.
    pub(super) fn call(&self, status: &LimitsFileStatus) {
        for hook in &self.0 {
            if catch_unwind(AssertUnwindSafe(|| hook(status))).is_err() {
                tracing::error!("a function panicked that `on_limits_file` received: correct it");
            }
        }
    }
}

impl fmt::Debug for FileHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileHooks").field("count", &self.0.len()).finish()
    }
}

/// How long the folder must be quiet before the file is read. A file may be written in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// How long a folder that is never quiet delays a reading.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// How often the file is read where the system reports no change, as on some network file systems.
const PAUSE: Duration = Duration::from_secs(10);

/// Ends the thread when it is dropped.
pub(super) struct Watch(SyncSender<Message>);

impl Watch {
    /// Starts the thread, which calls `load` when something changes near the file, until it returns `false`. Returns also why the
    /// system does not report changes, if it does not. Then the file is read every ten seconds.
    pub(super) fn start(
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
pub(super) fn current_dispatch() -> Option<Dispatch> {
    let dispatch = dispatcher::get_default(Dispatch::clone);
    // One may be set later for all threads.
    Some(dispatch).filter(|dispatch| !dispatch.is::<NoSubscriber>())
}

pub(super) fn with_dispatch<R>(dispatch: Option<&Dispatch>, run: impl FnOnce() -> R) -> R {
    match dispatch {
        Some(dispatch) => dispatcher::with_default(dispatch, run),
        None => run(),
    }
}

enum Message {
    Changed,
    Stop,
}

/// The folders that are watched for a file: its own, and that of the file that a symbolic link leads to.
struct Watched {
    path: Arc<Path>,
    /// `None` if the system cannot report changes.
    watcher: Option<RecommendedWatcher>,
    folders: Vec<Folder>,
}

/// A folder that is watched. Another one may take its path.
#[derive(PartialEq, Eq)]
struct Folder {
    path: PathBuf,
    /// The device and the inode, where the system has them.
    number: Option<(u64, u64)>,
}

impl Folder {
    /// Returns the folder of a file, if it exists.
    fn of(path: &Path) -> Option<Self> {
        let folder = path.parent()?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let path = folder.canonicalize().ok()?;
        let number = number_of(&path.metadata().ok()?);
        Some(Self { path, number })
    }
}

#[cfg(unix)]
fn number_of(folder: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    Some((folder.dev(), folder.ino()))
}

#[cfg(not(unix))]
fn number_of(_: &Metadata) -> Option<(u64, u64)> {
    None
}

impl Watched {
    /// Watches the folders of a file. Returns also why the system does not report changes, if it does not.
    fn new(path: &Arc<Path>, sender: SyncSender<Message>) -> (Self, Option<notify::Error>) {
        let changed = move |event: notify::Result<Event>| {
            // Reading the file is an event too.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // If the channel is full, the file is going to be read.
                let _ = sender.try_send(Message::Changed);
            }
        };
        let mut watched = Self { path: Arc::clone(path), watcher: None, folders: Vec::new() };
        let problem = match notify::recommended_watcher(changed) {
            Ok(watcher) => {
                watched.watcher = Some(watcher);
                watched.update()
            }
            Err(error) => Some(error),
        };
        (watched, problem)
    }

    /// Watches the folders where the file is now. Returns an error if one cannot be watched.
    fn update(&mut self) -> Option<notify::Error> {
        let watcher = self.watcher.as_mut()?;
        let target = self.path.canonicalize().ok();
        let folders = [Some(&*self.path), target.as_deref()].into_iter().flatten().filter_map(Folder::of);
        let mut wanted: Vec<_> = folders.collect();
        wanted.dedup();
        self.folders.retain(|folder| {
            let stays = wanted.contains(folder);
            if !stays {
                // It is an error if the folder is gone.
                let _ = watcher.unwatch(&folder.path);
            }
            stays
        });
        let mut problem = None;
        for folder in wanted {
            if !self.folders.contains(&folder) {
                match watcher.watch(&folder.path, RecursiveMode::NonRecursive) {
                    Ok(()) => self.folders.push(folder),
                    Err(error) => problem = Some(error),
                }
            }
        }
        problem
    }
}
