//! What cargo knows of this workspace.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::cargo;

/// The part of `cargo metadata` that the steps use.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// A crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) rust_version: Option<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// The registries that may have it: absent means any, empty means none.
    publish: Option<Vec<String>>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let json = cargo("metadata --no-deps --format-version 1").read()?;
        serde_json::from_str(&json).context("the output of `cargo metadata` has another form than expected")
    }

    /// The crates that users get. The others serve this repository only.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty()))
    }
}
