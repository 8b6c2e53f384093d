//! The settings that all users of a namespace share.

use std::sync::Arc;

use traffik_core::backend::{Backend, ControlRequest};

use super::crowds::{TASKS, at_once};
use crate::{
    bench::{Bench, Check, RATE, Subject, ensure},
    failure::Mismatch,
};

fn replace<'a>(name: &'a str, expected: Option<&'a str>, value: Option<&'a str>) -> ControlRequest<'a> {
    ControlRequest::Replace { name, expected, value }
}

/// Sets a setting that does not exist.
async fn set(subject: &mut Subject, name: &str, value: &str) -> Check {
    let set = subject.control(replace(name, None, Some(value))).await?;
    ensure(format!("whether {name:?} is set"), true, set.is_replaced)
}

pub(super) async fn settings_are_returned_if_their_version_differs(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let empty = subject.control(ControlRequest::Read { known: 0 }).await?;
    ensure("the version of no settings", 0, empty.version)?;
    let mut versions = vec![0];
    for name in ["one", "two", "three"] {
        set(&mut subject, name, "a value").await?;
        let known = subject.control(ControlRequest::Read { known: 0 }).await?.version;
        subject.control(ControlRequest::Read { known }).await?;
        versions.push(known);
        for &known in &versions {
            subject.control(ControlRequest::Read { known }).await?;
        }
    }
    subject.control(ControlRequest::Read { known: u64::MAX }).await.map(drop)
}

pub(super) async fn setting_with_the_expected_value_is_replaced(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    set(&mut subject, "other", "stays").await?;
    let values = [None, Some("one"), Some("two"), Some(""), Some("One")];
    for stored in values {
        for expected in values {
            for value in values {
                let replaced = subject.control(replace("setting", expected, value)).await?;
                let asked = format!("whether {stored:?} is replaced, where {expected:?} is expected");
                ensure(asked, expected == stored, replaced.is_replaced)?;
                if expected == stored {
                    subject.control(replace("setting", value, stored)).await?;
                }
            }
        }
        let next = values.iter().skip_while(|value| **value != stored).nth(1).copied().flatten();
        subject.control(replace("setting", stored, next)).await?;
    }
    Ok(())
}

pub(super) async fn setting_may_have_any_text(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let texts = ["a", "A", "a:b", "version", "=", "a\n", " a", "ä", "{a}", "*", "\u{0}", "limit \"a\""];
    for text in texts {
        set(&mut subject, text, text).await?;
    }
    let long = "long ".repeat(2000);
    set(&mut subject, "long", &long).await?;
    for text in texts {
        subject.control(replace(text, Some(text), None)).await?;
    }
    Ok(())
}

pub(super) async fn settings_survive_a_clear(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let entry = subject.entry(&bench.strategy(), RATE);
    set(&mut subject, "setting", "value").await?;
    subject.exhaust(&entry).await?;
    subject.clear().await?;
    ensure("a peek after a clear", entry.capacity(), subject.remaining(&entry).await?)?;
    subject.control(ControlRequest::Read { known: 0 }).await?;
    subject.control(replace("setting", Some("value"), Some("another"))).await.map(drop)
}

pub(super) async fn settings_of_namespaces_are_separate(bench: Bench) -> Check {
    for namespace in ["settings", "settings:more", "settings*", "{settings}", "settings|control"] {
        let mut subject = bench.of(namespace).await?;
        subject.control(ControlRequest::Read { known: 0 }).await?;
        set(&mut subject, "setting", namespace).await?;
    }
    Ok(())
}

/// Each task counts up, if no other did since it read.
pub(super) async fn one_of_two_writers_replaces_a_setting(bench: Bench) -> Check {
    let subject = bench.subject().await?;
    let work = |backend: Arc<dyn Backend>, _: u64| async move {
        let mut replaced = 0;
        let mut known: Option<String> = None;
        for _ in 0..20 {
            let next = known.as_deref().map_or(0, |known| known.parse().unwrap_or(0)) + 1_u64;
            let answer = backend.control(replace("count", known.as_deref(), Some(&next.to_string()))).await;
            let answer = answer.map_err(|error| Mismatch::unanswered_at_all("to count up", &error))?;
            replaced += u64::from(answer.is_replaced);
            let settings = answer.settings.into_iter().flatten();
            known = settings.filter(|(name, _)| name == "count").map(|(_, value)| value).next();
        }
        Ok(vec![replaced])
    };
    let replaced = at_once(&subject, work).await?;
    let read = subject.backend.control(ControlRequest::Read { known: 0 }).await;
    let read = read.map_err(|error| Mismatch::unanswered_at_all("to read the count", &error))?;
    let counted = read.settings.into_iter().flatten().find(|(name, _)| name == "count");
    let counted = counted.and_then(|(_, count)| count.parse().ok()).unwrap_or(0);
    ensure(format!("how often {TASKS} tasks counted up"), replaced, vec![counted])?;
    ensure("whether the version grew with each change", true, read.version >= counted)
}
