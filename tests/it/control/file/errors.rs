//! The texts of errors.

use traffik::{ConfigError, MemoryBackend, Settings, SlidingWindowLog, Traffik};

use super::{Folder, Result};
use crate::http::app::{builder, throttle};

throttle!(Search, "file:search", "3/hour");
throttle!(Log, "file:log", "3/hour", Settings::new().strategy(SlidingWindowLog));

/// Returns the error without the paths of the file and of this module.
fn error_of(folder: &Folder, text: &str) -> Result<String> {
    folder.write(text)?;
    let checked = builder().0.register::<(Search, Log)>().check_limits_file(folder.file());
    let error = checked.map(|status| format!("no error: {status:?}")).map_err(|error| error.to_string());
    let error = error.unwrap_or_else(|error| error);
    let error = error.replace(concat!(module_path!(), "::"), "");
    Ok(error.replace(&folder.file().display().to_string(), ""))
}

#[test]
fn errors_name_the_line_the_key_and_what_is_allowed() -> Result {
    let folder = Folder::new("errors", "# nothing\n")?;
    let mut wrong = Vec::new();
    for (text, expected) in ERRORS {
        let error = error_of(&folder, text)?;
        if error != *expected {
            wrong.push(format!("{text}\nis      {error}\nis not  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}

/// Texts, and their errors.
const ERRORS: &[(&str, &str)] = &[
    (
        r#"[limit."file:search"]
rat = "2/min"
"#,
        r#":2: limit."file:search".rat: unknown field `rat`, expected one of `rate`, `cost`, `enabled`, `dry_run`, `strategy`, `penalty`, `fields`, `rule`, `bypass`, `override`, `block`, `exempt`, `path`, `methods`"#,
    ),
    ("# limits\nlimits = 1\n", ":2: limits: unknown field `limits`, expected one of `enabled`, `limit`, `new`"),
    (
        r#"[limit."file:search"]
rate = "2 a minute"
"#,
        r#":2: limit."file:search".rate: after the limit comes neither "/" nor "per" ("a" at byte 2): write one of them and then the period, such as "100/min" or "100 per minute""#,
    ),
    (
        r#"[limit."file:search"]

cost = -1
"#,
        r#":3: limit."file:search".cost: invalid value: integer `-1`, expected a whole number from 0 on"#,
    ),
    (
        r#"[limit."file:search"]
cost = "two"
"#,
        r#":2: limit."file:search".cost: invalid type: string "two", expected a whole number from 0 on"#,
    ),
    (
        r#"[limit."file:search"]
enabled = "yes"
"#,
        r#":2: limit."file:search".enabled: invalid type: string "yes", expected a boolean"#,
    ),
    (
        r#"[limit."file:search2"]
cost = 2
"#,
        r#":1: limit."file:search2": no limit that this app knows has the uid "file:search2" (did you mean one of ["file:search"]?): correct the uid, add the limit with `Traffik::add_limit(..)`, or register a throttle whose `impl Throttle` is written by hand with `Traffik::builder(..).register::<T>()`"#,
    ),
    (
        r#"[limit."file:log"]
rate = "100000/s"
"#,
        r#":2: limit."file:log".rate: the throttle `Log` (uid "file:log") cannot be changed to the rate 100000/s: sliding-window-log: it remembers each charge, so a limit of 100000 is out of bounds: it is at most 65536 (SlidingWindowCounter has no such bound)"#,
    ),
    (
        r#"[limit."file:search"]
fields = "all"
"#,
        r#":2: limit."file:search".fields: unknown variant `all`, expected one of `standard`, `x-ratelimit`, `both`, `never`, `standard-on-refusal`, `x-ratelimit-on-refusal`, `both-on-refusal`"#,
    ),
    (
        r#"[limit."file:search"]
strategy = "bucket"
"#,
        r#":2: limit."file:search".strategy: unknown variant `bucket`, expected one of `fixed-window`, `sliding-window-counter`, `sliding-window-log`, `token-bucket`, `leaky-bucket`, `leaky-bucket-with-queue`, `gcra`, `concurrency`"#,
    ),
    (
        r#"[limit."file:search"]
strategy = { name = "gcra", capacity = 5 }
"#,
        r#":2: limit."file:search".strategy: `capacity` is no parameter of this strategy, which has `burst`"#,
    ),
    (
        r#"[limit."file:search"]
strategy = { name = "fixed-window", burst = 5 }
"#,
        r#":2: limit."file:search".strategy: `burst` is no parameter of this strategy, which has none: remove it"#,
    ),
    (
        r#"[limit."file:search"]
strategy = 5
"#,
        r#":2: limit."file:search".strategy: invalid type: integer `5`, expected the name of a strategy such as "token-bucket", or a table such as { name = "token-bucket", burst = 20 }"#,
    ),
    (
        r#"[limit."file:search"]
strategy = { name = "leaky-bucket-with-queue", max_delay = "soon" }
"#,
        r#":2: limit."file:search".strategy.max_delay: "soon" is no time: write one such as "5s" or "500ms""#,
    ),
    (
        r#"[limit."file:search"]
penalty = { refusals = 0, time = "1m" }
"#,
        r#":2: limit."file:search".penalty: the throttle `Search` (uid "file:search") cannot work: `Settings::penalty: refusals` is 0: set it to a value from 1 to 4294967295"#,
    ),
    (
        r#"[limit."file:search"]
penalty = { refusals = 5, time = "soon" }
"#,
        r#":2: limit."file:search".penalty.time: "soon" is no time: write one such as "5s" or "500ms""#,
    ),
    (
        r#"[limit."file:search"]
penalty = { refusals = 5 }
"#,
        r#":2: limit."file:search".penalty: missing field `time`"#,
    ),
    (
        r#"[[limit."file:search".rule]]
path = "api"
"#,
        r#":1: limit."file:search".rule: the rules of the throttle `Search` (uid "file:search") cannot be used: the pattern "api" cannot be used: a path begins with `/`"#,
    ),
    (
        r#"[[limit."file:search".rule]]
"#,
        r#":1: limit."file:search".rule: it has no condition: set at least one of `path`, `prefix`, `methods`, `networks`, `websocket`"#,
    ),
    (
        r#"[[limit."file:search".rule]]
path = []
"#,
        r#":2: limit."file:search".rule.path: invalid length 0, expected a text, or a list of at least one"#,
    ),
    (
        r#"[[limit."file:search".rule]]
methods = ["GET", "post"]
"#,
        r#":2: limit."file:search".rule.methods: "post" is no method: write it in upper case, such as "POST""#,
    ),
    (
        r#"[[limit."file:search".block]]
reason = "scrapes"
"#,
        r#":1: limit."file:search".block: missing field `client`"#,
    ),
    (
        r#"[[limit."file:search".block]]
client = "\"alice"
"#,
        r#":2: limit."file:search".block.client: "\"alice" is not a client: write an address, a number, a text such as "alice", bytes such as 0x00ff, or several of them with a slash between them"#,
    ),
    (
        r#"[[limit."file:search".exempt]]
client = "1"
until = 2030-01-31
"#,
        r#":3: limit."file:search".exempt.until: `2030-01-31` is no moment: write date, time and offset, such as 2030-01-31T18:00:00Z"#,
    ),
    (
        r#"[[limit."file:search".exempt]]
client = "1"
until = "tomorrow"
"#,
        r#":3: limit."file:search".exempt.until: invalid type: string "tomorrow", expected a TOML datetime"#,
    ),
    (
        r#"[[limit."file:search".block]]
client = "1"
[[limit."file:search".block]]
client = "1"
"#,
        r#":4: limit."file:search".block.client: the client is in another table of this kind: keep one of them"#,
    ),
    (
        r#"[new."file:made"]
rate = "2/min"
"#,
        r#":1: new."file:made": `path` is missing: write the paths that the limit applies to, such as "/search" or "/api/**""#,
    ),
    (
        r#"[new."file:made"]
path = "/search"
"#,
        r#":1: new."file:made": `rate` is missing: write the rate of the limit, such as "20/min""#,
    ),
    (
        r#"[new."file:made"]
rate = "2/min"
path = "search"
"#,
        r#":3: new."file:made".path: the pattern "search" cannot be used: a path begins with `/`"#,
    ),
    (
        r#"[new."file:made"]
rate = "100000/min"
path = "/search"
strategy = "sliding-window-log"
"#,
        r#":4: new."file:made".strategy: the throttle `[new] in ` (uid "file:made") cannot work: sliding-window-log: it remembers each charge, so a limit of 100000 is out of bounds: it is at most 65536 (SlidingWindowCounter has no such bound)"#,
    ),
    (
        r#"
[new."file:search"]
rate = "2/min"
path = "/search"
"#,
        r#":2: new."file:search": the throttles Search and [new] in  have the same uid "file:search": change one uid, or use one type in both places to share the limit"#,
    ),
    (
        r#"[new."süße"]
rate = "2/min"
path = "/search"
"#,
        r#":1: new."süße": the uid "süße" of a limit cannot be used: write at least one character, and only printable ASCII, because responses contain it in a header field"#,
    ),
    (
        r#"[new."file:made"]
rate = "2/min"
path = "/search"
methods = ["get"]
"#,
        r#":4: new."file:made".methods: "get" is no method: write it in upper case, such as "POST""#,
    ),
    (
        r#"[new."file:made"]
rate = "2/min"
path = "/search"

[limit."file:made"]
cost = 2
"#,
        r#":5: limit."file:made": the file makes this limit: write its values in `[new."uid"]`"#,
    ),
    (
        r#"[limit."file:search"]
path = "/search"
"#,
        r#":2: limit."file:search".path: it is for limits that the file makes, in `[new."uid"]`: write a condition in `[[limit."uid".rule]]`"#,
    ),
    (
        r#"[limit."file:search"
rate = "2/min"
"#,
        ":1: unclosed table, expected `]`",
    ),
    (
        r#"[limit."file:search"]
rate = "2/min"
rate = "3/min"
"#,
        ":3: duplicate key",
    ),
    ("", ": the file is empty: write at least a comment, if it should change nothing"),
];

#[test]
fn file_that_is_missing_or_no_text_is_an_error_of_the_start() -> Result {
    let folder = Folder::new("missing", "# nothing\n")?;
    let missing = folder.file().with_file_name("missing.toml");
    let error = builder().0.limits_file(&missing).build().unwrap_err();
    assert!(matches!(&error, ConfigError::LimitsFile(error) if error.line().is_none()), "{error}");
    assert!(error.to_string().contains("missing.toml: the file cannot be read: "), "{error}");
    std::fs::write(folder.file(), [0xff, 0xfe])?;
    let error = builder().0.limits_file(folder.file()).build().unwrap_err().to_string();
    assert!(error.ends_with("limits.toml: the file is not UTF-8"), "{error}");
    std::fs::write(folder.file(), "#".repeat((4 << 20) + 1))?;
    let error = builder().0.limits_file(folder.file()).build().unwrap_err().to_string();
    assert!(error.ends_with("the file is too large: write at most 4194304 bytes"), "{error}");
    Ok(())
}

#[tokio::test]
async fn app_without_a_file_has_nothing_to_load() -> Result {
    let traffik = Traffik::new(MemoryBackend::new("test"))?;
    assert!(matches!(traffik.reload_limits().await, Err(ConfigError::NoLimitsFile)));
    assert_eq!(traffik.limits_file_status(), None);
    Ok(())
}
