//! Callers that wait while their app is closed.

use traffik::{CheckError, Error, backend::BackendError};

use super::{Checked, LONG, One, Permits, Result, exhaust, traffik, waits};
use crate::on_error::backends::{Mood, app};

fn is_closed<T>(checked: &Checked<T>) -> bool {
    matches!(checked, Err(CheckError::Failed(Error::Backend(BackendError::Closed))))
}

#[tokio::test]
async fn closed_app_tells_all_waiters_immediately() -> Result {
    let (traffik, _) = traffik()?;
    exhaust::<One>(&traffik).await?;
    let _held = traffik.limiter::<Permits>("alice").cost(2).check().await?;
    let waiting = [waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG)];
    let permit = waits::<Permits>(&traffik, LONG);
    traffik.close().await?;
    for one in waiting {
        assert!(is_closed(&one.await));
    }
    assert!(is_closed(&permit.await));
    assert!(is_closed(&traffik.limiter::<One>("alice").wait(LONG).check().await));
    Ok(())
}

#[tokio::test]
async fn waiter_whose_question_is_under_way_is_told_when_the_app_is_closed() -> Result {
    let (traffik, backend, _) = app(|builder, _| builder);
    backend.is(Mood::Hangs);
    let waiting = waits::<One>(&traffik, LONG);
    tests::until_idle().await;
    assert_eq!(backend.asked(), 1);
    traffik.close().await?;
    assert!(is_closed(&waiting.await));
    assert!(is_closed(&traffik.limiter::<One>("alice").wait(LONG).check().await));
    Ok(())
}
