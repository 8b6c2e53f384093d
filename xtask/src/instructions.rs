//! Counts the instructions of the hot paths. Unlike time, they do not depend on other load, so they can be compared with
//! figures in the repository.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{
    command::{cargo, in_workspace, program, tool},
    figures::Figures,
    workspace::Workspace,
};

const KEPT: &str = "benches/instructions.txt";

/// The number of runs of a path: a multiple of what a path needs to fill its stores.
const TIMES: u64 = 8_000;

/// The function of the program within which instructions are counted.
const COUNTED: &str = "hot_paths::paths::counted*";

/// Prints how the figures have changed since they were recorded. A change is not an error.
pub(crate) fn report() -> Result<()> {
    if !can_count() {
        return Ok(());
    }
    let kept = fs::read_to_string(in_workspace(KEPT)).with_context(|| format!("cannot read {KEPT}"))?;
    let kept = Figures::parse(&kept).with_context(|| format!("cannot parse {KEPT}"))?;
    let counted = count()?;
    println!("instructions, and the change since {KEPT}:\n{}", counted.changes(&kept).join("\n"));
    if counted.compiler != kept.compiler {
        println!("the compilers differ: {} now, {} then", counted.compiler, kept.compiler);
    }
    Ok(())
}

/// Records the current figures.
pub(crate) fn bless() -> Result<()> {
    if can_count() {
        fs::write(in_workspace(KEPT), count()?.to_string()).with_context(|| format!("cannot write {KEPT}"))?;
    }
    Ok(())
}

/// callgrind runs on few systems other than Linux.
fn can_count() -> bool {
    let can = cfg!(target_os = "linux");
    if !can {
        println!("instructions are counted on Linux only");
    }
    can
}

fn count() -> Result<Figures> {
    cargo("build --release --package benches --bin hot_paths").run()?;
    let hot_paths = Workspace::read()?.target_directory.join("release/hot_paths");
    let mut paths = BTreeMap::new();
    for name in program(&hot_paths).read()?.lines() {
        let each = counted(&hot_paths, name)? / TIMES;
        paths.insert(name.to_owned(), each);
    }
    Ok(Figures { compiler: compiler()?, paths })
}

/// Returns the instructions of a path, without those before and after it.
fn counted(hot_paths: &Path, name: &str) -> Result<u64> {
    let options = format!("--tool=callgrind --toggle-collect={COUNTED} --callgrind-out-file=/dev/null --log-fd=1");
    let log = tool("valgrind", &options).arg(hot_paths).arg(name).arg(TIMES.to_string()).read()?;
    let count = collected(&log).with_context(|| format!("the output of valgrind has no count:\n{log}"))?;
    ensure!(count > 0, "the program has no function `{COUNTED}`");
    Ok(count)
}

/// Returns the count in callgrind's last lines: `==42== Collected : 12345`.
fn collected(log: &str) -> Option<u64> {
    let (_, count) = log.lines().find_map(|line| line.split_once("Collected :"))?;
    count.trim().parse().ok()
}

/// Returns the compiler's version and its host.
fn compiler() -> Result<String> {
    let output = tool("rustc", "-vV").read()?;
    let version = output.lines().next().unwrap_or_default();
    let host = output.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    Ok(format!("{version}, {host}"))
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn log_contains_the_count() {
        let log = "==7== Events    : Ir\n==7== Collected : 3457209\n==7== \n==7== I   refs:      3,457,209\n";
        assert_eq!(collected(log), Some(3_457_209));
        assert_eq!(collected("==7== Command: hot_paths"), None);
    }
}
