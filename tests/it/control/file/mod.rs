//! Limits from a file.

mod clients;
mod errors;
mod hooks;
mod making;
mod races;
mod reloading;
mod values;
mod watching;

use std::{fs, io, path::PathBuf};

use traffik::{ConfigError, Throttles, Traffik, control::LimitsFileStatus, test::ManualClock};

use super::Result;
use crate::http::app::builder;

/// A folder with a limits file. It is removed when the value is dropped.
struct Folder(PathBuf);

impl Folder {
    /// `name` is another one for each test.
    fn new(name: &str, text: &str) -> io::Result<Self> {
        let folder = Self(std::env::temp_dir().join(format!("traffik-limits-{name}-{}", std::process::id())));
        fs::create_dir_all(&folder.0)?;
        folder.write(text)?;
        Ok(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("limits.toml")
    }

    /// Replaces the file in one step.
    fn write(&self, text: &str) -> io::Result<()> {
        let new = self.0.join("new");
        fs::write(&new, text)?;
        fs::rename(new, self.file())
    }

    /// Returns a handle with the file that knows `T`, on a clock that the test moves.
    fn app<T: Throttles>(&self) -> std::result::Result<(Traffik, ManualClock), ConfigError> {
        let (builder, clock) = builder();
        Ok((builder.register::<T>().limits_file(self.file()).build()?, clock))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn status(traffik: &Traffik) -> Result<LimitsFileStatus> {
    Ok(traffik.limits_file_status().ok_or("no file")?)
}
