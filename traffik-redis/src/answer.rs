//! Turns the replies of scripts into outcomes. All numbers are computed in Rust, from the stored states.

use traffik_core::{
    backend::{Adjusted, BackendError},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Decision, Outcome},
    strategy::{SettleError, Strategy},
};

use crate::{
    calls::TimedReply,
    client::{CallError, Reply, UnexpectedReply},
    packed,
    places::{Amount, Places},
    question::MAX_SENT,
};

/// Returns the outcome of each hit, from the time and the reply of the script.
pub(crate) fn decision(timed: TimedReply, places: &Places) -> Result<Decision, BackendError> {
    let TimedReply { at, reply } = timed;
    if let Some(reason) = reply.text() {
        return Err(CallError::Refused(reason).into());
    }
    let items = reply.into_items().ok_or(UnexpectedReply("no list"))?;
    // After the last hit comes how much all hits that take what fits have above their lowest costs.
    let sent = 2 * places.of_hits.iter().flatten().count();
    let extra = match items.get(sent).and_then(Reply::integer) {
        Some(extra) if extra <= MAX_SENT => extra,
        Some(_) => places.max_extra(),
        // The script saw only plain hits. The hits that take what fits have unlimited rates.
        None if items.iter().take(sent).step_by(2).all(|fits| fits.integer() == Some(1)) => places.max_extra(),
        None => 0,
    };
    let mut items = items.into_iter();
    let mut sums = vec![Sum { admitted: true, cost: 0, not_enforced: 0 }; places.keys.len()];
    let mut outcomes = Vec::with_capacity(places.of_hits.len());
    for (place, amount) in places.of_hits.iter().zip(&places.amounts) {
        let Some(sum) = place.and_then(|place| sums.get_mut(place)) else {
            outcomes.push(unlimited(amount, extra, at));
            continue;
        };
        let fits = items.next().and_then(|fits| fits.integer()).ok_or(UnexpectedReply("too short"))?;
        let stored = items.next().ok_or(UnexpectedReply("too short"))?;
        let stored = stored.bytes().ok_or(UnexpectedReply("no state"))?;
        let past = packed::unpack(stored).map_err(BackendError::unavailable)?;
        outcomes.push(sum.add(amount, extra, fits == 1, at).with_past(past));
    }
    Ok(outcomes.into_iter().collect())
}

/// Returns the outcome of an adjustment, from the reply of the script: the stored state, the number of an error, or the
/// text of an error about its entry.
pub(crate) fn adjusted(TimedReply { at, reply }: TimedReply, adjustment: &Adjustment<'_>) -> Adjusted {
    if reply.integer().is_some() {
        return Err(not_settled(adjustment).into());
    }
    if let Some(error) = of_entry(&reply) {
        return Err(BackendError::from(error).into());
    }
    let stored = reply.bytes().ok_or_else(|| BackendError::from(UnexpectedReply("no state")))?;
    let past = packed::unpack(stored).map_err(BackendError::unavailable)?;
    Ok(Outcome::new(true, adjustment.actual, at).with_past(past))
}

/// Returns the error that a script reports about the entry of a charge.
fn of_entry(reply: &Reply) -> Option<CallError> {
    let Reply::Items(items) = reply else { return None };
    items.first().and_then(Reply::text).map(CallError::Refused)
}

/// Returns the error of an adjustment that the script or this process refuses: that of the strategy in Rust.
pub(crate) fn not_settled(Adjustment { charge, actual, .. }: &Adjustment<'_>) -> SettleError {
    let (strategy, name) = (charge.hit.limit.strategy(), charge.hit.limit.strategy().name());
    match strategy.settle(None, charge.hit.rate, 0, u64::MAX, charge.at, charge.at) {
        Err(SettleError::TooMuch { most, .. }) => SettleError::TooMuch { strategy: name, actual: *actual, most },
        _ => SettleError::Indivisible { strategy: name },
    }
}

/// Returns the new time of a charge, from the reply of the script. `None` if it was not renewed.
pub(crate) fn renewed(TimedReply { at, reply }: TimedReply) -> Result<Option<Timestamp>, BackendError> {
    if let Some(error) = of_entry(&reply) {
        tracing::warn!(%error, "a permit cannot be renewed");
        return Ok(None);
    }
    let is_charged = reply.integer().ok_or(UnexpectedReply("no number"))? == 1;
    Ok(is_charged.then_some(at))
}

/// The sum of the hits on one entry so far.
#[derive(Clone)]
struct Sum {
    admitted: bool,
    cost: u64,
    /// The cost of the hits that are not enforced and fit. They come after all other hits.
    not_enforced: u64,
}

impl Sum {
    /// Adds a hit. Returns its outcome, as `HitTally` does.
    fn add(&mut self, amount: &Amount, extra: u64, fits: bool, at: Timestamp) -> Outcome {
        let granted = amount.granted(extra);
        let cost = self.cost.saturating_add(granted);
        if amount.is_enforced {
            (self.admitted, self.cost) = (self.admitted && fits, cost);
            return Outcome::new(self.admitted, cost, at).with_granted(granted);
        }
        let mut outcome = Outcome::new(fits, cost.saturating_add(self.not_enforced), at).with_granted(granted);
        outcome.enforced = false;
        if fits {
            self.not_enforced = self.not_enforced.saturating_add(granted);
        }
        outcome
    }
}

/// Returns the decision about hits that are all at unlimited rates.
pub(crate) fn all_unlimited(places: &Places) -> Decision {
    let (extra, now) = (places.max_extra(), AnyClock::system().now());
    places.amounts.iter().map(|amount| unlimited(amount, extra, now)).collect()
}

/// Returns the outcome of a hit at an unlimited rate.
pub(crate) fn unlimited(amount: &Amount, extra: u64, at: Timestamp) -> Outcome {
    let mut outcome = Outcome::new(true, amount.granted(extra), at);
    outcome.enforced = amount.is_enforced;
    outcome
}
