use traffik::{AdjustError, Throttle};

use super::{Pair, Result, Tokens, set_up};
use crate::on_error::backends::{self, Mood};

fn settlements(limit: &str, change: &str, result: &str) -> String {
    format!(r#"traffik_settlements_total{{limit="{limit}",change="{change}",result="{result}"}}"#)
}

#[tokio::test]
async fn permits_are_shown_while_they_are_held() -> Result {
    let (builder, _, recorded) = set_up();
    let traffik = builder.build()?;
    let permits = r#"traffik_active_permits{limit="metrics:pair",backend="default"}"#;
    let first = traffik.limiter::<Pair>("alice").check().await?;
    let second = traffik.limiter::<Pair>("alice").check().await?;
    let clone = second.clone();
    assert_eq!(recorded.value(permits), Some(2.0));
    drop(first);
    assert_eq!(recorded.value(permits), Some(1.0));
    clone.refund().await?;
    assert_eq!(recorded.value(permits), Some(0.0));
    drop((second, clone));
    assert_eq!(recorded.value(permits), Some(0.0));
    Ok(())
}

#[tokio::test]
async fn settlements_are_counted_by_result() -> Result {
    let (builder, _, recorded) = set_up();
    let traffik = builder.build()?;
    let count = |change, result| recorded.value(&settlements(Tokens::UID, change, result));
    let permit = traffik.limiter::<Tokens>("alice").cost(10).check().await?;
    permit.settle(4).await?;
    assert!(matches!(permit.settle(5).await, Err(AdjustError::Settled)));
    assert_eq!((count("settle", "done"), count("settle", "ended")), (Some(1.0), Some(1.0)));

    let permit = traffik.limiter::<Tokens>("alice").cost(10).check().await?;
    permit.charge_more(3).await?;
    permit.refund().await?;
    assert_eq!((count("charge_more", "done"), count("refund", "done")), (Some(1.0), Some(1.0)));
    Ok(())
}

#[tokio::test]
async fn overdraft_is_the_cost_after_the_decision() -> Result {
    let (builder, _, recorded) = set_up();
    let traffik = builder.build()?;
    let overdraft = || recorded.value(r#"traffik_overdraft_total{limit="metrics:tokens"}"#);
    let permit = traffik.limiter::<Tokens>("alice").cost(90).check().await?;
    assert_eq!(overdraft(), None);
    permit.charge_more(5).await?;
    assert_eq!(overdraft(), Some(5.0));
    // Only 5 of these fit.
    permit.settle(120).await?;
    assert_eq!(overdraft(), Some(30.0));
    traffik.limiter::<Tokens>("bob").cost(9).check().await?.settle(3).await?;
    assert_eq!(overdraft(), Some(30.0));
    Ok(())
}

#[tokio::test]
async fn settlement_without_an_answer_is_in_doubt() -> Result {
    let recorded = super::Recorded::begin();
    let (traffik, backend, _) = backends::app(|builder, _| builder);
    let permit = traffik.limiter::<Tokens>("alice").cost(10).check().await?;
    backend.is(Mood::Fails);
    assert!(permit.settle(4).await.is_err());
    assert_eq!(recorded.value(&settlements(Tokens::UID, "settle", "in_doubt")), Some(1.0));
    Ok(())
}
