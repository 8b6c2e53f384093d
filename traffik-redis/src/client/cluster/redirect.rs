//! What to do about an answer that says: not here. Each of them says that nothing ran.

use super::slots::Place;

#[derive(Debug, PartialEq)]
pub(super) enum Redirect {
    /// The server does not know the program.
    Whole,
    /// The slot is there, from now on.
    Moved(Place),
    /// The slot moves there, and this key has moved already: this question only.
    Ask(Place),
    /// Some of the keys have moved and some have not, or nobody has the slot at the moment.
    Later,
}

impl Redirect {
    pub(super) fn read(reason: &str, said_by: &Place) -> Option<Self> {
        let mut words = reason.split_ascii_whitespace();
        match words.next()? {
            "NOSCRIPT" => Some(Self::Whole),
            "MOVED" => Place::read(words.nth(1)?, said_by).map(Self::Moved),
            "ASK" => Place::read(words.nth(1)?, said_by).map(Self::Ask),
            "TRYAGAIN" | "CLUSTERDOWN" => Some(Self::Later),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_told_from_errors() {
        let here = Place { host: "10.0.0.1".into(), port: 7000 };
        let there = |host: &str| Place { host: host.into(), port: 7001 };
        let read = |reason| Redirect::read(reason, &here);
        assert_eq!(read("MOVED 3999 10.0.0.2:7001"), Some(Redirect::Moved(there("10.0.0.2"))));
        assert_eq!(read("MOVED 3999 :7001"), Some(Redirect::Moved(there("10.0.0.1"))));
        assert_eq!(read("ASK 3999 ::1:7001"), Some(Redirect::Ask(there("::1"))));
        assert_eq!(read("TRYAGAIN Multiple keys request during rehashing of slot"), Some(Redirect::Later));
        assert_eq!(read("CLUSTERDOWN The cluster is down"), Some(Redirect::Later));
        assert_eq!(read("NOSCRIPT No matching script"), Some(Redirect::Whole));
        for reason in ["", "MOVED", "MOVED 3999 nowhere", "ERR MOVED 1 a:1", "READONLY", "OOM command not allowed"] {
            assert_eq!(read(reason), None, "{reason}");
        }
    }
}
