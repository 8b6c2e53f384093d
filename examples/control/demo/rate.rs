//! A rate that is raised through one app, for both.

use std::error::Error;

use reqwest::Method;

use super::{
    expect, heading,
    operator::{Operator, until},
};

pub(super) async fn show(operator: &Operator) -> Result<(), Box<dyn Error>> {
    heading("A rate: `GET /search` allows 5 requests an hour, until an operator raises that");
    for (request, app) in (1..=7).zip([1, 2].into_iter().cycle()) {
        let answer = operator.get(app, "/search").await?;
        println!("  request {request} at app {app}: {}", answer.status);
        expect("a request", &answer.status, &if request <= 5 { 200 } else { 429 })?;
    }
    operator.change(1, Method::PATCH, "/admin/limits/search", r#"{"rate": "20/hour"}"#).await?;
    let raised = async || Ok::<_, Box<dyn Error>>(operator.get(2, "/search").await?.status == 200);
    let took = until("app 2 has the rate", raised).await?;
    println!("  app 2 admits again after {took:.1?}; both apps have 20 requests an hour, of which 5 were used before");
    for app in [1, 2] {
        let answer = operator.get(app, "/search").await?;
        expect("the policy", &(answer.status, answer.policy.as_str()), &(200, r#""search";q=20;w=3600"#))?;
        let source = operator.show(app, "/admin/limits/search", "/rate/source").await?;
        println!("  app {app} lists the rate of the source {source}");
        expect("the source of the rate", &source, &"shared".into())?;
    }
    Ok(())
}
