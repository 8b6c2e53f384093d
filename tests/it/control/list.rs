//! The list of limits.

use traffik::{
    FixedWindow, Settings, TokenBucket,
    control::{KnownBy, Source},
};

use super::{FIVE, Result, TWO, knowing};
use crate::http::app::throttle;

throttle!(Listed, "listed:plain", "5/hour", Settings::new().strategy(TokenBucket::new()));
throttle!(Planned, "listed:planned", "5/hour", Settings::new().strategy(FixedWindow).rate_of(|_, _| TWO).cost(3));

#[tokio::test]
async fn list_names_each_limit_and_how_it_became_known() -> Result {
    let (traffik, _) = knowing::<Listed>()?;
    let known = |uid: &str| traffik.limits().into_iter().find(|limit| limit.uid() == uid).map(|limit| limit.known_by());
    assert_eq!([known("listed:plain"), known("listed:planned")], [Some(KnownBy::Registered), None]);
    let _ = traffik.limiter::<Planned>("alice").check().await?;
    assert_eq!(known("listed:planned"), Some(KnownBy::Met));
    let uids: Vec<_> = traffik.limits().into_iter().map(|limit| limit.uid().to_owned()).collect();
    assert!(uids.is_sorted());
    Ok(())
}

#[tokio::test]
async fn list_shows_the_value_of_every_source() -> Result {
    let (traffik, _) = knowing::<Planned>()?;
    let planned = traffik.limit("listed:planned")?;
    let rate = planned.info()?.rate().clone();
    assert_eq!((rate.value(), rate.source()), (FIVE, Source::Request));
    planned.set_rate("7/hour".parse()?)?;
    traffik.disable_all();
    let info = planned.info()?;
    assert_eq!((info.rate().value(), info.rate().source()), ("7/hour".parse()?, Source::Local));
    assert_eq!((info.cost().value(), info.cost().source()), (3, Source::Code));
    assert_eq!((info.enabled().value(), info.enabled().source()), (false, Source::Local));
    let sources: Vec<_> = info.rate().sources().collect();
    let expected = [(Source::Local, Some("7/hour".parse()?)), (Source::Request, None), (Source::Code, Some(FIVE))];
    assert_eq!(sources, expected);
    Ok(())
}

#[tokio::test]
async fn list_is_serialized() -> Result {
    let (traffik, _) = knowing::<Listed>()?;
    let listed = traffik.limit("listed:plain")?;
    listed.set_rate(TWO)?;
    let info = serde_json::to_value(listed.info()?)?;
    assert_eq!((&info["uid"], &info["known_by"]), (&"listed:plain".into(), &"registered".into()));
    assert_eq!((&info["strategy"], &info["backend"]), (&"token-bucket".into(), &serde_json::Value::Null));
    let rate = r#"{"value":"2/hour","source":"local","sources":[{"source":"local","value":"2/hour"},{"source":"code","value":"5/hour"}]}"#;
    assert_eq!(info["rate"], serde_json::from_str::<serde_json::Value>(rate)?);
    Ok(())
}
