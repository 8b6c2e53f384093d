//! The Redis user from the crate's documentation.

use crate::Result;

/// Returns its rules, for the namespace and the password of tests.
pub(crate) fn rules() -> Result<Vec<String>> {
    let documentation = include_str!("../../traffik-redis/src/lib.rs");
    let (_, rules) = documentation.split_once("ACL SETUSER traffik ").ok_or("the documentation has no rules")?;
    let (rules, _) = rules.split_once("```").ok_or("it does not end")?;
    let rules = rules.replace("myapp:prod", "test:redis").replace(">password", ">secret");
    Ok(rules.split_whitespace().filter(|word| *word != "//!").map(str::to_owned).collect())
}

/// Returns arguments for a server with this user.
pub(crate) fn known_user() -> Result<Vec<String>> {
    Ok(["--user".to_owned(), "limits".to_owned()].into_iter().chain(rules()?).collect())
}

#[test]
fn guide_and_documentation_have_the_same_rules() -> Result {
    let guide = include_str!("../../docs/redis.md").replace("myapp:prod", "test:redis").replace(">password", ">secret");
    let (_, documented) = guide.split_once("ACL SETUSER traffik ").ok_or("the guide has no rules")?;
    let (documented, _) = documented.split_once("```").ok_or("it does not end")?;
    assert_eq!(documented.split_whitespace().collect::<Vec<_>>(), rules()?);
    Ok(())
}
