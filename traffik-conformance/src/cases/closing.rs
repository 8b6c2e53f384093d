//! The end.

use traffik_core::backend::{BackendError, ControlRequest};

use crate::{
    bench::{Bench, Check, RATE, Subject, ensure},
    failure::Mismatch,
};

async fn close(subject: &Subject) -> Check {
    subject.backend.close().await.map_err(|error| Mismatch::unanswered("a close", &[], &error))
}

fn ensure_closed<T>(call: &str, answer: &Result<T, BackendError>) -> Check {
    let is_closed = matches!(answer, Err(BackendError::Closed));
    let found = answer.as_ref().map_or_else(ToString::to_string, |_| "an answer".to_owned());
    if is_closed {
        return Ok(());
    }
    Err(Mismatch::new(format!("{call} after `close`"), "`BackendError::Closed`", found))
}

pub(super) async fn call_after_close_returns_closed(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let entry = subject.entry(&bench.strategy(), RATE);
    subject.decide(&[entry.hit(1)]).await?;
    close(&subject).await?;
    let (backend, hits) = (&subject.backend, [entry.hit(1)]);
    for hits in [&hits[..], &[]] {
        ensure_closed("a decision", &backend.decide(hits).await)?;
        ensure_closed("a peek", &backend.peek(hits).await)?;
        ensure_closed("a reset", &backend.reset(hits).await)?;
    }
    ensure_closed("a refund", &backend.adjust(&[entry.charge(1, subject.now()).refund()]).await)?;
    ensure_closed("a renewal", &backend.renew(&[entry.charge(1, subject.now())]).await)?;
    ensure_closed("a request for settings", &backend.control(ControlRequest::Read { known: 0 }).await)?;
    ensure_closed("a clear", &backend.clear().await)
}

pub(super) async fn second_close_has_no_effect(bench: Bench) -> Check {
    let subject = bench.subject().await?;
    close(&subject).await?;
    close(&subject).await?;
    let peeked = subject.backend.peek(&[]).await;
    ensure("a peek after two closes", true, matches!(peeked, Err(BackendError::Closed)))
}
