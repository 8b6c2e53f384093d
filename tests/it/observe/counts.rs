//! Counters without a crate for metrics.

use serde_json::json;
use traffik::{EXEMPTED, on_error::Allow};

use super::{Dry, Five, One, Result, app};
use crate::on_error::backends::{Mood, app as moody};

#[tokio::test]
async fn decisions_are_counted_by_uid_without_an_observer() -> Result {
    let (traffik, _, _) = moody(|builder, _| builder);
    for _ in 0..3 {
        let _ = traffik.limiter::<(One, Five)>("alice").check().await;
        let _ = traffik.limiter::<Dry>("alice").check().await?;
    }
    let _ = traffik.limiter::<One>(EXEMPTED).check().await?;
    let all: Vec<_> = traffik.counts().into_iter().filter(|(uid, _)| uid.starts_with("observe:")).collect();
    assert_eq!(all.iter().map(|(uid, _)| &**uid).collect::<Vec<_>>(), ["observe:dry", "observe:five", "observe:one"]);
    let counted = |uid| traffik.counts_of(uid).map(|counts| [counts.admitted, counts.refused, counts.would_refuse]);
    assert_eq!(counted("observe:one"), Some([1, 2, 0]));
    assert_eq!(counted("observe:five"), Some([1, 0, 0]), "it had room in a refused decision");
    assert_eq!(counted("observe:dry"), Some([1, 0, 2]));
    assert_eq!(counted("observe:other"), None);
    Ok(())
}

#[tokio::test]
async fn outages_are_counted_as_errors_or_unchecked() -> Result {
    let (traffik, backend, _) = moody(|builder, _| builder);
    backend.is(Mood::Fails);
    assert!(traffik.limiter::<Five>("alice").check().await.is_err());
    let (allowing, backend, _) = moody(|builder, _| builder.on_error(Allow));
    backend.is(Mood::Fails);
    let _ = allowing.limiter::<Five>("alice").check().await?;
    let errors = traffik.counts_of("observe:five").ok_or("it is not known")?;
    assert_eq!((errors.errors, errors.unchecked), (1, 0));
    let unchecked = allowing.counts_of("observe:five").ok_or("it is not known")?;
    assert_eq!((unchecked.errors, unchecked.unchecked), (0, 1));
    let json = json!({"admitted": 0, "refused": 0, "would_refuse": 0, "unchecked": 1, "blocked": 0, "errors": 0});
    assert_eq!(serde_json::to_value(unchecked)?, json);
    Ok(())
}

#[tokio::test]
async fn registered_throttle_is_counted_from_zero() -> Result {
    let (traffik, ..) = app(|builder| builder.register::<Five>())?;
    assert_eq!(traffik.counts_of("observe:five"), Some(traffik::observe::Counts::default()));
    Ok(())
}
