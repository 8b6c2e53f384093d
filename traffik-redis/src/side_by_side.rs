//! Several calls under way at once, within one task.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

enum Call<'a, T> {
    UnderWay(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
    Done(T),
}

/// What all of them answer, in their order.
pub(crate) async fn side_by_side<'a, T, F>(calls: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Unpin,
    F: Future<Output = T> + Send + 'a,
{
    let mut calls: Vec<Call<'a, T>> = calls.into_iter().map(|call| Call::UnderWay(Box::pin(call))).collect();
    poll_fn(|cx| {
        let under_way = calls.iter_mut().map(|call| call.poll(cx)).filter(Poll::is_pending).count();
        if under_way > 0 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    calls.into_iter().filter_map(|call| if let Call::Done(answer) = call { Some(answer) } else { None }).collect()
}

impl<T> Call<'_, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::UnderWay(call) = self {
            match call.as_mut().poll(cx) {
                Poll::Ready(answer) => *self = Self::Done(answer),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn they_are_under_way_at_once_and_answer_in_their_order() {
        // None of them ends before all have begun.
        let all_begun = &Barrier::new(3);
        let calls = [3, 1, 2].map(|number| async move {
            all_begun.wait().await;
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            number
        });
        assert_eq!(side_by_side(calls).await, [3, 1, 2]);
        assert!(side_by_side(std::iter::empty::<std::future::Ready<u8>>()).await.is_empty());
    }
}
