use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    charge::{Charge, Cost},
    rejection::MessageRejection,
};
use crate::engine::{Error, Limits, Traffik};

/// What messages are charged to, how much, and what came of the last one. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Tariff {
    shared: Arc<Shared>,
    pub(super) cost: Cost,
}

#[derive(Debug)]
struct Shared {
    charge: Charge,
    is_throttled: AtomicBool,
}

impl Tariff {
    pub(super) fn new(charge: Charge, cost: Cost) -> Self {
        Self { shared: Arc::new(Shared { charge, is_throttled: AtomicBool::new(false) }), cost }
    }

    pub(super) fn charge(&self) -> &Charge {
        &self.shared.charge
    }

    pub(super) fn traffik(&self) -> &Traffik {
        self.shared.charge.traffik()
    }

    /// Whether the last message that was decided about was not admitted.
    pub(super) fn is_throttled(&self) -> bool {
        self.shared.is_throttled.load(Ordering::Relaxed)
    }

    /// Decides about a message of this cost, or of that which the throttles say.
    pub(super) async fn hit(&self, cost: Option<u64>) -> Result<Limits, MessageRejection> {
        self.conclude(self.charge().decide(cost).await)
    }

    fn conclude(&self, answer: Result<Limits, Error>) -> Result<Limits, MessageRejection> {
        let answer = match answer {
            Ok(limits) if limits.is_admitted() => Ok(limits),
            Ok(limits) => Err(MessageRejection::Limited(limits)),
            Err(error) => Err(self.unchecked(error)),
        };
        self.shared.is_throttled.store(answer.is_err(), Ordering::Relaxed);
        answer
    }

    /// Logged once a second, however many messages it is about.
    #[cold]
    fn unchecked(&self, error: Error) -> MessageRejection {
        let traffik = self.traffik();
        if traffik.requests().outages.is_due(traffik.clock().now()) {
            let uids = self.charge().uids();
            tracing::error!(?uids, %error, "messages are refused, since the backend gives no answer");
        }
        MessageRejection::new(error)
    }
}
