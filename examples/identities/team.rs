//! An extractor that returns the client: it looks up the user's team and plan in the app's state.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use traffik::{Client, EXEMPTED};

use super::caller::Caller;

/// The client of the reports: the team of a user.
pub(crate) struct Team(Client);

#[derive(Clone, Copy)]
enum Plan {
    Standard,
    Unlimited,
}

/// The app's data about its users.
pub(crate) struct Teams {
    of_users: HashMap<&'static str, (&'static str, Plan)>,
}

impl Teams {
    /// Returns sample data in place of a database.
    pub(crate) fn some() -> Self {
        let of_users = [
            ("alice", ("red", Plan::Standard)),
            ("bob", ("red", Plan::Standard)),
            ("carol", ("blue", Plan::Unlimited)),
        ];
        Self { of_users: of_users.into() }
    }
}

impl FromRequestParts<Arc<Teams>> for Team {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, teams: &Arc<Teams>) -> Result<Self, Self::Rejection> {
        let Some(Caller::User(user)) = parts.extensions.get() else {
            return Err((StatusCode::UNAUTHORIZED, "log in first\n"));
        };
        match teams.of_users.get(&**user) {
            Some((team, Plan::Standard)) => Ok(Self(("team", *team).into())),
            Some((_, Plan::Unlimited)) => Ok(Self(EXEMPTED)),
            None => Err((StatusCode::FORBIDDEN, "reports are for teams\n")),
        }
    }
}

impl From<Team> for Client {
    fn from(Team(client): Team) -> Self {
        client
    }
}
