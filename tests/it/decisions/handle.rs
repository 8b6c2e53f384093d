//! The handle of an app: throttles, alone and as tuples.

use std::net::{IpAddr, Ipv4Addr};

use traffik::{
    Client, ConfigError, EXEMPTED, Error, Limits, Rate, Throttle, Traffik,
    backend::{BackendError, MemoryBackend},
    client::Key,
    test::ManualClock,
};

use super::{AlsoFive, Dear, Five, Free, HugeBurst, NoBurst, One, Seven, Three, TooDear, Two, Unlimited};

type Result = std::result::Result<(), Error>;

/// An app, and the store behind it.
#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
fn app() -> (Traffik, MemoryBackend) {
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    (Traffik::new(backend.clone()).unwrap(), backend)
}

fn remaining(limits: &Limits) -> Vec<traffik::Amount> {
    limits.iter().map(traffik::Limit::remaining).collect()
}

#[tokio::test]
async fn a_tuple_is_charged_whole_or_not_at_all() -> Result {
    let (traffik, _) = app();
    type All = (Five, Three, Two);
    assert_eq!(remaining(traffik.hit::<All>("alice").await?.limits()), [4, 2, 1]);
    assert_eq!(remaining(traffik.hit::<All>("alice").await?.limits()), [3, 1, 0]);

    let refused = traffik.hit::<All>("alice").await?;
    assert!(!refused.is_admitted());
    assert_eq!(refused.iter().map(traffik::Limit::is_admitted).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(refused.tightest().uid(), Two::UID);
    assert_eq!(remaining(&traffik.peek::<All>("alice").await?), [3, 1, 0]);
    Ok(())
}

#[tokio::test]
async fn a_tuple_of_eight_is_one_decision() -> Result {
    let (traffik, backend) = app();
    type Eight = (Five, Three, Two, Dear, Unlimited, Free, Seven, One);
    let limits = traffik.hit::<Eight>("alice").await?;
    let uids: Vec<_> = limits.iter().map(traffik::Limit::uid).collect();
    assert_eq!(uids, [Five::UID, Three::UID, Two::UID, Dear::UID, Unlimited::UID, Free::UID, Seven::UID, One::UID]);
    assert!(limits.is_admitted());
    assert_eq!(limits.of::<Dear>().map(traffik::Limit::remaining), Some(traffik::Amount::Units(6)));
    assert!(limits.of::<TooDear>().is_none());
    assert_eq!(backend.len(), 6);

    // The last of them has no room.
    assert!(!traffik.hit::<Eight>("alice").await?.is_admitted());
    assert_eq!(remaining(&traffik.peek::<(Five, Three, Two, Dear)>("alice").await?), [4, 2, 1, 6]);
    Ok(())
}

#[tokio::test]
async fn a_cost_and_a_rate_can_be_given_by_hand() -> Result {
    let (traffik, backend) = app();
    let larger = Rate::literal("20/min");
    let charge = traffik.ask::<Five>("alice").cost(12).rate(larger).hit().await?;
    assert_eq!(
        (charge.is_admitted(), remaining(&charge), charge.tightest().rate()),
        (true, vec![traffik::Amount::Units(8)], larger)
    );
    // What was used stays used at the throttle's own rate.
    assert!(!traffik.hit::<Five>("alice").await?.is_admitted());
    assert_eq!(remaining(&traffik.ask::<Five>("alice").rate(larger).peek().await?), [8]);
    assert!(traffik.ask::<Five>("alice").cost(21).rate(larger).hit().await?.tightest().is_never_possible());
    charge.refund().await?;
    assert_eq!(remaining(&traffik.peek::<Five>("alice").await?), [5]);

    // Of a tuple, each takes the cost.
    assert_eq!(remaining(&*traffik.ask::<(Five, Three)>("alice").cost(2).hit().await?), [3, 1]);
    let entries = backend.len();
    for uncounted in [traffik.ask::<Five>("bob").cost(0), traffik.ask::<Five>("bob").rate(Rate::UNLIMITED)] {
        assert!(uncounted.hit().await?.is_admitted());
    }
    assert_eq!(backend.len(), entries);
    Ok(())
}

#[tokio::test]
async fn a_rate_by_hand_has_to_go_with_the_strategy() -> Result {
    let (traffik, _) = app();
    let tiny = Rate::literal("1/50d");
    match traffik.ask::<HugeBurst>("alice").rate(tiny).hit().await.map(|_| ()) {
        Err(Error::Config(ConfigError::RateOfRequest { .. } | ConfigError::Strategy { .. })) => Ok(()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_peek_charges_nothing() -> Result {
    let (traffik, backend) = app();
    for _ in 0..20 {
        let limits = traffik.peek::<(One, Two)>("alice").await?;
        assert!(limits.is_admitted());
        assert_eq!(remaining(&limits), [1, 2]);
    }
    assert!(backend.is_empty());

    traffik.hit::<One>("alice").await?;
    assert!(!traffik.peek::<One>("alice").await?.is_admitted());
    assert!(traffik.peek::<Two>("alice").await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn a_reset_touches_no_other_client_and_no_other_throttle() -> Result {
    let (traffik, _) = app();
    for client in ["alice", "bob"] {
        traffik.hit::<(One, Two)>(client).await?;
    }
    traffik.reset::<One>("alice").await?;
    assert_eq!(remaining(&traffik.peek::<(One, Two)>("alice").await?), [1, 1]);
    assert_eq!(remaining(&traffik.peek::<(One, Two)>("bob").await?), [0, 1]);

    traffik.reset::<(One, Two)>("bob").await?;
    assert_eq!(remaining(&traffik.peek::<(One, Two)>("bob").await?), [1, 2]);
    traffik.reset::<One>("nobody").await?;
    Ok(())
}

#[tokio::test]
async fn clear_lets_everybody_start_fresh() -> Result {
    let (traffik, backend) = app();
    for client in ["alice", "bob"] {
        traffik.hit::<(One, Two)>(client).await?;
    }
    traffik.clear().await?;
    assert!(backend.is_empty());
    assert!(traffik.hit::<(One, Two)>("alice").await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn after_close_every_call_says_so() -> Result {
    let (traffik, backend) = app();
    let limits = traffik.hit::<One>("alice").await?;
    traffik.close().await?;
    assert!(backend.is_empty());

    let closed = |error| matches!(error, Error::Backend(BackendError::Closed));
    assert!(closed(traffik.hit::<One>("alice").await.unwrap_err()));
    assert!(closed(traffik.peek::<One>("alice").await.unwrap_err()));
    assert!(closed(traffik.reset::<One>("alice").await.unwrap_err()));
    assert!(closed(limits.refund().await.unwrap_err().into()));
    assert!(closed(traffik.clear().await.unwrap_err().into()));
    assert!(traffik.hit::<One>("alice").await.unwrap_err().to_string().contains("closed"));

    // Closing what is closed is no error, and what is never counted needs no backend.
    traffik.close().await?;
    assert!(traffik.hit::<(Unlimited, Free)>("alice").await?.is_admitted());
    assert!(traffik.hit::<One>(EXEMPTED).await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn what_is_not_counted_never_reaches_the_backend() -> Result {
    let (traffik, backend) = app();
    for _ in 0..5 {
        let limits = traffik.hit::<(Unlimited, Free)>("alice").await?;
        assert!(limits.is_admitted() && limits.iter().all(|limit| !limit.is_counted()));
        assert_eq!(remaining(&limits), [traffik::Amount::Unlimited; 2]);

        let limits = traffik.hit::<(One, Two)>(EXEMPTED).await?;
        assert!(limits.is_admitted() && limits.iter().all(|limit| !limit.is_counted()));
        limits.refund().await?;
        traffik.reset::<One>(EXEMPTED).await?;
    }
    assert!(backend.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_cost_that_never_fits_says_so() -> Result {
    let (traffik, backend) = app();
    let limits = traffik.hit::<TooDear>("alice").await?;
    let limit = limits.tightest();
    assert!(!limit.is_admitted() && limit.is_never_possible());
    assert_eq!((limit.retry_after(), limit.remaining().units()), (None, Some(3)));
    assert!(backend.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_refund_gives_back_what_a_decision_charged() -> Result {
    let (traffik, _) = app();
    type All = (Five, Three, Two, Dear);
    traffik.hit::<All>("alice").await?;
    let limits = traffik.hit::<All>("alice").await?;
    limits.refund().await?;
    assert_eq!(remaining(&traffik.peek::<All>("alice").await?), [4, 2, 1, 6]);

    traffik.hit::<All>("alice").await?;
    let refused = traffik.hit::<All>("alice").await?;
    assert!(!refused.is_admitted());
    refused.refund().await?;
    assert_eq!(remaining(&traffik.peek::<All>("alice").await?), [3, 1, 0, 2], "a refusal charged nothing");
    Ok(())
}

#[tokio::test]
async fn a_throttle_twice_in_a_tuple_is_charged_and_given_back_once() -> Result {
    let (traffik, _) = app();
    let limits = traffik.hit::<(Five, One, Five)>("alice").await?;
    assert_eq!(remaining(&limits), [4, 0]);
    limits.refund().await?;
    assert_eq!(remaining(&traffik.peek::<(Five, One)>("alice").await?), [5, 1]);
    Ok(())
}

#[tokio::test]
async fn clients_whose_keys_look_alike_count_apart() -> Result {
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
        assert!(traffik.hit::<One>(client.clone()).await?.is_admitted(), "{client:?}");
    }
    for client in &clients {
        assert!(!traffik.hit::<One>(client.clone()).await?.is_admitted(), "{client:?}");
    }
    assert_eq!(backend.len(), clients.len());

    // Numbers are one client whatever their type was, and so are texts, and an address however it was written.
    let mapped = IpAddr::V6(Ipv4Addr::new(0, 0, 0, 7).to_ipv6_mapped());
    assert!(!traffik.hit::<One>(mapped).await?.is_admitted());
    assert!(!traffik.hit::<One>(7_i32).await?.is_admitted());
    assert!(!traffik.hit::<One>("7".to_owned()).await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn disabled_admits_everything() -> Result {
    let traffik = Traffik::disabled();
    assert!(traffik.is_disabled() && !app().0.is_disabled());
    for _ in 0..10 {
        let limits = traffik.hit::<(One, TooDear)>("alice").await?;
        assert!(limits.is_admitted() && limits.iter().all(|limit| !limit.is_counted()));
        assert!(traffik.peek::<One>("alice").await?.is_admitted());
        limits.refund().await?;
    }
    traffik.reset::<One>("alice").await?;
    traffik.clear().await?;
    traffik.close().await?;
    assert!(traffik.hit::<One>("alice").await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn two_throttles_of_one_uid_are_an_error_that_names_both() -> Result {
    let (traffik, _) = app();
    traffik.hit::<Five>("alice").await?;
    let error = traffik.hit::<AlsoFive>("alice").await.unwrap_err();
    let Error::Config(ConfigError::DuplicateUid { uid, .. }) = &error else { panic!("{error}") };
    assert_eq!(**uid, *Five::UID);
    let message = error.to_string();
    assert!(message.contains("decisions::Five") && message.contains("decisions::AlsoFive"), "{message}");

    assert!(traffik.register::<(One, AlsoFive)>().is_err());
    assert!(traffik.register::<(One, Five, Five)>().is_ok(), "one type in several places is one limit");
    let both = Traffik::builder(MemoryBackend::new("test")).register::<Five>().register::<AlsoFive>();
    assert!(both.build().is_err());
    Ok(())
}

#[tokio::test]
async fn a_handle_and_its_store_show_their_names_and_not_what_they_hold() -> Result {
    let (traffik, backend) = app();
    let mut charge = traffik.hit::<Five>("alice").await?;
    let before = format!("{traffik:?} {backend:?} {charge:?}");
    for client in 0..1000_u64 {
        charge = traffik.hit::<Five>(client).await?;
    }
    let after = format!("{traffik:?} {backend:?} {charge:?}");
    assert!(after.len() < before.len() + 100 && before.contains("test"), "{before}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_charged_now_can_still_be_reset() -> Result {
    let (traffik, backend) = app();
    traffik.hit::<(Five, Free, Unlimited)>("alice").await?;
    traffik.reset::<(Five, Free, Unlimited)>("alice").await?;
    assert!(backend.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_throttle_that_cannot_work_is_found_early() -> Result {
    let (traffik, _) = app();
    let error = traffik.register::<NoBurst>().unwrap_err();
    assert!(matches!(&error, ConfigError::Strategy { uid, .. } if **uid == *NoBurst::UID), "{error}");
    assert!(error.to_string().contains("decisions::NoBurst"), "{error}");
    assert!(traffik.register::<(One, HugeBurst)>().unwrap_err().to_string().contains("100 years"));

    let build = |builder: traffik::TraffikBuilder| builder.build().map(|_| ());
    assert!(build(Traffik::builder(MemoryBackend::new("test")).register::<NoBurst>()).is_err());
    assert!(build(Traffik::builder(MemoryBackend::new("test")).register::<(One, HugeBurst)>()).is_err());
    assert!(build(Traffik::builder(MemoryBackend::new("test")).register::<(One, Two)>()).is_ok());

    // Where it was not registered, it is found when it is used.
    assert!(matches!(traffik.hit::<NoBurst>("alice").await.unwrap_err(), Error::Config(_)));
    assert!(matches!(traffik.peek::<(One, NoBurst)>("alice").await.unwrap_err(), Error::Config(_)));
    Ok(())
}

#[tokio::test]
async fn apps_on_one_store_share_their_limits() -> Result {
    let (traffik, backend) = app();
    let other = Traffik::new(backend)?;
    assert_eq!((traffik.namespace(), other.namespace()), ("test", "test"));
    traffik.hit::<One>("alice").await?;
    assert!(!other.hit::<One>("alice").await?.is_admitted());
    assert!(app().0.hit::<One>("alice").await?.is_admitted(), "another store is another limit");
    Ok(())
}

#[tokio::test]
async fn client_of_borrowed_text_or_uuid_is_the_same_client() -> Result {
    let (traffik, _) = app();
    for name in ["alice".to_owned(), "somebody with quite a long name".to_owned()] {
        let name: &str = &name;
        traffik.hit::<Five>(name).await?;
        traffik.hit::<Five>(("user", name)).await?;
        assert_eq!(traffik.peek::<Five>(name.to_owned()).await?.tightest().remaining(), 4);
    }
    let uuid = uuid::Uuid::from_u128(7);
    traffik.hit::<Five>(uuid).await?;
    assert_eq!(traffik.peek::<Five>(uuid.into_bytes()).await?.tightest().remaining(), 4);
    assert_eq!(traffik.peek::<Five>(7_u128).await?.tightest().remaining(), 5);
    Ok(())
}
