//! What calls share a limit by.

use traffik::{Client, EXEMPTED, outgoing::OutgoingError};

use super::{Api, One, Result, call, traffik};

#[tokio::test]
async fn calls_to_one_host_share_a_limit() -> Result {
    let (traffik, _) = traffik()?;
    let client = Api::default().client(&traffik.outgoing::<One>());
    call(&client, "http://one.example.com/a")?.await?;
    assert!(call(&client, "https://ONE.example.com:8443/b")?.await.is_err());
    call(&client, "http://two.example.com/a")?.await?;
    let error = call(&client, "/a")?.await.err().ok_or("it was made")?;
    assert!(matches!(error, OutgoingError::NoHost) && error.to_string().contains("absolute URI"), "{error}");
    Ok(())
}

#[tokio::test]
async fn calls_with_one_key_share_a_limit() -> Result {
    let (traffik, _) = traffik()?;
    let client = Api::default().client(&traffik.outgoing::<One>().key("payments"));
    call(&client, "http://one.example.com/")?.await?;
    assert!(call(&client, "/a")?.await.is_err());
    assert_eq!(traffik.limiter::<One>("payments").peek().await?.tightest().remaining(), 0);
    Ok(())
}

#[tokio::test]
async fn function_returns_the_key_of_a_call() -> Result {
    let (traffik, _) = traffik()?;
    let layer = traffik.outgoing::<One>().key_by(|parts| match parts.uri.path() {
        "/status" => EXEMPTED,
        path => Client::from(path.to_owned()),
    });
    let client = Api::default().client(&layer);
    call(&client, "http://one.example.com/a")?.await?;
    assert!(call(&client, "http://two.example.com/a")?.await.is_err());
    call(&client, "http://one.example.com/b")?.await?;
    for _ in 0..3 {
        call(&client, "http://one.example.com/status")?.await?;
    }
    Ok(())
}

#[tokio::test]
async fn layers_of_one_app_share_a_limit() -> Result {
    let (traffik, _) = traffik()?;
    let [one, other] = [(); 2].map(|()| Api::default().client(&traffik.outgoing::<One>()));
    call(&one, "http://one.example.com/")?.await?;
    assert!(call(&other, "http://one.example.com/")?.await.is_err());
    Ok(())
}
