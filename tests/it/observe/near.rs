//! Near-limit events.

use traffik::{DefaultIdentity, MemoryBackend, Rate, Settings, Throttle, Traffik};

use super::{DryNear, Near, Result, app};

#[tokio::test]
async fn admission_that_leaves_the_share_used_is_near() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    for near in [false, false, false, true, true] {
        let _ = traffik.limiter::<Near>("alice").check().await?;
        let _ = traffik.limiter::<DryNear>("alice").check().await?;
        assert_eq!(events.take().iter().map(|event| event.is_near).collect::<Vec<_>>(), [near; 2]);
    }
    let _ = tests::refused(traffik.limiter::<Near>("alice").check().await);
    assert!(!events.take().iter().any(|event| event.is_near), "a refusal is no near-limit event");
    // At another rate the share is of that rate.
    let _ = traffik.limiter::<Near>("bob").rate("10/min".parse()?).cost(7).check().await?;
    let _ = traffik.limiter::<Near>("bob").rate("10/min".parse()?).check().await?;
    assert_eq!(events.take().iter().map(|event| event.is_near).collect::<Vec<_>>(), [false, true]);
    Ok(())
}

throttles! {
    Nothing: "observe:warn-at-0", "5/min", Settings::new().warn_at(0.0);
    TooMuch: "observe:warn-at-2", "5/min", Settings::new().warn_at(2.0);
    NoNumber: "observe:warn-at-nan", "5/min", Settings::new().warn_at(f64::NAN);
}

#[test]
fn share_out_of_range_is_an_error_of_the_build() {
    fn error<T: Throttle>() -> String {
        Traffik::builder(MemoryBackend::new("test")).register::<T>().build().unwrap_err().to_string()
    }
    for (error, share) in [(error::<Nothing>(), "0:"), (error::<TooMuch>(), "2:"), (error::<NoNumber>(), "NaN:")] {
        assert!(error.contains(&format!("has `warn_at` {share}")) && error.contains("such as 0.8"), "{error}");
    }
}
