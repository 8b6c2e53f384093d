//! The handle of an app: checks of one throttle and of tuples.

use std::net::{IpAddr, Ipv4Addr};

use tests::{admits, refused};
use traffik::{
    AdjustError, CheckError, Client, ConfigError, EXEMPTED, Error, Limits, Rate, Throttle, Traffik,
    backend::{BackendError, MemoryBackend},
    client::Key,
    test::ManualClock,
};

use super::{AlsoFive, Dear, Five, Free, HugeBurst, NoBurst, One, Seven, Three, TooDear, Two, Unlimited};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

/// An app and its store.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
fn app() -> (Traffik, MemoryBackend) {
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    (Traffik::new(backend.clone()).unwrap(), backend)
}

fn remaining(limits: &Limits) -> Vec<traffik::Amount> {
    limits.iter().map(traffik::Limit::remaining).collect()
}

#[tokio::test]
async fn tuple_with_a_full_limit_charges_no_limit() -> Result {
    let (traffik, _) = app();
    type All = (Five, Three, Two);
    assert_eq!(remaining(&*traffik.limiter::<All>("alice").check().await?), [4, 2, 1]);
    assert_eq!(remaining(&*traffik.limiter::<All>("alice").check().await?), [3, 1, 0]);

    let refused = refused(traffik.limiter::<All>("alice").check().await);
    assert_eq!(refused.iter().map(traffik::Limit::is_admitted).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(refused.tightest().uid(), Two::UID);
    assert_eq!(remaining(&traffik.limiter::<All>("alice").peek().await?), [3, 1, 0]);
    Ok(())
}

#[tokio::test]
async fn tuple_of_eight_is_one_decision() -> Result {
    let (traffik, backend) = app();
    type Eight = (Five, Three, Two, Dear, Unlimited, Free, Seven, One);
    let limits = traffik.limiter::<Eight>("alice").check().await?;
    let uids: Vec<_> = limits.iter().map(traffik::Limit::uid).collect();
    assert_eq!(uids, [Five::UID, Three::UID, Two::UID, Dear::UID, Unlimited::UID, Free::UID, Seven::UID, One::UID]);
    assert_eq!(limits.of::<Dear>().tightest().remaining(), 6);
    assert!(traffik::Limits::of::<TooDear>(&limits).is_none());
    assert_eq!(backend.len(), 6);

    // The last limit has no room.
    assert!(!admits::<Eight>(&traffik, "alice").await?);
    assert_eq!(remaining(&traffik.limiter::<(Five, Three, Two, Dear)>("alice").peek().await?), [4, 2, 1, 6]);
    Ok(())
}

#[tokio::test]
async fn explicit_cost_and_rate_replace_those_of_the_throttle() -> Result {
    let (traffik, backend) = app();
    let larger = Rate::literal("20/min");
    let permit = traffik.limiter::<Five>("alice").cost(12).rate(larger).check().await?;
    assert_eq!(
        (permit.is_admitted(), remaining(&permit), permit.tightest().rate()),
        (true, vec![traffik::Amount::Units(8)], larger)
    );
    // Earlier charges stay charged at the throttle's own rate.
    assert!(!admits::<Five>(&traffik, "alice").await?);
    assert_eq!(remaining(&traffik.limiter::<Five>("alice").rate(larger).peek().await?), [8]);
    let refused = refused(traffik.limiter::<Five>("alice").cost(21).rate(larger).check().await);
    assert!(refused.tightest().is_never_possible());
    permit.refund().await?;
    assert_eq!(remaining(&traffik.limiter::<Five>("alice").peek().await?), [5]);

    // Each throttle of a tuple takes the cost.
    assert_eq!(remaining(&*traffik.limiter::<(Five, Three)>("alice").cost(2).check().await?), [3, 1]);
    let entries = backend.len();
    for uncounted in [traffik.limiter::<Five>("bob").cost(0), traffik.limiter::<Five>("bob").rate(Rate::UNLIMITED)] {
        let _ = uncounted.check().await?;
    }
    assert_eq!(backend.len(), entries);
    Ok(())
}

#[tokio::test]
async fn cost_of_a_limit_is_what_it_was_charged_alone() -> Result {
    let (traffik, _) = app();
    let costs = |limits: &Limits| limits.iter().map(traffik::Limit::cost).collect::<Vec<_>>();
    let permit = traffik.limiter::<(Five, Dear, Unlimited)>("alice").check().await?;
    assert_eq!(costs(&permit), [1, 4, 0]);
    let refused = refused(traffik.limiter::<(Five, Dear)>("alice").cost(5).check().await);
    assert_eq!(costs(&refused), [5, 5]);
    Ok(())
}

#[tokio::test]
async fn borrowed_name_is_the_same_client_as_an_owned_one() -> Result {
    let (traffik, _) = app();
    let name = String::from("alice");
    let limiter = {
        let line = format!("{name} sends a mail");
        traffik.limiter::<One>(line.split(' ').next().unwrap_or_default())
    };
    let _ = limiter.check().await?;
    assert!(!admits::<One>(&traffik, &name).await?);
    assert!(!admits::<One>(&traffik, name).await?);
    assert!(admits::<One>(&traffik, ("user", String::from("alice").as_str())).await?);
    Ok(())
}

#[tokio::test]
async fn refusal_names_the_limit_and_the_wait() -> Result {
    let (traffik, _) = app();
    let _ = traffik.limiter::<One>("alice").check().await?;
    let refusal = refused(traffik.limiter::<(Five, One)>("alice").check().await);
    assert_eq!(refusal.to_string(), "limit `decisions:one` refuses: retry after 1m");
    assert_eq!(format!("{refusal:?}"), format!("Refusal({refusal})"));
    assert_eq!(refusal.exceeded().map(traffik::Limit::uid).collect::<Vec<_>>(), [One::UID]);
    assert_eq!(refusal.retry_after(), refusal.tightest().retry_after());
    let refusal = refused(traffik.limiter::<One>("bob").cost(3).check().await);
    assert_eq!(refusal.to_string(), "limit `decisions:one` refuses: a cost of 3 exceeds its capacity of 1");
    assert_eq!(refusal.retry_after(), None);
    Ok(())
}

#[tokio::test]
async fn rate_that_the_strategy_refuses_is_an_error() -> Result {
    let (traffik, _) = app();
    let tiny = Rate::literal("1/50d");
    match traffik.limiter::<HugeBurst>("alice").rate(tiny).check().await.map(|_| ()) {
        Err(CheckError::Failed(Error::Config(ConfigError::RateOfRequest { .. } | ConfigError::Strategy { .. }))) => {
            Ok(())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn peek_charges_nothing() -> Result {
    let (traffik, backend) = app();
    for _ in 0..20 {
        let limits = traffik.limiter::<(One, Two)>("alice").peek().await?;
        assert!(limits.is_admitted());
        assert_eq!(remaining(&limits), [1, 2]);
    }
    assert!(backend.is_empty());

    let _ = traffik.limiter::<One>("alice").check().await?;
    assert!(!traffik.limiter::<One>("alice").peek().await?.is_admitted());
    assert!(traffik.limiter::<Two>("alice").peek().await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn reset_keeps_other_clients_and_other_throttles() -> Result {
    let (traffik, _) = app();
    for client in ["alice", "bob"] {
        let _ = traffik.limiter::<(One, Two)>(client).check().await?;
    }
    traffik.reset::<One>("alice").await?;
    assert_eq!(remaining(&traffik.limiter::<(One, Two)>("alice").peek().await?), [1, 1]);
    assert_eq!(remaining(&traffik.limiter::<(One, Two)>("bob").peek().await?), [0, 1]);

    traffik.reset::<(One, Two)>("bob").await?;
    assert_eq!(remaining(&traffik.limiter::<(One, Two)>("bob").peek().await?), [1, 2]);
    traffik.reset::<One>("nobody").await?;
    Ok(())
}

#[tokio::test]
async fn clear_resets_all_clients() -> Result {
    let (traffik, backend) = app();
    for client in ["alice", "bob"] {
        let _ = traffik.limiter::<(One, Two)>(client).check().await?;
    }
    traffik.clear().await?;
    assert!(backend.is_empty());
    assert!(admits::<(One, Two)>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn closed_app_fails_every_call() -> Result {
    let (traffik, backend) = app();
    let permit = traffik.limiter::<One>("alice").check().await?;
    traffik.close().await?;
    assert!(backend.is_empty());

    let closed = |error| matches!(error, CheckError::Failed(Error::Backend(BackendError::Closed)));
    assert!(closed(traffik.limiter::<One>("alice").check().await.unwrap_err()));
    assert!(closed(traffik.limiter::<One>("alice").peek().await.unwrap_err().into()));
    assert!(closed(traffik.reset::<One>("alice").await.unwrap_err().into()));
    assert!(
        matches!(permit.refund().await, Err(AdjustError::Backend(error)) if matches!(*error, BackendError::Closed))
    );
    assert!(closed(Error::from(traffik.clear().await.unwrap_err()).into()));
    assert!(traffik.limiter::<One>("alice").check().await.unwrap_err().to_string().contains("closed"));

    // A second close is no error, and an uncounted check needs no backend.
    traffik.close().await?;
    assert!(admits::<(Unlimited, Free)>(&traffik, "alice").await?);
    assert!(admits::<One>(&traffik, EXEMPTED).await?);
    Ok(())
}

#[tokio::test]
async fn uncounted_check_skips_the_backend() -> Result {
    let (traffik, backend) = app();
    for _ in 0..5 {
        let limits = traffik.limiter::<(Unlimited, Free)>("alice").check().await?;
        assert!(limits.iter().all(|limit| !limit.is_counted()));
        assert_eq!(remaining(&limits), [traffik::Amount::Unlimited; 2]);

        let limits = traffik.limiter::<(One, Two)>(EXEMPTED).check().await?;
        assert!(limits.iter().all(|limit| !limit.is_counted()));
        limits.refund().await?;
        traffik.reset::<One>(EXEMPTED).await?;
    }
    assert!(backend.is_empty());
    Ok(())
}

#[tokio::test]
async fn cost_above_the_limit_is_refused_as_impossible() -> Result {
    let (traffik, backend) = app();
    let refused = refused(traffik.limiter::<TooDear>("alice").check().await);
    let limit = refused.tightest();
    assert!(!limit.is_admitted() && limit.is_never_possible());
    assert_eq!((limit.retry_after(), limit.remaining().units()), (None, Some(3)));
    assert!(backend.is_empty());
    Ok(())
}

#[tokio::test]
async fn refund_returns_the_charge_of_its_decision() -> Result {
    let (traffik, _) = app();
    type All = (Five, Three, Two, Dear);
    let _ = traffik.limiter::<All>("alice").check().await?;
    let limits = traffik.limiter::<All>("alice").check().await?;
    limits.refund().await?;
    assert_eq!(remaining(&traffik.limiter::<All>("alice").peek().await?), [4, 2, 1, 6]);

    let _ = traffik.limiter::<All>("alice").check().await?;
    assert!(!admits::<All>(&traffik, "alice").await?);
    assert_eq!(remaining(&traffik.limiter::<All>("alice").peek().await?), [3, 1, 0, 2], "a refusal charged nothing");
    Ok(())
}

#[tokio::test]
async fn repeated_throttle_in_a_tuple_is_charged_and_refunded_once() -> Result {
    let (traffik, _) = app();
    let limits = traffik.limiter::<(Five, One, Five)>("alice").check().await?;
    assert_eq!(remaining(&limits), [4, 0]);
    limits.refund().await?;
    assert_eq!(remaining(&traffik.limiter::<(Five, One)>("alice").peek().await?), [5, 1]);
    Ok(())
}

#[tokio::test]
async fn clients_with_similar_keys_are_counted_separately() -> Result {
    let (traffik, backend) = app();
    let clients = [
        Client::from(("a:b", "c")),
        Client::from(("a", "b:c")),
        Client::from(("a", "b", "c")),
        Client::from("a:b:c"),
        Client::from("a/b/c"),
        Client::from(("a", "")),
        Client::from(("", "a")),
        Client::from("a"),
        Client::secret("a"),
        Client::from(7_u64),
        Client::from("7"),
        Client::from(Ipv4Addr::new(0, 0, 0, 7)),
        Client::from("0.0.0.7"),
        Client::from(Key::anonymous()),
        Client::from("anonymous"),
    ];
    for client in &clients {
        assert!(admits::<One>(&traffik, client.clone()).await?, "{client:?}");
    }
    for client in &clients {
        assert!(!admits::<One>(&traffik, client.clone()).await?, "{client:?}");
    }
    assert_eq!(backend.len(), clients.len());

    // Equal numbers of any type are one client. So are equal texts, and an address in any spelling.
    let mapped = IpAddr::V6(Ipv4Addr::new(0, 0, 0, 7).to_ipv6_mapped());
    assert!(!admits::<One>(&traffik, mapped).await?);
    assert!(!admits::<One>(&traffik, 7_i32).await?);
    assert!(!admits::<One>(&traffik, "7".to_owned()).await?);
    Ok(())
}

#[tokio::test]
async fn disabled_app_admits_everything() -> Result {
    let traffik = Traffik::disabled();
    assert!(traffik.is_disabled() && !app().0.is_disabled());
    for _ in 0..10 {
        let limits = traffik.limiter::<(One, TooDear)>("alice").check().await?;
        assert!(limits.iter().all(|limit| !limit.is_counted()));
        assert!(traffik.limiter::<One>("alice").peek().await?.is_admitted());
        limits.refund().await?;
    }
    traffik.reset::<One>("alice").await?;
    traffik.clear().await?;
    traffik.close().await?;
    assert!(admits::<One>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn two_throttles_with_one_uid_are_an_error_that_names_both() -> Result {
    let (traffik, _) = app();
    let _ = traffik.limiter::<Five>("alice").check().await?;
    let error = traffik.limiter::<AlsoFive>("alice").check().await.unwrap_err();
    let CheckError::Failed(Error::Config(ConfigError::DuplicateUid { uid, .. })) = &error else { panic!("{error}") };
    assert_eq!(**uid, *Five::UID);
    let message = error.to_string();
    assert!(message.contains("decisions::Five") && message.contains("decisions::AlsoFive"), "{message}");

    assert!(traffik.register::<(One, AlsoFive)>().is_err());
    assert!(traffik.register::<(One, Five, Five)>().is_ok(), "one throttle type is one limit");
    let both = Traffik::builder(MemoryBackend::new("test")).register::<Five>().register::<AlsoFive>();
    assert!(both.build().is_err());
    Ok(())
}

#[tokio::test]
async fn debug_output_shows_names_and_no_entries() -> Result {
    let (traffik, backend) = app();
    let mut permit = traffik.limiter::<Five>("alice").check().await?;
    let before = format!("{traffik:?} {backend:?} {permit:?}");
    for client in 0..1000_u64 {
        permit = traffik.limiter::<Five>(client).check().await?;
    }
    let after = format!("{traffik:?} {backend:?} {permit:?}");
    assert!(after.len() < before.len() + 100 && before.contains("test"), "{before}");
    Ok(())
}

#[tokio::test]
async fn uncounted_limits_can_be_reset() -> Result {
    let (traffik, backend) = app();
    let _ = traffik.limiter::<(Five, Free, Unlimited)>("alice").check().await?;
    traffik.reset::<(Five, Free, Unlimited)>("alice").await?;
    assert!(backend.is_empty());
    Ok(())
}

#[tokio::test]
async fn invalid_throttle_fails_when_it_is_registered_or_first_used() -> Result {
    let (traffik, _) = app();
    let error = traffik.register::<NoBurst>().unwrap_err();
    assert!(matches!(&error, ConfigError::Strategy { uid, .. } if **uid == *NoBurst::UID), "{error}");
    assert!(error.to_string().contains("decisions::NoBurst"), "{error}");
    assert!(traffik.register::<(One, HugeBurst)>().unwrap_err().to_string().contains("100 years"));

    let build = |builder: traffik::TraffikBuilder| builder.build().map(|_| ());
    assert!(build(Traffik::builder(MemoryBackend::new("test")).register::<NoBurst>()).is_err());
    assert!(build(Traffik::builder(MemoryBackend::new("test")).register::<(One, HugeBurst)>()).is_err());
    assert!(build(Traffik::builder(MemoryBackend::new("test")).register::<(One, Two)>()).is_ok());

    // An unregistered throttle is checked on first use.
    assert!(matches!(traffik.limiter::<NoBurst>("alice").check().await, Err(CheckError::Failed(Error::Config(_)))));
    assert!(matches!(traffik.limiter::<(One, NoBurst)>("alice").peek().await.unwrap_err(), Error::Config(_)));
    Ok(())
}

#[tokio::test]
async fn apps_on_one_store_share_their_limits() -> Result {
    let (traffik, backend) = app();
    let other = Traffik::new(backend)?;
    assert_eq!((traffik.namespace(), other.namespace()), ("test", "test"));
    let _ = traffik.limiter::<One>("alice").check().await?;
    assert!(!admits::<One>(&other, "alice").await?);
    assert!(admits::<One>(&app().0, "alice").await?, "another store is another limit");
    Ok(())
}

#[tokio::test]
async fn borrowed_text_or_uuid_is_the_same_client() -> Result {
    let (traffik, _) = app();
    for name in ["alice".to_owned(), "a client with quite a long name".to_owned()] {
        let name: &str = &name;
        let _ = traffik.limiter::<Five>(name).check().await?;
        let _ = traffik.limiter::<Five>(("user", name)).check().await?;
        assert_eq!(traffik.limiter::<Five>(name.to_owned()).peek().await?.tightest().remaining(), 4);
    }
    let uuid = uuid::Uuid::from_u128(7);
    let _ = traffik.limiter::<Five>(uuid).check().await?;
    assert_eq!(traffik.limiter::<Five>(uuid.into_bytes()).peek().await?.tightest().remaining(), 4);
    assert_eq!(traffik.limiter::<Five>(7_u128).peek().await?.tightest().remaining(), 5);
    Ok(())
}
