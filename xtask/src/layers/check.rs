//! Checks the layers of every published crate.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::{
    circles, modules,
    table::{FILE, Layers},
};
use crate::{command::in_workspace, workspace::Workspace};

pub(crate) fn check() -> Result<()> {
    let table = fs::read_to_string(in_workspace(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let table = Layers::parse(&table)?;
    let workspace = Workspace::read()?;
    let mut errors = Vec::new();
    for package in workspace.published() {
        match table.iter().find(|layers| layers.name == package.name) {
            Some(layers) => {
                let dependencies = package.dependencies().filter(|other| !layers.crates.contains(other));
                let error = |other| format!("{} may not depend on {other}: see {FILE}", package.name);
                errors.extend(dependencies.map(error));
                errors.extend(errors_in(&package.folder().join("src"), layers)?);
            }
            None => errors.push(format!("{} has no layers: add it to {FILE}", package.name)),
        }
    }
    let is_published = |layers: &&Layers| workspace.published().any(|package| package.name == layers.name);
    let gone = table.iter().filter(|layers| !is_published(layers));
    errors.extend(gone.map(|layers| format!("no crate `{}` is published: remove it from {FILE}", layers.name)));
    ensure!(
        errors.is_empty(),
        "{} errors\n{}\nA module may use modules of lower layers: move what two modules need into one of these, or change {FILE}.",
        errors.len(),
        errors.join("\n")
    );
    Ok(())
}

fn errors_in(src: &Path, layers: &Layers) -> Result<Vec<String>> {
    let (arrows, modules) = modules::read(src)?;
    Ok([layers.errors(&modules, &arrows), circles::errors(&layers.name, &arrows)].concat())
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    /// Returns the errors in a crate of these files, which are `(path, text)`. `test` names a separate folder.
    fn errors(test: &str, layers: &str, files: &[(&str, &str)]) -> Vec<String> {
        let src = env::temp_dir().join(format!("layers-{}-{test}", process::id()));
        for (path, text) in files {
            let path = src.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let layers = Layers::parse(&format!("crate:\n{layers}")).unwrap();
        let errors = errors_in(&src, &layers[0]).unwrap();
        let src = src.to_string_lossy().into_owned();
        fs::remove_dir_all(&src).unwrap();
        errors.iter().map(|error| error.replace(&format!("{src}/"), "")).collect()
    }

    #[test]
    fn arrow_to_a_higher_layer_is_an_error_at_its_line() {
        let files = [("low.rs", "//! Low.\n\nuse crate::high::Thing;\n"), ("high/mod.rs", "use crate::low;")];
        let errors = errors("higher", " low\n high\n", &files);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("low.rs:3: `low` may not use `high`"), "{errors:?}");
    }

    #[test]
    fn arrow_within_a_layer_is_an_error() {
        let errors = errors("within", " a b\n", &[("a.rs", "fn f(_: crate::b::B) {}"), ("b.rs", "")]);
        assert!(errors[0].starts_with("a.rs:1: `a` may not use `b`"), "{errors:?}");
    }

    #[test]
    fn paths_are_found_in_any_spelling() {
        let ways = [
            "fn f() { super::high::f() }",
            "use crate::{self as root, high as other};",
            "use super::{a::A, high::{B, C}};",
            "use crate::Exported;",
            "impl crate::high::Trait for A {}",
            "macro_rules! m { ($a:ident) => { $crate::high::f($a.b) } }",
            "fn f() { assert_eq!(1, crate::high::<u8>()); }",
            "mod inner { use super::super::high; }",
            "use crate as root; fn f() { root::high::f() }",
        ];
        for way in ways {
            let files = [("lib.rs", "pub use self::high::Exported;"), ("low.rs", way), ("high.rs", "")];
            assert_eq!(errors("ways", " low\n high\n", &files).len(), 1, "{way}");
        }
    }

    #[test]
    fn tests_and_other_crates_are_not_seen() {
        let ways = [
            "#[cfg(test)]\nmod tests { use crate::high::f; }",
            "use ::high::f;",
            "use high::f;",
            "pub(in crate::high) fn f() {}",
            "macro_rules! m { ($high:ident) => { self.high::<u8>() } }",
            "/// See [`crate::high`].\nstruct A;",
        ];
        for way in ways {
            assert_eq!(errors("other", " low\n high\n", &[("low.rs", way), ("high.rs", "")]), [""; 0], "{way}");
        }
        let in_file = [("low/mod.rs", "#[cfg(test)]\nmod more;"), ("low/more.rs", "use crate::high;"), ("high.rs", "")];
        assert_eq!(errors("in-file", " low\n high\n", &in_file), [""; 0]);
    }

    #[test]
    fn circle_of_submodules_is_one_error_with_its_lines() {
        let files = [
            ("web/mod.rs", "pub use self::c::C;"),
            ("web/a.rs", "use super::b::B;"),
            ("web/b/mod.rs", "use crate::web::C;"),
            ("web/c.rs", "\nuse super::a;"),
            ("web/d.rs", "use super::a;"),
        ];
        let expected = "crate::web: a, b, c use each other: turn one of these round\n  web/a.rs:1: a uses b\n  \
                        web/b/mod.rs:1: b uses c\n  web/c.rs:2: c uses a";
        assert_eq!(errors("circle", " web\n", &files), [expected]);
    }

    #[test]
    fn table_and_modules_have_the_same_names() {
        let errors = errors("names", " a\n b\n", &[("a.rs", ""), ("c.rs", "")]);
        assert!(errors[0].starts_with("`c` of crate is in no layer: add it"), "{errors:?}");
        assert!(errors[1].starts_with("crate has no module `b`: remove it"), "{errors:?}");
        assert!(Layers::parse("crate:\n a\n a\n").is_err());
    }
}
