//! Open WebSockets see a change with their next message.

use std::time::Duration;

use traffik::{Amount, Limit, Rule, web::ws::Messages};

use super::{FIVE, Result, TWO, knowing};
use crate::{
    http::app::{HERE, throttle},
    ws::rig::{Client, echoing, too_many},
};

throttle!(Chat, "sockets:chat", "3/hour");
throttle!(Each, "sockets:each", "3/hour");

#[tokio::test]
async fn open_socket_sees_changes_of_the_limit_of_its_client() -> Result {
    let (traffik, _) = knowing::<Chat>()?;
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut socket = Client::connect(address).await;
    let chat = traffik.limit("sockets:chat")?;
    assert_eq!(socket.ask("1").await, "1");
    chat.set_rate(TWO)?;
    assert_eq!([socket.ask("2").await, socket.ask("3").await], ["2".to_owned(), too_many(3600)]);
    chat.set_rate(FIVE)?;
    assert_eq!(socket.ask("4").await, "4");
    chat.disable();
    for _ in 0..5 {
        assert_eq!(socket.ask("5").await, "5");
    }
    chat.enable();
    chat.block(HERE, Duration::from_secs(60), "")?;
    assert_eq!(socket.ask("6").await, too_many(60));
    assert!(chat.unblock(HERE));
    assert_eq!(
        [socket.ask("7").await, socket.ask("8").await, socket.ask("9").await],
        ["7".to_owned(), "8".to_owned(), too_many(3600)]
    );
    chat.add_rule(Rule::path("/elsewhere"))?;
    assert_eq!(socket.ask("10").await, "10");
    Ok(())
}

#[tokio::test]
async fn socket_that_was_opened_while_the_limit_was_disabled_is_limited_later() -> Result {
    let (traffik, clock) = knowing::<Chat>()?;
    traffik.limit("sockets:chat")?.disable_for(Duration::from_secs(60));
    let (address, _) = echoing::<Chat>(&traffik, |socket, messages| messages.throttle(socket)).await;
    let mut socket = Client::connect(address).await;
    for _ in 0..5 {
        assert_eq!(socket.ask("free").await, "free");
    }
    clock.advance(Duration::from_secs(60));
    for _ in 0..3 {
        assert_eq!(socket.ask("counted").await, "counted");
    }
    assert_eq!(socket.ask("refused").await, too_many(3540));
    Ok(())
}

#[tokio::test]
async fn open_socket_sees_changes_of_its_own_limits() -> Result {
    async fn counted<T>(messages: &Messages<T>) -> Vec<(u64, bool)> {
        let limits = messages.hit().await;
        limits
            .map(|limits| limits.iter().map(|limit| (limit.rate().limit(), limit.is_counted())).collect())
            .unwrap_or_default()
    }
    let (traffik, _) = knowing::<Each>()?;
    let chat = super::sockets_of::<Chat>(&traffik).await?;
    let both = chat.and_per_connection(&super::sockets_of::<Each>(&traffik).await?);
    let each = super::sockets_of::<Each>(&traffik).await?.per_connection();
    assert_eq!(counted(&both).await, [(3, true), (3, true)]);
    traffik.limit("sockets:each")?.set_rate(FIVE)?;
    assert_eq!((counted(&both).await, counted(&each).await), (vec![(3, true), (5, true)], vec![(5, true)]));
    traffik.limit("sockets:each")?.disable();
    assert_eq!(counted(&each).await, [(3, false)]);
    traffik.limit("sockets:each")?.block(HERE, Duration::from_secs(60), "")?;
    assert!(each.hit().await.is_err() && both.hit().await.is_err());
    // The limit of the client was not charged.
    assert_eq!(traffik.limiter::<Chat>(HERE).peek().await?.iter().map(Limit::remaining).next(), Some(Amount::Units(1)));
    Ok(())
}
