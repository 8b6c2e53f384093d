//! The table of layers.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use super::modules::Arrow;

pub(crate) const FILE: &str = "xtask/layers.txt";

/// What a crate and its modules may use.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) name: String,
    /// The crates of the workspace that it may depend on.
    pub(crate) crates: Vec<String>,
    /// The layer of each module, counted from the lowest.
    modules: HashMap<String, usize>,
}

impl Layers {
    /// Reads the table: a line `crate: crates`, and below it a line for each layer.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>> {
        let mut table: Vec<Self> = Vec::new();
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
        for (line, number) in lines {
            if let Some((name, crates)) = line.split_once(':') {
                let crates = crates.split_whitespace().map(str::to_owned).collect();
                table.push(Self { name: name.to_owned(), crates, modules: HashMap::new() });
                continue;
            }
            let layers =
                table.last_mut().with_context(|| format!("{FILE}:{number}: a layer before the first crate"))?;
            for module in line.split_whitespace() {
                let before = layers.modules.insert(module.to_owned(), number);
                ensure!(before.is_none(), "{FILE}:{number}: `{module}` is in two layers of {}", layers.name);
            }
        }
        Ok(table)
    }

    /// Returns the errors in the top modules of the crate and in the arrows between them.
    pub(crate) fn errors(&self, modules: &[String], arrows: &[Arrow]) -> Vec<String> {
        let name = &self.name;
        let unknown = modules.iter().filter(|module| !self.modules.contains_key(*module));
        let unknown = unknown.map(|module| format!("`{module}` of {name} is in no layer: add it to {FILE}"));
        let gone = self.modules.keys().filter(|module| !modules.contains(module));
        let gone = gone.map(|module| format!("{name} has no module `{module}`: remove it from {FILE}"));
        let wrong = arrows.iter().filter_map(|arrow| {
            let (from, to) = (arrow.from.first()?, arrow.to.first()?);
            let (layer, used) = (self.modules.get(from)?, self.modules.get(to)?);
            let error = || format!("{}:{}: `{from}` may not use `{to}`", arrow.file.display(), arrow.line);
            (from != to && used >= layer).then(error)
        });
        let mut errors: Vec<_> = unknown.chain(gone).chain(wrong).collect();
        errors.sort();
        errors.dedup();
        errors
    }
}
