//! Clients and limits whose names look alike, and names that are meant to do harm.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use traffik_core::client::Key;

use crate::bench::{Bench, Check, Entry, RATE, Subject, ensure};

/// Takes all that each has, and sees that this was its own.
async fn count_apart(subject: &mut Subject, entries: &[Entry]) -> Check {
    for entry in entries {
        ensure(format!("what remains of {entry:?}"), entry.capacity(), subject.remaining(entry).await?)?;
        subject.decide(&[entry.hit(entry.capacity())]).await?;
    }
    for entry in entries {
        ensure(format!("what remains of {entry:?}"), 0, subject.remaining(entry).await?)?;
    }
    Ok(())
}

pub(super) async fn similar_clients_are_counted_separately(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let entry = subject.entry(&bench.strategy(), RATE);
    let (seven, long) = (Ipv4Addr::new(0, 0, 0, 7), "a".repeat(3000));
    let keys = [
        Key::from(("a:b", "c")),
        Key::from(("a", "b:c")),
        Key::from(("a", "b", "c")),
        Key::from("a:b:c"),
        Key::from("a/b/c"),
        Key::from(("a/b", "c")),
        Key::from("a"),
        Key::from("A"),
        Key::from("a "),
        Key::from(("a", "")),
        Key::from(("", "a")),
        Key::from(""),
        Key::from(("", "")),
        Key::secret("a"),
        Key::secret("7"),
        Key::from(7_u64),
        Key::from(-7_i64),
        Key::from("7"),
        Key::from("-7"),
        Key::from((7_u64, "7")),
        Key::from(("7", 7_u64)),
        Key::from(u64::MAX),
        Key::from(i128::from(u64::MAX) + 1),
        Key::from(u128::MAX),
        Key::from(u128::MAX.to_le_bytes()),
        Key::from(*b"a"),
        Key::from([0x61; 100]),
        Key::from(IpAddr::from(seven)),
        Key::from("0.0.0.7"),
        Key::from(Ipv6Addr::from_bits(7)),
        Key::from("::7"),
        Key::anonymous(),
        Key::from("anonymous"),
        Key::from(long.clone()),
        Key::from(format!("{long}a")),
        Key::secret(long),
    ];
    let entries: Vec<_> = keys.into_iter().map(|key| Entry { key, ..entry.clone() }).collect();
    count_apart(&mut subject, &entries).await
}

pub(super) async fn names_of_limits_and_clients_are_kept_apart(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let entry = subject.entry(&bench.strategy(), RATE);
    let names = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc", ""),
        ("a:b", "c"),
        ("a", "b:c"),
        ("a:", "b:c"),
        ("a", ":b:c"),
        ("a/b", "c"),
        ("a", "b/c"),
        ("{a}", "c"),
        ("a", "{c}"),
        ("*", "c"),
        ("a", "*"),
        ("a b", "c"),
        ("a", "b c"),
        ("a%3A", "c"),
        ("A", "c"),
    ];
    let entries: Vec<_> =
        names.into_iter().map(|(uid, name)| Entry { key: Key::from(name), ..entry.with_uid(uid) }).collect();
    count_apart(&mut subject, &entries).await
}

pub(super) async fn client_may_have_any_text(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let entry = subject.entry(&bench.strategy(), RATE);
    let texts = [
        "\0",
        "\0\0",
        "\n",
        "\r\n",
        "\r\nFLUSHALL\r\n",
        "\"",
        "'",
        "\\",
        "\\\\",
        "%",
        "%00",
        "%25",
        "{",
        "}",
        "{}",
        "{a}b",
        "[",
        "]",
        "[a]",
        "?",
        "*",
        "$",
        "`id`",
        "; DROP TABLE limits",
        "../..",
        "süße",
        "su\u{308}ße",
        "日本",
        "\u{202e}abc",
        "\u{feff}abc",
        "😀",
        "\u{10ffff}",
    ];
    let entries: Vec<_> = texts.into_iter().map(|text| Entry { key: Key::from(text), ..entry.clone() }).collect();
    count_apart(&mut subject, &entries).await?;
    for entry in &entries {
        subject.reset(&[entry.hit(1)]).await?;
        subject.peek(&[entry.hit(1)]).await?;
    }
    count_apart(&mut subject, &entries).await
}
