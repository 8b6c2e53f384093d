use fred::types::config::Server;

use super::slots;

/// The reaction to an answer of a server that did not run the command.
#[derive(Debug, PartialEq)]
pub(super) enum Redirect {
    /// The slot has moved to this server.
    Moved(Server),
    /// The slot is moving to this server, and this key has moved already. Applies to this command only.
    Ask(Server),
    /// Some of the keys have moved and others have not, or no server has the slot at the moment.
    Later,
}

impl Redirect {
    pub(super) fn read(reason: &str, said_by: &Server) -> Option<Self> {
        let words = reason.split_ascii_whitespace();
        let server = |redirect: fn(Server) -> Self| {
            // An IPv6 address has no brackets here.
            let (host, port) = words.clone().nth(2)?.rsplit_once(':')?;
            Some(redirect(slots::server(host, port.parse().ok()?, said_by)))
        };
        match words.clone().next()? {
            "MOVED" => server(Self::Moved),
            "ASK" => server(Self::Ask),
            "TRYAGAIN" | "CLUSTERDOWN" => Some(Self::Later),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_differ_from_other_errors() {
        let here = Server::new("10.0.0.1", 7000);
        let there = |host: &str| Server::new(host, 7001);
        let read = |reason| Redirect::read(reason, &here);
        assert_eq!(read("MOVED 3999 10.0.0.2:7001"), Some(Redirect::Moved(there("10.0.0.2"))));
        assert_eq!(read("MOVED 3999 :7001"), Some(Redirect::Moved(there("10.0.0.1"))));
        assert_eq!(read("ASK 3999 ::1:7001"), Some(Redirect::Ask(there("::1"))));
        assert_eq!(read("TRYAGAIN Multiple keys request during rehashing of slot"), Some(Redirect::Later));
        assert_eq!(read("CLUSTERDOWN The cluster is down"), Some(Redirect::Later));
        for reason in ["", "MOVED", "MOVED 3999 nowhere", "ERR MOVED 1 a:1", "READONLY", "OOM command not allowed"] {
            assert_eq!(read(reason), None, "{reason}");
        }
    }
}
