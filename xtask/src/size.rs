//! Counts the lines of code.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;

use crate::{source::SourceFile, workspace::Workspace};

/// Prints the lines of code of each crate and each of its top modules as a table in Markdown.
pub(crate) fn report() -> Result<()> {
    println!("| crate | module | lines |\n|---|---|--:|");
    for package in Workspace::read()?.packages {
        let modules = lines(package.folder())?;
        println!("| **{}** | | **{}** |", package.name, modules.values().sum::<usize>());
        for (module, lines) in modules {
            println!("| | `{module}` | {lines} |");
        }
    }
    Ok(())
}

/// Returns the lines of code of a crate by top module, or by the folder of its targets, without comments, blank lines and
/// tests inside files.
fn lines(folder: &Path) -> Result<BTreeMap<String, usize>> {
    let mut lines = BTreeMap::new();
    for file in SourceFile::read_all(folder)? {
        let mut names = file.module.iter().filter(|name| *name != "src");
        let module = names.next().map_or("lib", String::as_str).to_owned();
        *lines.entry(module).or_default() += file.code_lines();
    }
    Ok(lines)
}
