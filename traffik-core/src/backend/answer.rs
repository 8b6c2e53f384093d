use std::{
    fmt,
    future::IntoFuture,
    pin::Pin,
    task::{Context, Poll},
};

use super::BackendError;

/// The answer of a [`Backend`](super::Backend): a value, or a boxed future of it.
pub type Answer<'a, T> = MaybeReady<'a, Result<T, BackendError>>;

/// A value, or a boxed future of it.
///
/// A value that is ready needs neither an allocation nor a future. Both can be awaited:
///
/// ```
/// use traffik::backend::MaybeReady;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(MaybeReady::Ready(7).await, 7);
/// assert_eq!(MaybeReady::pending(async { 7 }).await, 7);
/// # }
/// ```
#[must_use = "the work may go on, but its result is lost"]
pub enum MaybeReady<'a, T> {
    /// The value.
    Ready(T),
    /// A future of the value. The work has begun, and the future only receives the result.
    Pending(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> MaybeReady<'a, T> {
    /// Boxes a future.
    pub fn pending(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Pending(Box::pin(future))
    }

    /// Changes the value, now or when the future is ready.
    #[inline]
    pub fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'a) -> MaybeReady<'a, U>
    where
        T: 'a,
    {
        match self {
            Self::Ready(value) => MaybeReady::Ready(change(value)),
            Self::Pending(pending) => MaybeReady::pending(async move { change(pending.await) }),
        }
    }
}

impl<'a, T> IntoFuture for MaybeReady<'a, T> {
    type Output = T;
    type IntoFuture = Receive<'a, T>;

    fn into_future(self) -> Receive<'a, T> {
        Receive(Some(self))
    }
}

/// The future of a [`MaybeReady`].
#[derive(Debug)]
pub struct Receive<'a, T>(Option<MaybeReady<'a, T>>);

/// The value is moved and never pinned.
impl<T> Unpin for Receive<'_, T> {}

impl<T> Future for Receive<'_, T> {
    type Output = T;

    /// # Panics
    ///
    /// Panics if it is polled again after it was ready.
    #[expect(clippy::panic, reason = "as all futures may that are polled after their end")]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(MaybeReady::Pending(future)) = &mut self.0 {
            return future.as_mut().poll(context);
        }
        match self.0.take() {
            Some(MaybeReady::Ready(value)) => Poll::Ready(value),
            _ => panic!("polled after it was ready"),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for MaybeReady<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(value) => f.debug_tuple("Ready").field(value).finish(),
            Self::Pending(_) => f.write_str("Pending(..)"),
        }
    }
}
