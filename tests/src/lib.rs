//! The README and the guide, whose code is compiled and run here. The tests themselves are in `it`.

/// A module for each page, with the page as its documentation.
macro_rules! pages {
    ($($name:ident: $file:literal,)+) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($file)]
            mod $name {}
        )+
    };
}

pages! {
    readme: "../../README.md",
    browsers: "../../docs/browsers.md",
    concurrency: "../../docs/concurrency.md",
    design: "../../docs/design.md",
    identifiers: "../../docs/identifiers.md",
    outages: "../../docs/outages.md",
    quickstart: "../../docs/quickstart.md",
    rates: "../../docs/rates.md",
    redis: "../../docs/redis.md",
    requests: "../../docs/requests.md",
    responses: "../../docs/responses.md",
    rules: "../../docs/rules.md",
    strategies: "../../docs/strategies.md",
    testing: "../../docs/testing.md",
    websockets: "../../docs/websockets.md",
    warnings: "../../docs/warnings.md",
}
