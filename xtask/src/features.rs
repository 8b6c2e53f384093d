//! Checks that published crates build with combinations of features, and that the core has no web dependency.

use anyhow::{Result, ensure};

use crate::{
    command::cargo,
    workspace::{Package, Workspace},
};

/// The maximum number of features for which every combination is built.
const EXHAUSTIVE_UP_TO: usize = 3;

/// The crate without web dependencies, and the crates that it must not depend on.
const CORE: &str = "traffik-core";
const WEB: &[&str] = &["axum", "http", "hyper", "tower"];

pub(crate) fn check() -> Result<()> {
    let workspace = Workspace::read()?;
    for package in workspace.published() {
        for features in combinations(&choices(package)) {
            // Check the library only: dev-dependencies would enable more features. Clippy has seen all of the code.
            cargo(&format!(
                "rustc --package {} --lib --profile check --no-default-features --features={} -- -D warnings",
                package.name,
                features.join(",")
            ))
            .run()?;
        }
    }
    core_is_free_of_the_web()
}

/// Returns the features to combine. `default` is already one of the combinations.
fn choices(package: &Package) -> Vec<&str> {
    let names = package.features.keys().map(String::as_str);
    names.filter(|name| *name != "default").collect()
}

/// Returns every combination of a few features, and of more than a few: none, each alone, and all.
fn combinations<'a>(features: &[&'a str]) -> Vec<Vec<&'a str>> {
    if features.len() > EXHAUSTIVE_UP_TO {
        let alone = features.iter().map(|feature| vec![*feature]);
        return [vec![], features.to_vec()].into_iter().chain(alone).collect();
    }
    features.iter().fold(vec![vec![]], |sets, feature| {
        let with_feature = sets.iter().map(|set| [set.as_slice(), &[*feature]].concat());
        let with_feature: Vec<_> = with_feature.collect();
        [sets, with_feature].concat()
    })
}

fn core_is_free_of_the_web() -> Result<()> {
    let tree =
        cargo(&format!("tree --package {CORE} --all-features --edges normal,build --prefix none --format {{p}}"))
            .read()?;
    let web: Vec<&str> = tree.lines().filter(|line| is_web(line)).collect();
    ensure!(web.is_empty(), "{CORE} depends on {}", web.join(", "));
    println!("{CORE} has no web dependency");
    Ok(())
}

/// Returns whether a line of `cargo tree` names a web crate or a related one (`tower-layer`, `http-body`).
fn is_web(line: &str) -> bool {
    let name = line.split_whitespace().next().unwrap_or_default();
    WEB.iter().any(|web| name.strip_prefix(web).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_features_are_combined_in_every_way() {
        let expected: [&[&str]; 4] = [&[], &["a"], &["b"], &["a", "b"]];
        assert_eq!(combinations(&["a", "b"]), expected);
        assert_eq!(combinations(&["a", "b", "c"]).len(), 8);
    }

    #[test]
    fn many_features_are_built_with_none_all_and_each_alone() {
        let features = ["a", "b", "c", "d"];
        let combinations = combinations(&features);
        assert_eq!(combinations.len(), 6);
        assert!(combinations.contains(&vec![]) && combinations.contains(&features.to_vec()));
    }

    #[test]
    fn web_crates_are_known_by_their_first_name() {
        assert!(is_web("tower-layer v0.3.3"));
        assert!(is_web("http v1.4.0"));
        assert!(!is_web("httparse v1.10.0"));
        assert!(!is_web("traffik v0.1.0 (/somewhere)"));
    }
}
