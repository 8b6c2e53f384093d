use std::sync::Arc;

use super::{Connection, connection::Turn};
use crate::{
    engine::{Error, KeptCheck, Limits, Traffik, decide, in_a_task},
    one_or_more::OneOrMore,
};

/// The limits of a connection, and those of its client. A message is charged to all of them or to none.
#[derive(Debug)]
pub(super) struct Both {
    pub(super) traffik: Traffik,
    pub(super) client: OneOrMore<KeptCheck>,
    pub(super) connection: Connection,
}

impl Both {
    /// Decides about a message in a task. The other messages of the connection wait for the decision, but not for whatever
    /// polls this future.
    pub(super) async fn decide(self: &Arc<Self>, cost: Option<u64>) -> Result<Limits, Error> {
        let (both, taken) = (Arc::clone(self), self.connection.take().await);
        in_a_task(async move {
            let turn = Turn::new(taken, both.connection.parties(), cost, both.traffik.clock());
            if !turn.fits() {
                return Ok(turn.leave());
            }
            let charged = turn.charged();
            let limits = decide(both.client.map(|check| check.costing(cost))).await.map_err(Error::from)?;
            Ok(turn.follow(charged, limits))
        })
        .await
    }
}
