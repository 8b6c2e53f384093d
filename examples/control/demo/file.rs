//! A limits file that is edited, broken and mended while requests run.

use std::{
    error::Error,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use super::{
    expect, heading,
    operator::{Operator, until},
};

pub(super) async fn show(operator: &Operator, file: &Path) -> Result<(), Box<dyn Error>> {
    heading("A file: it is edited, broken and mended while requests to `GET /reports` run");
    let stops = AtomicBool::new(false);
    let changing = async {
        let changed = change(operator, file).await;
        stops.store(true, Ordering::Relaxed);
        changed
    };
    let requests = |app| run_requests(operator, app, &stops);
    let (by_one, by_other, ()) = tokio::try_join!(requests(1), requests(2), changing)?;
    println!("\n  {} requests ran meanwhile, and none was refused or failed.", by_one + by_other);
    Ok(())
}

async fn change(operator: &Operator, file: &Path) -> Result<(), Box<dyn Error>> {
    write(file, "[limit.\"reports\"]\nrate = \"500000/hour\"\n")?;
    in_force(operator, "500000/hour").await?;

    write(file, "[limit.\"reports\"]\nrate = \"900000 an hour\"\n")?;
    for app in [1, 2] {
        until("the file is found invalid", async || Ok::<_, Box<dyn Error>>(error(operator, app).await?.is_string()))
            .await?;
        println!("  app {app} keeps the last valid file: {}", error(operator, app).await?);
        expect("the rate in force", &rate(operator, app).await?, &"500000/hour".into())?;
    }

    write(file, "[limit.\"reports\"]\nrate = \"900000/hour\"\n")?;
    in_force(operator, "900000/hour").await?;
    for app in [1, 2] {
        expect("the error of the mended file", &error(operator, app).await?, &Value::Null)?;
    }
    Ok(())
}

/// Returns the error of the limits file of an app.
async fn error(operator: &Operator, app: usize) -> Result<Value, Box<dyn Error>> {
    operator.show(app, "/admin/limits-file", "/error").await
}

/// Replaces the file in one step, so that the apps never read half of it.
fn write(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    println!("\n  {}", text.trim_end().replace('\n', "\n  "));
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, file)?)
}

/// Waits until both apps have this rate.
async fn in_force(operator: &Operator, expected: &str) -> Result<(), Box<dyn Error>> {
    for app in [1, 2] {
        let took =
            until("the rate is in force", async || Ok::<_, Box<dyn Error>>(rate(operator, app).await? == expected))
                .await?;
        println!("  app {app} has {expected} after {took:.1?}");
    }
    Ok(())
}

async fn rate(operator: &Operator, app: usize) -> Result<Value, Box<dyn Error>> {
    operator.show(app, "/admin/limits/reports", "/rate/value").await
}

/// Sends requests one after the other, which must all be admitted, and returns their number.
async fn run_requests(operator: &Operator, app: usize, stops: &AtomicBool) -> Result<u32, Box<dyn Error>> {
    let mut sent = 0;
    while !stops.load(Ordering::Relaxed) {
        let status = operator.get(app, "/reports").await?.status;
        expect("a request while the file changes", &status, &200)?;
        sent += 1;
    }
    Ok(sent)
}
