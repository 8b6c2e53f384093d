//! An identity that returns an `Option` does not state what `None` means.
use axum::http::request::Parts;
use traffik::{Client, Settings};

fn by_user(_: &Parts) -> Option<Client> {
    None
}

fn main() {
    let _ = Settings::new().identity(by_user);
}
