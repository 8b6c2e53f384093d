//! Reads cargo's metadata of this workspace.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::cargo;

/// The part of `cargo metadata` that the steps use.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// A crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) rust_version: Option<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// `null` without a table `package.metadata`.
    metadata: Option<Metadata>,
    /// The registries to which it may be published: absent means any, empty means none.
    publish: Option<Vec<String>>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

/// The part of `package.metadata` that the steps use.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    msrv: Msrv,
}

#[derive(Debug, Default, Deserialize)]
struct Msrv {
    newer: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; absent for dependencies of the library.
    kind: Option<String>,
    /// The folder, if it is a crate of the workspace.
    path: Option<PathBuf>,
}

impl Package {
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// Returns `true` if users get the crate. The others serve this repository only.
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    /// Returns the features that build on the `rust-version` of the crate.
    pub(crate) fn features_of_its_oldest_rust(&self) -> impl Iterator<Item = &str> {
        let newer = self.metadata.as_ref().map_or(&[][..], |metadata| &metadata.msrv.newer);
        let names = self.features.keys().map(String::as_str);
        names.filter(|name| newer.iter().all(|newer| newer != name))
    }

    /// Returns the crates of the workspace that the library depends on.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &String> {
        let own = self.dependencies.iter().filter(|dependency| dependency.kind.is_none() && dependency.path.is_some());
        own.map(|dependency| &dependency.name)
    }
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let json = cargo("metadata --no-deps --format-version 1").read()?;
        serde_json::from_str(&json).context("the output of `cargo metadata` has another form than expected")
    }

    /// Returns the published crates.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_published())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn features_that_need_a_newer_rust_are_left_out() {
        let package = |metadata| {
            let package = json!({
                "name": "one", "rust_version": null, "features": { "a": [], "b": [], "default": ["a"] }, "publish": null,
                "manifest_path": "one/Cargo.toml", "dependencies": [], "metadata": metadata,
            });
            serde_json::from_value::<Package>(package).unwrap()
        };
        let features =
            |metadata| package(metadata).features_of_its_oldest_rust().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(features(json!(null)), ["a", "b", "default"]);
        assert_eq!(features(json!({ "docs": {} })), ["a", "b", "default"]);
        assert_eq!(features(json!({ "msrv": { "newer": ["b"] } })), ["a", "default"]);
    }
}
