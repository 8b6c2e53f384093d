//! A backend that answers too few hits admits no request.

use traffik::{
    CheckError, Error, Traffik,
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady},
    decision::{Adjustment, Charge, Decision, Hit},
};

use crate::owned::{hits_of, owned};

use super::{Five, One};

/// A backend that drops the last hit of each decision.
#[derive(Debug)]
struct Terse;

impl Terse {
    fn answer(hits: &[Hit<'_>]) -> Decision {
        let at = traffik::clock::Timestamp::UNIX_EPOCH;
        let outcome = |hit: &Hit<'_>| traffik::decision::Outcome::new(true, hit.cost, at);
        hits.iter().skip(1).map(outcome).collect()
    }
}

impl Backend for Terse {
    fn namespace(&self) -> &str {
        "terse"
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            Ok(Self::answer(hits))
        })
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            Ok(Self::answer(hits))
        })
    }

    fn adjust<'a>(&'a self, _: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        MaybeReady::pending(async move { Ok(Vec::new()) })
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<traffik::clock::Timestamp>>> {
        MaybeReady::Ready(Ok(vec![None; charges.len()]))
    }

    fn control<'a>(&'a self, _: ControlRequest<'_>) -> Answer<'a, Control> {
        MaybeReady::Ready(Err(BackendError::not_run("it has no settings")))
    }

    fn reset<'a>(&'a self, _: &[Hit<'_>]) -> Answer<'a, ()> {
        MaybeReady::pending(async move { Ok(()) })
    }

    fn clear(&self) -> Answer<'_, ()> {
        MaybeReady::pending(async move { Ok(()) })
    }

    fn close(&self) -> Answer<'_, ()> {
        MaybeReady::pending(async move { Ok(()) })
    }
}

#[tokio::test]
async fn answer_without_all_hits_is_an_error() {
    let traffik = Traffik::new(Terse).unwrap();
    let errors = [
        traffik.limiter::<One>("alice").check().await.map(|_| ()).unwrap_err(),
        traffik.limiter::<(One, Five)>("alice").check().await.map(|_| ()).unwrap_err(),
        traffik.limiter::<(One, Five)>("alice").peek().await.map(|_| ()).unwrap_err().into(),
    ];
    for error in errors {
        assert!(matches!(&error, CheckError::Failed(Error::Backend(BackendError::Unavailable(_)))), "{error}");
        assert!(error.to_string().contains("outcomes of"), "{error}");
    }
}
