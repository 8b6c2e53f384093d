//! Reads the Rust files of a folder, without the tests inside them.

use std::{
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use syn::{Attribute, Item, spanned::Spanned};

/// A Rust file.
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    /// The module of the file, from its path in the folder. Empty for `lib.rs` and `main.rs`.
    pub(crate) module: Vec<String>,
    /// The items that are compiled outside of tests.
    pub(crate) items: Vec<Item>,
    text: String,
    /// The lines of the items that are compiled in tests only.
    tests: Vec<RangeInclusive<usize>>,
    /// The modules in separate files that are compiled in tests only.
    test_modules: Vec<Vec<String>>,
}

impl SourceFile {
    /// Reads every Rust file below `folder`, except those of other crates and those of tests.
    pub(crate) fn read_all(folder: &Path) -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        collect(folder, &mut paths).with_context(|| format!("cannot read {}", folder.display()))?;
        paths.sort();
        let files: Vec<_> = paths.iter().map(|path| Self::read(folder, path)).collect::<Result<_>>()?;
        let tests: Vec<_> = files.iter().flat_map(|file| file.test_modules.clone()).collect();
        let is_test = |file: &Self| tests.iter().any(|test| file.module.starts_with(test));
        Ok(files.into_iter().filter(|file| !is_test(file)).collect())
    }

    fn read(folder: &Path, path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let module = module_of(path.strip_prefix(folder)?);
        Self::parse(path.to_owned(), module, text).with_context(|| format!("cannot parse {}", path.display()))
    }

    fn parse(path: PathBuf, module: Vec<String>, text: String) -> syn::Result<Self> {
        let syntax = syn::parse_file(&text)?;
        let (tests, items): (Vec<_>, _) = syntax.items.into_iter().partition(|item| is_test(attributes(item)));
        let name = |item: &Item| match item {
            Item::Mod(item) if item.content.is_none() => Some([module.as_slice(), &[item.ident.to_string()]].concat()),
            _ => None,
        };
        let test_modules = tests.iter().filter_map(name).collect();
        let tests = tests.iter().map(|item| item.span().start().line..=item.span().end().line).collect();
        Ok(Self { path, module, items, text, tests, test_modules })
    }

    /// Returns the number of lines that are not blank, a comment or part of a test.
    pub(crate) fn code_lines(&self) -> usize {
        let is_code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let in_test = |number: usize| self.tests.iter().any(|test| test.contains(&number));
        self.text.lines().zip(1..).filter(|(line, number)| is_code(line) && !in_test(*number)).count()
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            // `target` has no sources of this crate.
            if !path.join("Cargo.toml").exists() && !path.ends_with("target") {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// `web/mod.rs` and `web.rs` are `web`.
fn module_of(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut module: Vec<_> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string().replace(' ', ""));
        condition.is_ok_and(|condition| condition == "test" || condition.starts_with("all(test,"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_lines_are_without_comments_blank_lines_and_tests() {
        let text = "//! A file.\n\nuse std::fmt;\n\n/// A function.\nfn f() {\n    // Nothing.\n}\n\n\
                    /// Tests.\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n#[cfg(all(test, unix))]\nuse std::io;\n";
        let file = SourceFile::parse(PathBuf::new(), Vec::new(), text.to_owned()).unwrap();
        assert_eq!(file.code_lines(), 3);
    }

    #[test]
    fn module_follows_the_place_of_the_file() {
        let modules =
            [("lib.rs", ""), ("web/mod.rs", "web"), ("web.rs", "web"), ("web/ws/socket.rs", "web::ws::socket")];
        for (path, module) in modules {
            assert_eq!(module_of(Path::new(path)).join("::"), module);
        }
    }
}
