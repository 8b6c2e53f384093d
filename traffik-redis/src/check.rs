//! Checks whether a server can keep limits, and explains what is wrong if it cannot.

use crate::{
    Error,
    client::{CallError, Client, Reachable, Reply, Script, Sent, is_temporary, of_rejected_write},
    keys::Keys,
};

/// The version that introduced `PXAT`, which sets the expiry of every key.
const OLDEST: (u32, u32) = (6, 2);

/// The commands that limits need, as the crate documentation lists them.
const ALLOW: &str = "+evalsha +eval +time +get +getrange +set +setrange +pexpireat +hget +hset +hdel +hincrby +hgetall \
                     +unlink +scan +ping +select +info +client|id";

/// Checks everything that does not need a decision: the version, and whether scripts run and may write.
pub(crate) async fn check(client: &Client, keys: &Keys) -> Result<(), Error> {
    let about = match client.command("INFO", &["server"]).await {
        Ok(reply) => {
            reply.text().ok_or_else(|| unsuitable("the reply to INFO is not one of Redis: check the address"))?
        }
        // A user without this permission is checked by running a script.
        Err(CallError::Refused(reason)) if is_forbidden(&reason) => String::new(),
        Err(error) => return Err(explained(error)),
    };
    check_version(&about)?;
    let probe = Script::new(include_str!("scripts/probe.lua").to_owned());
    client.run(&probe, &[keys.probe()], &[], &Sent::default()).await.map_err(explained)?;
    let control = Script::new(include_str!("scripts/control.lua").to_owned());
    let read = ["read", "0"].map(Vec::from);
    client.run(&control, &[keys.control()], &read, &Sent::default()).await.map_err(explained)?;
    warn_of_evictions(client).await;
    Ok(())
}

/// Checks the server once it is reachable, and logs once what is wrong with it.
pub(crate) async fn check_later(mut reachable: Reachable, keys: Keys) {
    while let Some(client) = reachable.next().await {
        match check(&client, &keys).await {
            // The connection was lost again.
            Err(Error::Connect(_)) => {}
            Err(error) => return tracing::error!("every decision is an error until this is fixed: {error}"),
            Ok(()) => return,
        }
    }
}

fn check_version(about: &str) -> Result<(), Error> {
    let Some(version) = field(about, "redis_version") else { return Ok(()) };
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let version_found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version_found < OLDEST {
        let (major, minor) = OLDEST;
        return Err(unsuitable(&format!("its version is {version}: upgrade to {major}.{minor} or later")));
    }
    Ok(())
}

/// Warns if the server may evict limited clients when its memory is full. Evicted clients start with fresh limits.
async fn warn_of_evictions(client: &Client) {
    let Ok(Some(memory)) = client.command("INFO", &["memory"]).await.map(|reply: Reply| reply.text()) else { return };
    let limit = field(&memory, "maxmemory").unwrap_or("0");
    let policy = field(&memory, "maxmemory_policy").unwrap_or("noeviction");
    if limit != "0" && policy != "noeviction" {
        tracing::warn!(
            "Redis has `maxmemory-policy {policy}`: when its memory is full, clients that are over their limit are forgotten. \
             Set `maxmemory-policy noeviction` on the server that keeps limits"
        );
    }
}

/// Returns the value of a line of `INFO`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

fn unsuitable(why: &str) -> Error {
    Error::Unsuitable(why.to_owned())
}

fn explained(error: CallError) -> Error {
    let reason = match error {
        CallError::Refused(reason) if !is_temporary(&reason) => reason,
        other => return Error::Connect(other.into()),
    };
    let why = match &reason {
        _ if is_forbidden(&reason) => &format!(
            "the user lacks permissions that limits need: grant them by `ACL SETUSER .. {ALLOW}`, with the keys of the \
             namespace; see the documentation of traffik-redis"
        ),
        _ if reason.contains("READONLY") => "it is a replica: connect to its primary",
        _ if reason.starts_with("MOVED") => "it is a node of a cluster: change the address to redis-cluster://..",
        _ => of_rejected_write(&reason).unwrap_or("it does not run Lua scripts"),
    };
    unsuitable(&format!("{why} ({reason})"))
}

/// Returns whether the user lacks a permission. Servers word this differently, even more so inside a script.
fn is_forbidden(reason: &str) -> bool {
    ["NOPERM", "ACL failure", "can't run this command", "can't access at least one of the keys"]
        .iter()
        .any(|form| reason.contains(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_errors_and_others_are_accepted() {
        for version in ["6.2.0", "7.0.15", "8.0.0-rc1", "10.0.1"] {
            assert!(check_version(&format!("# Server\r\nredis_version:{version}\r\n")).is_ok(), "{version}");
        }
        for version in ["6.0.16", "5.0.7", "2.8.4"] {
            let error = check_version(&format!("redis_version:{version}\r\nos:Linux")).unwrap_err().to_string();
            assert!(error.contains(version) && error.contains("6.2"), "{error}");
        }
        assert!(check_version("").is_ok());
        assert!(check_version("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1").is_ok());
    }

    #[test]
    fn permissions_named_in_errors_are_documented() {
        let documentation = include_str!("lib.rs").replace("\n//!    ", "");
        assert!(ALLOW.split(' ').all(|word| documentation.contains(&format!(" {word}"))));
    }

    #[test]
    fn field_is_found_by_its_whole_name() {
        let info = "maxmemory:100\r\nmaxmemory_human:100B\r\nmaxmemory_policy:allkeys-lru\r\n";
        assert_eq!(field(info, "maxmemory"), Some("100"));
        assert_eq!(field(info, "maxmemory_policy"), Some("allkeys-lru"));
        assert_eq!(field(info, "memory"), None);
    }

    #[test]
    fn server_that_rejects_writes_is_an_error_with_its_remedy() {
        for (reason, words) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:7.",
                "raise `maxmemory`",
            ),
            ("ERR Error running script (call to f_1f): @user_script:7: -OOM command not allowed", "raise `maxmemory`"),
            (
                "MISCONF Redis is configured to save RDB snapshots, but is unable to persist on disk.",
                "check its disk and log",
            ),
            ("NOREPLICAS Not enough good replicas to write. script: 1f", "`min-replicas-to-write`"),
        ] {
            let error = explained(CallError::Refused(reason.into())).to_string();
            assert!(error.contains(words) && error.contains(reason) && !error.contains("Lua"), "{error}");
        }
        let no_scripts = explained(CallError::Refused("ERR unknown command 'evalsha'".into())).to_string();
        assert!(no_scripts.contains("Lua"), "{no_scripts}");
    }

    #[test]
    fn missing_permission_is_an_error_with_its_remedy() {
        for reason in [
            "NOPERM User limits has no permissions to run the 'evalsha' command",
            "ERR The user executing the script can't run this command or subcommand script: on @user_script:2.",
            "ERR ACL failure in script: User limits has no permissions to run the 'time' command",
        ] {
            let error = explained(CallError::Refused(reason.into())).to_string();
            assert!(error.contains("ACL SETUSER") && error.contains(reason), "{error}");
        }
        assert!(matches!(explained(CallError::Refused("LOADING Redis is loading".into())), Error::Connect(_)));
        assert!(explained(CallError::Refused("READONLY You can't write".into())).to_string().contains("primary"));
    }
}
