use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc::SyncSender},
};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

pub(super) enum Message {
    Changed,
    Stop,
}

/// The folders that are watched for a file: its own, and that of the file that a symbolic link leads to.
pub(super) struct Watched {
    path: Arc<Path>,
    /// `None` if the system cannot report changes.
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
}

impl Watched {
    /// Watches the folders of a file. Returns also why the system does not report changes, if it does not.
    pub(super) fn new(path: &Arc<Path>, sender: SyncSender<Message>) -> (Self, Option<notify::Error>) {
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
    pub(super) fn update(&mut self) -> Option<notify::Error> {
        let watcher = self.watcher.as_mut()?;
        let target = self.path.canonicalize().ok();
        let folders = [Some(&*self.path), target.as_deref()].into_iter().flatten().filter_map(folder_of);
        let mut wanted: Vec<_> = folders.collect();
        wanted.dedup();
        self.folders.retain(|folder| {
            let stays = folder.exists() && wanted.contains(folder);
            if !stays {
                // It is an error if the folder is gone.
                let _ = watcher.unwatch(folder);
            }
            stays
        });
        let mut problem = None;
        for folder in wanted.into_iter().filter(|folder| folder.exists()) {
            if !self.folders.contains(&folder) {
                match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    Ok(()) => self.folders.push(folder),
                    Err(error) => problem = Some(error),
                }
            }
        }
        problem
    }
}

fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize().ok()
}
