//! Draws what each strategy makes of one and the same requests, for the guide: real decisions, as SVG.
//!
//! ```text
//! cargo run --example pictures              # writes docs/pictures
//! cargo run --example pictures -- --check   # an error where docs/pictures is not what would be written
//! ```

mod arrivals;
mod course;
mod overview;
mod plot;
mod portrait;
mod strategies;
mod style;
mod svg;

use std::{error::Error, fs, path::Path};

use course::Course;

const COMMAND: &str = "cargo run --example pictures";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pictures");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pictures = draw().await?;
    match std::env::args().nth(1).as_deref() {
        None => write(&pictures),
        Some("--check") => check(&pictures),
        Some(other) => Err(format!("unknown argument `{other}`: there is `--check`").into()),
    }
}

/// A file of the folder, not yet written.
struct Picture {
    name: String,
    text: String,
}

/// One picture of each strategy, and one of them all.
async fn draw() -> Result<Vec<Picture>, Box<dyn Error>> {
    let mut courses = Vec::new();
    for subject in strategies::all() {
        let course = Course::run(&subject.strategy).await?;
        courses.push((subject, course));
    }
    let portraits = courses.iter().map(|(subject, course)| Picture {
        name: format!("{}.svg", subject.file),
        text: portrait::draw(subject, course),
    });
    let overview = Picture { name: "overview.svg".to_owned(), text: overview::draw(&courses) };
    Ok(portraits.chain([overview]).collect())
}

fn write(pictures: &[Picture]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(FOLDER)?;
    for Picture { name, text } in pictures {
        fs::write(Path::new(FOLDER).join(name), text)?;
        println!("docs/pictures/{name}");
    }
    Ok(())
}

/// An error unless the folder holds these pictures, as they are, and no others.
fn check(pictures: &[Picture]) -> Result<(), Box<dyn Error>> {
    for Picture { name, text } in pictures {
        let found = fs::read_to_string(Path::new(FOLDER).join(name)).unwrap_or_default();
        if found != *text {
            return Err(format!("docs/pictures/{name} is not what the strategies do: run `{COMMAND}`").into());
        }
    }
    for file in fs::read_dir(FOLDER)? {
        let name = file?.file_name();
        if !pictures.iter().any(|picture| *picture.name == *name) {
            return Err(format!("docs/pictures/{} is no longer drawn: delete it", name.to_string_lossy()).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_pictures_in_the_guide_are_what_is_drawn() {
        super::check(&super::draw().await.unwrap()).unwrap();
    }
}
