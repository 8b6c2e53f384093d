//! Keeps the map of a cluster up to date, without end.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    Sent,
    atlas::Atlas,
    node::Node,
    slots::{self, Share},
};

/// How old a map gets that nobody found wrong.
const RENEWED_AFTER: Duration = Duration::from_secs(30);

/// How often is asked while a primary is missing: another one may have its slots by now.
const WHILE_MISSING: Duration = Duration::from_millis(200);

/// No more often than that, whatever is found.
const NOT_WITHIN: Duration = Duration::from_millis(50);

/// How long a server may think about it. Another may be quicker.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

pub(super) async fn explore(atlas: Arc<Atlas>) {
    loop {
        match latest(&atlas).await {
            Ok(shares) => {
                atlas.replace(&shares);
                atlas.standing().up();
            }
            // The old one is better than none: servers may come back.
            Err(why) if !atlas.primaries().is_empty() => tracing::debug!("no server tells where the slots are: {why}"),
            Err(why) => atlas.standing().down(why),
        }
        sleep(NOT_WITHIN).await;
        let is_complete = !atlas.primaries().is_empty() && atlas.primaries().iter().all(|primary| !primary.is_down());
        let _ = timeout(if is_complete { RENEWED_AFTER } else { WHILE_MISSING }, atlas.was_found_wrong()).await;
    }
}

/// What the first server says that says anything.
async fn latest(atlas: &Atlas) -> Result<Vec<Share>, String> {
    let mut why = "no server is known".to_owned();
    for guide in atlas.guides() {
        match told_by(&guide).await {
            Ok(shares) => return Ok(shares),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

async fn told_by(guide: &Node) -> Result<Vec<Share>, String> {
    let asked =
        timeout(guide.patience().max(ANSWER_WITHIN), guide.call(redis::cmd("CLUSTER").arg("SLOTS"), &Sent::default()))
            .await;
    let reply = asked.map_err(|_| format!("{}: no answer", guide.place()))?;
    let reply = reply.map_err(|error| error.to_string())?;
    slots::read(reply, guide.place()).ok_or_else(|| format!("{}: it knows of no slots", guide.place()))
}
