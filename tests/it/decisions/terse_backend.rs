//! A backend that tells less than it was asked lets nobody in.

use traffik::{
    Error, Traffik,
    backend::{Backend, BackendError},
    decision::{Decision, Hit, Receipt},
};

use super::{Five, One};

/// Forgets the last hit of each question.
#[derive(Debug)]
struct Terse;

impl Terse {
    fn answer(hits: &[Hit<'_>]) -> Decision {
        let at = traffik::clock::Timestamp::UNIX_EPOCH;
        let outcome = |hit: &Hit<'_>| traffik::decision::Outcome { admitted: true, past: None, cost: hit.cost, at };
        hits.iter().skip(1).map(outcome).collect()
    }
}

impl Backend for Terse {
    fn namespace(&self) -> &str {
        "terse"
    }

    async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        Ok(Self::answer(hits))
    }

    async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        Ok(Self::answer(hits))
    }

    async fn refund(&self, _: &[Receipt<'_>]) -> Result<(), BackendError> {
        Ok(())
    }

    async fn reset(&self, _: &[Hit<'_>]) -> Result<(), BackendError> {
        Ok(())
    }

    async fn clear(&self) -> Result<(), BackendError> {
        Ok(())
    }

    async fn close(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

#[tokio::test]
async fn an_answer_that_leaves_a_hit_out_is_none() {
    let traffik = Traffik::new(Terse);
    let errors = [
        traffik.hit::<One>("alice").await.map(|_| ()).unwrap_err(),
        traffik.hit::<(One, Five)>("alice").await.map(|_| ()).unwrap_err(),
        traffik.peek::<(One, Five)>("alice").await.map(|_| ()).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, Error::Backend(BackendError::Unavailable(_))), "{error}");
        assert!(error.to_string().contains("outcomes of"), "{error}");
    }
}
