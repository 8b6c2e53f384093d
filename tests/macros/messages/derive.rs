//! A derived throttle has exactly one limit.
use traffik::Throttle;

#[derive(Throttle)]
struct Nothing;

#[derive(Throttle)]
#[limit]
struct Empty;

#[derive(Throttle)]
#[limit("derive:a", "5/min")]
#[limit("derive:b", "50/hour")]
struct Two;

#[derive(Throttle)]
#[limit("derive:generic", "5/min")]
struct Generic<T>(T);

#[derive(Throttle)]
#[limit(Two, "derive:uid", "5/min", strategies = 5)]
struct Misspelt;

fn main() {}
