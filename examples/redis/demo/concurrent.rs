//! Many concurrent requests to both apps share one limit.

use std::error::Error;

use tokio::task::JoinSet;

use super::{Visitor, expect, heading};

const LIMIT: usize = 30;
const REQUESTS: usize = 2 * LIMIT;

pub(super) async fn show(visitor: &Visitor) -> Result<(), Box<dyn Error>> {
    heading("Concurrent requests: `GET /reports` allows 30 requests an hour, and 60 are under way");
    let mut asking = JoinSet::new();
    for app in visitor.in_turn().take(REQUESTS) {
        let visitor = visitor.clone();
        asking.spawn(async move {
            let answer = visitor.ask(app, "/reports").await;
            answer.map(|answer| (answer.app, answer.status)).map_err(|error| error.to_string())
        });
    }
    let answers: Vec<_> = asking.join_all().await.into_iter().collect::<Result<_, _>>()?;

    let count = |app: usize, status: u16| answers.iter().filter(|&&answer| answer == (app, status)).count();
    for app in [1, 2] {
        println!("  app {app} admitted {:>2} and refused {:>2}", count(app, 200), count(app, 429));
    }
    expect("the admitted requests", &(count(1, 200) + count(2, 200)), &LIMIT)?;
    expect("the refused requests", &(count(1, 429) + count(2, 429)), &(REQUESTS - LIMIT))
}
