//! Published crates build with every combination of features, and the core knows no web.

use anyhow::{Result, ensure};

use crate::{
    command::cargo,
    workspace::{Package, Workspace},
};

/// Up to so many features every combination is built; beyond, their number is too great.
const EXHAUSTIVE_UP_TO: usize = 4;

/// The crate that stays free of the web, and what it must not depend on.
const CORE: &str = "traffik-core";
const WEB: &[&str] = &["axum", "http", "hyper", "tower"];

pub(crate) fn check() -> Result<()> {
    let workspace = Workspace::read()?;
    for package in workspace.published() {
        for features in combinations(&choices(package)) {
            // Only the library: dev-dependencies would add features of their own.
            cargo(&format!(
                "clippy --package {} --lib --no-default-features --features={} -- -D warnings",
                package.name,
                features.join(",")
            ))
            .run()?;
        }
    }
    core_is_free_of_the_web()
}

/// The features to combine. `default` is one of the combinations already.
fn choices(package: &Package) -> Vec<&str> {
    let names = package.features.keys().map(String::as_str);
    names.filter(|name| *name != "default").collect()
}

/// Every combination where there are few features, else none, each alone and all.
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

/// Whether a line of `cargo tree` names a web crate or one of its family (`tower-layer`, `http-body`).
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
        assert_eq!(combinations(&["a", "b", "c", "d"]).len(), 16);
    }

    #[test]
    fn many_features_are_built_with_none_all_and_each_alone() {
        let features = ["a", "b", "c", "d", "e"];
        let combinations = combinations(&features);
        assert_eq!(combinations.len(), 7);
        assert!(combinations.contains(&vec![]) && combinations.contains(&features.to_vec()));
    }

    #[test]
    fn a_family_of_web_crates_is_known_by_its_first_name() {
        assert!(is_web("tower-layer v0.3.3"));
        assert!(is_web("http v1.4.0"));
        assert!(!is_web("httparse v1.10.0"));
        assert!(!is_web("traffik v0.1.0 (/somewhere)"));
    }
}
