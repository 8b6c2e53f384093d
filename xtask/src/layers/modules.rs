//! Finds the modules of a crate, and which modules each of them uses.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::mentions::Mention;
use crate::{command::in_workspace, source::SourceFile};

/// The maximum number of renames of a name. More are a circle of `use` lines.
const MOST_RENAMES: usize = 16;

/// The use of a module by another one.
#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
}

/// Reads a crate's `src` folder and returns the arrows between its modules, and the names of those at its top.
pub(crate) fn read(src: &Path) -> Result<(Vec<Arrow>, Vec<String>)> {
    let files = SourceFile::read_all(src)?;
    let mentions: Vec<_> = files.iter().map(|file| (file, Mention::all(file))).collect();
    let all = || mentions.iter().flat_map(|(_, mentions)| mentions);
    // `pub(crate) use name` of a macro renames nothing.
    let renames = all().filter(|mention| mention.is_absolute || mention.path.len() > 1);
    let names = renames.filter_map(|mention| Some(((mention.module.as_slice(), mention.name.as_deref()?), mention)));
    let modules = Modules { all: files.iter().map(|file| file.module.as_slice()).collect(), names: names.collect() };

    let mut arrows = Vec::new();
    for (file, mentions) in &mentions {
        for mention in mentions {
            if let Some(to) = modules.used_by(mention) {
                let file = file.path.strip_prefix(in_workspace("")).unwrap_or(&file.path).to_owned();
                arrows.push(Arrow { from: mention.module.clone(), to, file, line: mention.line });
            }
        }
    }
    let tops: HashSet<_> = files.iter().filter_map(|file| file.module.first().cloned()).collect();
    Ok((arrows, tops.into_iter().collect()))
}

struct Modules<'a> {
    all: HashSet<&'a [String]>,
    /// The targets of `use` lines, by module and name.
    names: HashMap<(&'a [String], &'a str), &'a Mention>,
}

impl Modules<'_> {
    /// Returns the module that defines the mentioned item, behind re-exports. Returns `None` if it is in another crate, or local.
    fn used_by(&self, mention: &Mention) -> Option<Vec<String>> {
        let mut path = self.absolute(mention, MOST_RENAMES)?;
        for _ in 0..MOST_RENAMES {
            let is_module = |depth: &usize| path.get(..*depth).is_some_and(|path| self.all.contains(path));
            let (module, rest) = path.split_at((1..=path.len()).take_while(is_module).count());
            let renamed = rest.split_first().and_then(|(name, rest)| {
                let exported = self.names.get(&(module, name.as_str()))?;
                Some([self.absolute(exported, MOST_RENAMES)?.as_slice(), rest].concat())
            });
            match renamed {
                Some(renamed) => path = renamed,
                None => return Some(module.to_vec()),
            }
        }
        None
    }

    /// Returns the path from the crate's root.
    fn absolute(&self, mention: &Mention, most_renames: usize) -> Option<Vec<String>> {
        let Mention { module, path, .. } = mention;
        if mention.is_absolute {
            return Some(path.clone());
        }
        let (first, rest) = path.split_first()?;
        let child = [module.as_slice(), std::slice::from_ref(first)].concat();
        if self.all.contains(child.as_slice()) {
            return Some([module.as_slice(), path].concat());
        }
        let imported = self.names.get(&(module.as_slice(), first.as_str()))?;
        Some([self.absolute(imported, most_renames.checked_sub(1)?)?.as_slice(), rest].concat())
    }
}
