//! Runs one hot path a number of times: `cargo xtask instructions` runs it under callgrind.
//!
//! ```text
//! hot_paths                      # lists the paths
//! hot_paths request 1000         # runs one of them 1000 times
//! ```

mod paths;

use std::env;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let Some(name) = args.next() else {
        paths::all().iter().for_each(|path| println!("{}", path.name));
        return Ok(());
    };
    let times = args
        .next()
        .context("the number of times is missing")?
        .parse()
        .context("the number of times is not a number")?;
    let path = paths::all().into_iter().find(|path| path.name == name);
    (path.with_context(|| format!("there is no path `{name}`"))?.run)(times);
    Ok(())
}
