//! Draws the decisions of each strategy about the same requests as SVG, for the guide.
//!
//! ```text
//! cargo run --example pictures    # writes docs/pictures
//! ```

mod arrivals;
mod course;
mod overview;
mod plot;
mod portrait;
mod strategies;
mod svg;

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use course::Course;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pictures");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for (name, text) in draw().await? {
        fs::write(Path::new(FOLDER).join(&name), text)?;
        println!("docs/pictures/{name}");
    }
    Ok(())
}

/// Draws one picture per strategy and one of all, and returns their texts by file name.
async fn draw() -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut courses = Vec::new();
    for subject in strategies::all() {
        let course = Course::run(&subject.strategy).await?;
        courses.push((subject, course));
    }
    let portraits = courses.iter().map(|(subject, course)| (subject.file, portrait::draw(subject, course)));
    let pictures = portraits.chain([("overview", overview::draw(&courses))]);
    Ok(pictures.map(|(file, text)| (format!("{file}.svg"), text)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folder_holds_the_pictures_that_are_drawn() {
        let pictures = draw().await.unwrap();
        for (name, text) in &pictures {
            let found = fs::read_to_string(Path::new(FOLDER).join(name)).unwrap_or_default();
            assert!(found == *text, "docs/pictures/{name} differs: run `cargo run --example pictures`");
        }
        for file in fs::read_dir(FOLDER).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(pictures.contains_key(&name), "docs/pictures/{name} is not drawn: delete it");
        }
    }
}
