use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::LimitsFileStatus;

type Hook = Box<dyn Fn(&LimitsFileStatus) + Send + Sync>;

/// The functions that learn of each load of the limits file, in the order in which they were added.
#[derive(Default)]
pub(in crate::engine) struct FileHooks(Vec<Hook>);

impl FileHooks {
    pub(in crate::engine) fn add(&mut self, hook: impl Fn(&LimitsFileStatus) + Send + Sync + 'static) {
        self.0.push(Box::new(hook));
    }

    /// Calls each function. One that panics keeps neither the others from being called nor the file from being in force.
    pub(in crate::engine) fn call(&self, status: &LimitsFileStatus) {
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
