//! A strategy during whose decisions another client changes the state.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{State, StoredState, Strategy, StrategyError},
};

use super::CoolDown;
use crate::{raw::Raw, server::Server};

/// `CoolDown`, with a number of changes to the stored state during its decision, each to a different charge.
#[derive(Clone, Debug)]
pub(super) struct Meddler {
    pub(super) port: u16,
    pub(super) times: Arc<AtomicU64>,
}

impl Meddler {
    pub(super) fn new(server: &Server, times: u64) -> Self {
        Self { port: server.port(), times: Arc::new(AtomicU64::new(times)) }
    }

    /// Writes an unexpected state under the only key in the database.
    fn meddle(&self) -> crate::Result {
        let before = self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| times.checked_sub(1));
        let Ok(times) = before else { return Ok(()) };
        let packed = [
            &[2][..],
            &(u64::MAX / 2).to_le_bytes(),
            &(times % 2).to_le_bytes(),
            &1_u64.to_le_bytes(),
            b"\x05\0\0\0\0\0",
            b"\0\x87\x93\x03\0\0",
        ];
        let words = [&b"SET"[..], b"{test:redis|text=alice}|limit|cool-down", &packed.concat(), b"EX", b"100"];
        Raw::connect(self.port)?.call(&words).map(drop)
    }
}

impl Strategy for Meddler {
    fn name(&self) -> &'static str {
        CoolDown.name()
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        CoolDown.check(rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        CoolDown.capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        CoolDown.available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        CoolDown.available_at(past, rate, cost, now)
    }

    #[expect(clippy::panic, reason = "a test that does not meddle is wrong")]
    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.meddle().unwrap_or_else(|error| panic!("the meddler failed: {error}"));
        CoolDown.charge(past, rate, cost, now)
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        CoolDown.refund(past, cost, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        CoolDown.clamped_to(past, now)
    }
}
