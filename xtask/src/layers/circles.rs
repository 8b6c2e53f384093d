//! Finds circles between the direct submodules of a module.

use std::{collections::BTreeMap, iter, path::Path};

use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};

use super::modules::Arrow;

/// The place where a submodule first uses another one, by the names of both.
type Uses<'a> = BTreeMap<(&'a str, &'a str), (&'a Path, usize)>;

/// Returns an error for each set of submodules that use each other. Layers already exclude circles between top modules.
pub(crate) fn errors(name: &str, arrows: &[Arrow]) -> Vec<String> {
    let mut parents: BTreeMap<&[String], Uses<'_>> = BTreeMap::new();
    for Arrow { from, to, file, line } in arrows {
        let shared = iter::zip(from, to).take_while(|(from, to)| from == to).count();
        let (parent, below) = from.split_at(shared);
        if let (false, Some(from), Some(to)) = (parent.is_empty(), below.first(), to.get(shared)) {
            parents.entry(parent).or_default().entry((from, to)).or_insert((file, *line));
        }
    }
    parents.iter().flat_map(|(parent, uses)| circles(&format!("{name}::{}", parent.join("::")), uses)).collect()
}

fn circles(parent: &str, uses: &Uses<'_>) -> Vec<String> {
    let graph: DiGraphMap<&str, ()> = uses.keys().collect();
    let sets = tarjan_scc(&graph).into_iter().filter(|set| set.len() > 1);
    let error = |mut set: Vec<&str>| {
        set.sort_unstable();
        let within = uses.iter().filter(|((from, to), _)| set.contains(from) && set.contains(to));
        let lines = within.map(|((from, to), (file, line))| format!("\n  {}:{line}: {from} uses {to}", file.display()));
        let lines: String = lines.collect();
        format!("{parent}: {} use each other: turn one of these round{lines}", set.join(", "))
    };
    sets.map(error).collect()
}
