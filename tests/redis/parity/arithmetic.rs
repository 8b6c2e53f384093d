//! Compares `exact.lua` alone with 128-bit integers.

use super::random::Random;
use crate::{Result, raw::Reply, server::Server};

const EXACT: &str = include_str!("../../../traffik-redis/src/scripts/exact.lua");

/// Computes many operations per call, since a call takes longer than all of them.
const SUMS: &str = "
local answers = {}
for i = 1, #ARGV, 5 do
  local a, b, rest, c, d = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local quotient, remainder = mul_div_rem(a, b, d)
  answers[#answers + 1] = string.format('%.0f %.0f %s', quotient, remainder, tostring(is_at_most(a, b, rest, c, d)))
end
return answers
";

#[test]
fn products_and_quotients_keep_every_digit() -> Result {
    let server = Server::start()?;
    let mut raw = server.raw()?;
    let mut random = Random::new(7);
    let long = std::env::var_os("TRAFFIK_LONG").is_some();
    for _ in 0..if long { 1000 } else { 20 } {
        let sums: Vec<[u64; 5]> = (0..1000).map(|_| sum(&mut random)).collect();
        let mut words = vec!["EVAL".to_owned(), [EXACT, SUMS].concat(), "0".to_owned()];
        words.extend(sums.iter().flatten().map(u64::to_string));
        let Reply::List(answers) = raw.call(&words)? else { return Err("no list".into()) };
        assert_eq!(answers.len(), sums.len());
        for (answer, sum) in answers.iter().zip(&sums) {
            assert_eq!(answer.text(), expected(sum), "{sum:?}");
        }
    }
    Ok(())
}

/// Random numbers of any size within the bounds. Half of the pairs have close products.
fn sum(random: &mut Random) -> [u64; 5] {
    let (a, b) = (random.of_any_size((1 << 52) - 1), random.of_any_size((1 << 47) - 1));
    let rest = random.of_any_size(1 << 47) - 1;
    let d = random.of_any_size((1 << 47) - 1);
    let product = u128::from(a) * u128::from(b) + u128::from(random.upto(1)) * u128::from(rest);
    let near =
        u64::try_from(product / u128::from(d)).unwrap_or(u64::MAX).saturating_add(random.upto(2)).saturating_sub(1);
    let c = if near < 1 << 52 && random.upto(3) > 0 { near } else { random.of_any_size((1 << 52) - 1) };
    [a, b, rest, c, d]
}

fn expected(&[a, b, rest, c, d]: &[u64; 5]) -> String {
    let [a, b, rest, c, d] = [a, b, rest, c, d].map(u128::from);
    let (quotient, remainder) = (a * b / d, a * b % d);
    let is_at_most = a * b + rest <= c * d;
    // Above 2^52 the program gives up, and never returns a number that could be taken for a smaller one.
    if quotient < 1 << 52 { format!("{quotient} {remainder} {is_at_most}") } else { format!("inf 0 {is_at_most}") }
}
