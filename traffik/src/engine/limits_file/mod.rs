//! The limits file of an app: it is loaded at the start, on request, and when it changes.

mod hooks;
mod status;
mod watch;
mod watched;

use std::{
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
};

use arc_swap::ArcSwap;

pub use self::status::LimitsFileStatus;
pub(super) use self::{
    hooks::FileHooks,
    watch::{Watch, current_dispatch, with_dispatch},
};
use crate::{
    limit::{
        LimitsFileError, Place,
        file::{LimitsFile, MadeLimit},
    },
    observe::LimitsFileInstruments,
};

/// The limits file of an app.
pub(super) struct FileState {
    pub(super) path: Arc<Path>,
    pub(super) hasher: RandomState,
    /// The hash of what was read last. Held while the file is loaded.
    pub(super) last: Mutex<Option<u64>>,
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

impl FileState {
    fn new(path: &Arc<Path>, hooks: FileHooks) -> Self {
        Self {
            path: Arc::clone(path),
            hasher: RandomState::new(),
            last: Mutex::default(),
            status: Mutex::new(LimitsFileStatus::new(path)),
            watch: OnceLock::new(),
            hooks,
            instruments: LimitsFileInstruments::default(),
            made: ArcSwap::default(),
            has_layer: AtomicBool::new(false),
            is_served: AtomicBool::new(false),
        }
    }
}

/// The limits file that an app is built with.
pub(super) struct StartFile {
    pub(super) state: FileState,
    pub(super) file: LimitsFile,
    pub(super) text: u64,
}

impl StartFile {
    pub(super) fn read(path: &Arc<Path>, hooks: FileHooks) -> Result<Self, LimitsFileError> {
        let state = FileState::new(path, hooks);
        let text = LimitsFile::read(path);
        let hash = state.hasher.hash_one(&text);
        Ok(Self { state, file: LimitsFile::parse(path, text?)?, text: hash })
    }
}

impl FileState {
    pub(super) fn file_error(&self, error: impl std::fmt::Display) -> LimitsFileError {
        Place::file(&self.path).error(error)
    }
}
