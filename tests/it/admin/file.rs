//! The limits file of an app.

use std::{fs, path::PathBuf};

use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use traffik::Traffik;

use super::{Api, Result};
use crate::http::app::{builder, throttle};

throttle!(Filed, "admin:filed", "5/hour");

const VALID: &str = "[limit.\"admin:filed\"]\nrate = \"6/hour\"\n";

/// A file that is removed when the value is dropped.
struct File(PathBuf);

impl File {
    /// Replaces the file in one step.
    fn write(&self, text: &str) -> std::io::Result<()> {
        let new = self.0.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(new, &self.0)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn app(name: &str) -> Result<(Traffik, Api, File)> {
    let file = File(std::env::temp_dir().join(format!("traffik-admin-{name}-{}.toml", std::process::id())));
    file.write(VALID)?;
    let traffik = builder().0.register::<Filed>().limits_file(&file.0).build()?;
    let api = Api::new(&traffik)?;
    Ok((traffik, api, file))
}

#[tokio::test]
async fn file_is_shown_and_loaded_on_request() -> Result {
    let (traffik, api, file) = app("reload")?;
    let shown = api.get("/limits-file").await?;
    assert_eq!((shown.status, &shown.body["loads"], &shown.body["error"]), (200, &json!(1), &json!(null)));
    assert_eq!(api.get("").await?.body["limits_file"]["error"], json!(null));
    assert_eq!(api.get("/limits/admin:filed").await?.body["rate"]["source"], "file");

    file.write("[limit.\"admin:filed\"]\nrat = \"7/hour\"\n")?;
    let refused = api.post("/limits-file/reload", "").await?;
    assert!(refused.problem().0 == 422 && refused.problem().1.contains("unknown field `rat`"), "{refused:?}");
    let error = api.get("/limits-file").await?.body["error"].clone();
    assert_eq!(error.as_str(), Some(refused.problem().1));
    assert_eq!(traffik.limit("admin:filed")?.info()?.rate().value(), "6/hour".parse()?);

    file.write(&VALID.replace('6', "7"))?;
    let loaded = api.post("/limits-file/reload", "").await?;
    assert_eq!((loaded.status, &loaded.body["error"]), (200, &json!(null)));
    assert_eq!(traffik.limit("admin:filed")?.info()?.rate().value(), "7/hour".parse()?);
    Ok(())
}

#[tokio::test]
async fn limit_of_the_file_is_neither_replaced_nor_removed() -> Result {
    let (traffik, api, file) = app("declared")?;
    file.write(&format!("{VALID}[new.\"site:search\"]\nrate = \"20/min\"\npath = \"/search\"\n"))?;
    api.post("/limits-file/reload", "").await?;
    for (uid, rate) in [("site:search", "20/min"), ("admin:filed", "6/hour")] {
        let path = format!("/limits/{uid}");
        for refused in [api.put(&path, r#"{"rate": "9/min"}"#).await?, api.delete(&path).await?] {
            assert!(refused.problem().0 == 409 && refused.problem().1.contains(uid), "{refused:?}");
        }
        assert_eq!(traffik.limit(uid)?.info()?.rate().value(), rate.parse()?);
    }
    Ok(())
}

#[tokio::test]
async fn loads_are_events() -> Result {
    let (_traffik, api, file) = app("events")?;
    let response = api.send(Request::get("/admin/events"), "").await?;
    let mut body = response.into_body();
    file.write("no toml")?;
    let refused = api.post("/limits-file/reload", "").await?;
    let event = format!("event: limits_file\ndata: {{\"path\":{}", serde_json::to_string(&file.0)?);
    // The thread that waits for changes may have found it earlier.
    let frame = body.frame().await.ok_or("no event")??.into_data().map_err(|_| "no data")?;
    let text = std::str::from_utf8(&frame)?;
    assert!(text.starts_with(&event), "{text}");
    let data: serde_json::Value = serde_json::from_str(text.split_once("data: ").ok_or("no data")?.1.trim_end())?;
    assert_eq!(data["error"].as_str(), Some(refused.problem().1));
    Ok(())
}
