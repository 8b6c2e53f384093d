//! The user of Redis that the crate's documentation tells to make.

use crate::Result;

/// Its rules, for the namespace and the password of tests.
pub(crate) fn rules() -> Result<Vec<String>> {
    let documentation = include_str!("../../traffik-redis/src/lib.rs");
    let (_, rules) = documentation.split_once("ACL SETUSER traffik ").ok_or("nothing is told")?;
    let (rules, _) = rules.split_once("```").ok_or("it does not end")?;
    let rules = rules.replace("myapp:prod", "test:redis").replace(">password", ">secret");
    Ok(rules.split_whitespace().filter(|word| *word != "//!").map(str::to_owned).collect())
}

/// Arguments for a server that knows this user.
pub(crate) fn known_user() -> Result<Vec<String>> {
    Ok(["--user".to_owned(), "limits".to_owned()].into_iter().chain(rules()?).collect())
}

#[test]
fn the_guide_tells_to_make_the_same() -> Result {
    let guide = include_str!("../../docs/redis.md").replace("myapp:prod", "test:redis").replace(">password", ">secret");
    let (_, told) = guide.split_once("ACL SETUSER traffik ").ok_or("nothing is told")?;
    let (told, _) = told.split_once("```").ok_or("it does not end")?;
    assert_eq!(told.split_whitespace().collect::<Vec<_>>(), rules()?);
    Ok(())
}
