//! Quotas: charges to several throttles and clients as one decision.

use traffik::{
    CheckError, ConfigError, Error, Limits, MemoryBackend, Settings, Settlement, Traffik, test::ManualClock,
};

use super::{Result, remaining};
use crate::http::app::{throttle, traffik};

throttle!(Reports, "quotas:reports", "3/hour");
throttle!(Rows, "quotas:rows", "1000/day");
throttle!(Local, "quotas:local", "9/min", Settings::new().backend("local"));

#[tokio::test]
async fn quota_charges_all_or_nothing() -> Result {
    let (traffik, _) = traffik();
    for (rows, is_admitted) in [(600, true), (600, false), (400, true)] {
        let mut quota = traffik.quota();
        quota.add(traffik.limiter::<Reports>("alice"));
        quota.add(traffik.limiter::<Rows>("acme").cost(rows));
        assert_eq!(quota.peek().await?.is_admitted(), is_admitted);
        assert_eq!(quota.check().await.is_ok(), is_admitted);
    }
    assert_eq!((remaining::<Reports>(&traffik, "alice").await?, remaining::<Rows>(&traffik, "acme").await?), (1, 0));
    Ok(())
}

#[tokio::test]
async fn charges_of_one_throttle_to_one_client_add_up() -> Result {
    let (traffik, _) = traffik();
    let mut quota = traffik.quota();
    for client in ["alice", "bob", "alice"] {
        quota.add(traffik.limiter::<Reports>(client));
    }
    let permit = quota.check().await?;
    assert_eq!(permit.iter().count(), 3);
    assert_eq!((remaining::<Reports>(&traffik, "alice").await?, remaining::<Reports>(&traffik, "bob").await?), (1, 2));
    assert_eq!(permit.refund().await?, Settlement::Done);
    assert_eq!((remaining::<Reports>(&traffik, "alice").await?, remaining::<Reports>(&traffik, "bob").await?), (3, 3));
    Ok(())
}

#[tokio::test]
async fn each_limit_of_a_quota_has_its_own_cost_though_both_share_an_entry() -> Result {
    let (traffik, _) = traffik();
    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Rows>("acme").cost(200));
    quota.add(traffik.limiter::<Rows>("acme").cost(50));
    let costs = |limits: &Limits| limits.iter().map(traffik::Limit::cost).collect::<Vec<_>>();
    assert_eq!(costs(&quota.peek().await?), [200, 50]);
    let permit = quota.check().await?;
    assert_eq!(costs(&permit), [200, 50]);
    assert_eq!(remaining::<Rows>(&traffik, "acme").await?, 750);
    Ok(())
}

#[tokio::test]
async fn parts_of_a_quota_are_settled_one_by_one() -> Result {
    let (traffik, _) = traffik();
    let mut quota = traffik.quota();
    let both = quota.add(traffik.limiter::<(Reports, Rows)>("alice").cost(2));
    let rows = quota.add(traffik.limiter::<Rows>("acme").cost(500));
    let other = traffik.quota().add(traffik.limiter::<Reports>("bob"));
    let permit = quota.check().await?;

    assert_eq!(permit.part(&rows).ok_or("no part")?.settle(120).await?, Settlement::Done);
    assert_eq!(permit.part(&both).ok_or("no part")?.of::<Rows>().settle(7).await?, Settlement::Done);
    assert_eq!((remaining::<Rows>(&traffik, "acme").await?, remaining::<Rows>(&traffik, "alice").await?), (880, 993));
    assert_eq!(remaining::<Reports>(&traffik, "alice").await?, 1);
    assert!(permit.part(&other).is_none(), "it is a part of another quota");
    Ok(())
}

#[tokio::test]
async fn dropped_quota_has_no_effect() -> Result {
    let (traffik, _) = traffik();
    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Reports>("alice"));
    drop(quota);
    assert_eq!(remaining::<Reports>(&traffik, "alice").await?, 3);
    Ok(())
}

#[tokio::test]
async fn quota_that_cannot_be_decided_is_an_error_that_says_why() -> Result {
    let (traffik, clock) = traffik();
    let failed = traffik.quota().check().await;
    assert!(matches!(failed, Err(CheckError::Failed(Error::Config(ConfigError::EmptyQuota)))), "{failed:?}");

    let (other, _) = crate::http::app::traffik();
    let mut quota = traffik.quota();
    quota.add(other.limiter::<Reports>("alice"));
    quota.add(traffik.limiter::<Reports>("alice"));
    let failed = quota.check().await;
    assert!(matches!(failed, Err(CheckError::Failed(Error::Config(ConfigError::OtherApp)))), "{failed:?}");

    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Reports>("alice").wait(std::time::Duration::ZERO));
    let failed = quota.check().await;
    assert!(matches!(failed, Err(CheckError::Failed(Error::Config(ConfigError::WaitingQuota)))), "{failed:?}");

    let backend = MemoryBackend::with_clock("test", clock);
    let local = MemoryBackend::with_clock("local", ManualClock::new());
    let traffik = Traffik::builder(backend).backend("local", local).build()?;
    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Reports>("alice"));
    quota.add(traffik.limiter::<Local>("alice"));
    let failed = quota.check().await;
    assert!(matches!(failed, Err(CheckError::Failed(Error::Config(ConfigError::TwoBackends { .. })))), "{failed:?}");
    assert_eq!(remaining::<Reports>(&traffik, "alice").await?, 3);
    Ok(())
}

#[tokio::test]
async fn part_of_a_quota_takes_what_fits() -> Result {
    let (traffik, _) = traffik();
    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Reports>("alice"));
    let rows = quota.add(traffik.limiter::<Rows>("acme").at_least(1).at_most(5000));
    let permit = quota.check().await?;
    assert_eq!(permit.part(&rows).map(|rows| rows.granted()), Some(1000));
    Ok(())
}
