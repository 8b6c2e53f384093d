//! Error policies: allow, refuse, raise, or a custom function. Of several, the strictest applies.

use std::{
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use traffik::{
    CheckError, Client, EXEMPTED, Error, Rate, Throttles, Traffik,
    backend::BackendError,
    on_error::{Allow, Failure, Raise, Refuse, Resolution},
};

use super::{
    Allowed, Dear, Five, Free, Raised, Refused, Two,
    backends::{Mood, advance, app},
};

/// Returns the outcome of a hit: how it was admitted, or why it was not.
async fn outcome<T: Throttles>(traffik: &Traffik) -> &'static str {
    match traffik.limiter::<T>("alice").check().await {
        Ok(permit) if permit.is_unchecked() => "unchecked",
        Ok(_) => "admitted",
        Err(CheckError::Refused(_)) => "limited",
        Err(CheckError::Failed(Error::Backend(BackendError::Closed))) => "closed",
        Err(CheckError::Failed(Error::Backend(_))) => "refused",
        Err(CheckError::Failed(Error::Raised(_))) => "raised",
        Err(_) => "else",
    }
}

#[tokio::test]
async fn allow_policy_admits_uncounted_only_while_the_backend_fails() {
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Allow));
    assert_eq!(outcome::<Two>(&traffik).await, "admitted");
    backend.is(Mood::Fails);
    for _ in 0..9 {
        let permit = traffik.limiter::<(Two, Five)>("alice").check().await.unwrap();
        assert!(permit.iter().all(|limit| !limit.is_counted() && limit.is_unchecked()));
        permit.refund().await.unwrap();
    }
    backend.is(Mood::Answers);
    assert_eq!(outcome::<Two>(&traffik).await, "admitted");
    assert_eq!(outcome::<Two>(&traffik).await, "limited");
}

#[tokio::test]
async fn default_policy_refuses_and_raise_returns_the_error() {
    for (traffik, backend) in [app(|builder, _| builder), app(|builder, _| builder.on_error(Refuse))]
        .map(|(traffik, backend, _)| (traffik, backend))
    {
        backend.is(Mood::Fails);
        assert_eq!(outcome::<Two>(&traffik).await, "refused");
    }
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Raise));
    backend.is(Mood::Fails);
    let error = traffik.limiter::<Two>("alice").check().await.unwrap_err();
    assert!(
        matches!(&error, CheckError::Failed(Error::Raised(_))) && error.to_string().contains("the connection was lost"),
        "{error}"
    );
}

#[tokio::test]
async fn uncounted_throttle_ignores_a_failed_backend() {
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Raise));
    backend.is(Mood::Fails);
    assert_eq!(outcome::<Free>(&traffik).await, "admitted");
    let permit = traffik.limiter::<Two>(EXEMPTED).check().await.unwrap();
    assert!(!permit.is_unchecked());
    assert_eq!(backend.asked(), 0);
}

#[tokio::test]
async fn closed_app_is_an_error_under_any_policy() {
    let (traffik, ..) = app(|builder, _| builder.on_error(Allow));
    traffik.close().await.unwrap();
    assert_eq!(outcome::<Two>(&traffik).await, "closed");
}

#[tokio::test]
async fn policy_of_a_throttle_precedes_the_app_and_the_strictest_applies() {
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Allow));
    assert_eq!(outcome::<(Allowed, Raised, Five)>(&traffik).await, "admitted");
    backend.is(Mood::Fails);
    assert_eq!(outcome::<Five>(&traffik).await, "unchecked");
    assert_eq!(outcome::<Refused>(&traffik).await, "refused");
    assert_eq!(outcome::<Raised>(&traffik).await, "raised");
    assert_eq!(outcome::<(Five, Allowed)>(&traffik).await, "unchecked");
    assert_eq!(outcome::<(Five, Refused, Allowed)>(&traffik).await, "refused");
    assert_eq!(outcome::<(Raised, Refused)>(&traffik).await, "raised");
    assert_eq!(outcome::<(Refused, Raised)>(&traffik).await, "raised");

    let (traffik, backend, _) = app(|builder, _| builder);
    backend.is(Mood::Fails);
    assert_eq!(outcome::<Allowed>(&traffik).await, "unchecked");
    assert_eq!(outcome::<(Allowed, Five)>(&traffik).await, "refused", "the other throttle refuses by default");
    assert_eq!(outcome::<(Allowed, Free)>(&traffik).await, "unchecked", "the other policy is not called");
}

#[tokio::test]
async fn error_function_receives_the_failure() {
    let failures: Arc<Mutex<Vec<Failure>>> = Arc::default();
    let tell = Arc::clone(&failures);
    let (traffik, backend, _) = app(|builder, _| {
        builder.on_error(move |failure: Failure| {
            tell.lock().unwrap().push(failure);
            async { Ok::<_, Infallible>(Resolution::Admit) }
        })
    });
    assert_eq!(outcome::<Dear>(&traffik).await, "admitted");
    assert!(failures.lock().unwrap().is_empty());
    backend.is(Mood::Fails);
    assert_eq!(outcome::<(Free, Dear)>(&traffik).await, "unchecked", "the function receives the counted throttle");

    let failures = failures.lock().unwrap();
    let [failure] = failures.as_slice() else { panic!("{failures:?}") };
    assert!(matches!(failure.error(), BackendError::Unavailable(_)));
    assert_eq!((failure.uid(), failure.client(), failure.cost()), ("on-error:dear", &Client::from("alice"), 7));
    assert_eq!(failure.rate(), Rate::literal("20/min"));
}

#[tokio::test]
async fn error_function_refuses_for_a_time_or_returns_an_error() {
    let by_client = async |failure: Failure| {
        if failure.client() == &Client::from("alice") {
            return Ok(Resolution::RefuseFor(Duration::from_secs(30)));
        }
        Err("the user is unknown")
    };
    let (traffik, backend, _) = app(|builder, _| builder.on_error(by_client));
    backend.is(Mood::Fails);
    match traffik.limiter::<Five>("alice").check().await {
        Err(CheckError::Failed(Error::Refused { retry_after, error, .. })) => {
            assert_eq!(retry_after, Duration::from_secs(30));
            assert!(matches!(*error, BackendError::Unavailable(_)));
        }
        other => panic!("{other:?}"),
    }
    let raised = traffik.limiter::<Five>("bob").check().await.unwrap_err();
    assert!(
        matches!(&raised, CheckError::Failed(Error::Raised(error)) if error.to_string() == "the user is unknown"),
        "{raised}"
    );
}

#[tokio::test]
async fn error_function_runs_in_the_remaining_time() {
    let (traffik, backend, clock) = app(|builder, _| builder.on_error(|_: Failure| pending::<Result<_, Infallible>>()));
    backend.is(Mood::Hangs);
    let call = tokio::spawn(async move { traffik.limiter::<Five>("alice").check().await.map(drop) });
    advance(&clock, Duration::from_millis(75)).await;
    advance(&clock, Duration::from_micros(24_999)).await;
    assert!(!call.is_finished());
    advance(&clock, Duration::from_micros(1)).await;
    assert!(call.is_finished());
    assert!(matches!(call.await.unwrap(), Err(CheckError::Failed(Error::Refused { .. }))));
}
