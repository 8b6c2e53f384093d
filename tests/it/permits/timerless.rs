//! A runtime without timers still renews permits.

use std::time::Duration;

use tests::admits;
use tokio::{
    runtime::Builder,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};
use traffik::{
    Traffik,
    backend::{Adjusted, Answer, Backend, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::Timestamp,
    decision::{Adjustment, Charge, Decision, Hit},
};

use crate::owned::{charges_of, owned};

use super::{Result, free, places};

places!(Timerless, "places:timerless", "1/200ms");

/// A backend that reports each renewal and makes its callers wait, like a server.
#[derive(Debug)]
struct Reporting {
    inner: MemoryBackend,
    renewals: UnboundedSender<()>,
}

impl Backend for Reporting {
    fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.inner.decide(hits)
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.inner.peek(hits)
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        self.inner.adjust(adjustments)
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let owned = owned(charges);
        MaybeReady::pending(async move {
            let charges = &charges_of(&owned)[..];
            tokio::task::yield_now().await;
            let renewed = self.inner.renew(charges).await;
            let _ = self.renewals.send(());
            renewed
        })
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.inner.control(request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        self.inner.reset(hits)
    }

    fn clear(&self) -> Answer<'_, ()> {
        self.inner.clear()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}

/// Uses the system's clock, and leaves time for a busy machine.
fn app() -> std::result::Result<(Traffik, UnboundedReceiver<()>), traffik::ConfigError> {
    let (renewals, renewed) = mpsc::unbounded_channel();
    let backend = Reporting { inner: MemoryBackend::new("test"), renewals };
    let traffik = Traffik::builder(backend).backend_timeout(Duration::from_secs(60)).build()?;
    Ok((traffik, renewed))
}

#[test]
fn runtime_without_timers_renews_permits() -> Result {
    let (traffik, mut renewed) = app()?;
    Builder::new_current_thread().build()?.block_on(async {
        let held = traffik.limiter::<Timerless>("alice").check().await?;
        for _ in 0..6 {
            renewed.recv().await;
        }
        assert!(!admits::<Timerless>(&traffik, "alice").await?, "two leases have passed");
        drop(held);
        assert_eq!(free::<Timerless>(&traffik, "alice").await, 1);
        Ok(())
    })
}

#[test]
fn runtime_without_timers_that_ends_hands_over_the_permit() -> Result {
    let (traffik, mut renewed) = app()?;
    let (ends, stays) =
        (Builder::new_multi_thread().worker_threads(1).build()?, Builder::new_current_thread().build()?);
    let held = ends.block_on(async {
        let held = traffik.limiter::<Timerless>("alice").check().await;
        renewed.recv().await;
        held
    })?;
    let other = stays.block_on(traffik.limiter::<Timerless>("bob").check())?;
    drop(ends);
    stays.block_on(async {
        for _ in 0..6 {
            renewed.recv().await;
        }
        assert!(!admits::<Timerless>(&traffik, "alice").await?);
        drop((held, other));
        assert_eq!(free::<Timerless>(&traffik, "alice").await, 1);
        Ok(())
    })
}
