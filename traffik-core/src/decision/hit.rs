use crate::{client::Key, clock::Timestamp, rate::Rate, strategy::AnyStrategy};

/// One limit that a request meets: whose it is, which one, and what the request costs.
///
/// What is stored is kept by the uid, the strategy's name and the client's key. The rate and the cost are no part of it,
/// so that both can change while a limit is in use. Several hits on one entry in one decision add up.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The throttle's unique id.
    pub uid: &'a str,
    /// The client.
    pub key: &'a Key,
    /// The algorithm.
    pub strategy: &'a AnyStrategy,
    /// The rate. A backend admits what is unlimited, and keeps nothing of it.
    pub rate: Rate,
    /// What the request takes of the limit.
    pub cost: u64,
}

/// A hit that was charged, by which it can be given back.
#[derive(Clone, Copy, Debug)]
pub struct Receipt<'a> {
    /// The hit.
    pub hit: Hit<'a>,
    /// When it was charged: the [`Outcome::at`](super::Outcome::at) of its decision.
    pub charged_at: Timestamp,
}
