//! A stand-in for a language model: it writes as many words as the prompt asks for.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use traffik::Throttled;

use super::Tokens;

/// The number of tokens in a piece of an answer.
const PIECE: u64 = 100;

/// An answer that is being written. Each word is a token.
pub(super) struct Answer {
    left: u64,
    used: u64,
    permit: Throttled<Tokens>,
}

impl Answer {
    pub(super) fn new(length: u64, permit: Throttled<Tokens>) -> Self {
        Self { left: length, used: 0, permit }
    }
}

impl Stream for Answer {
    type Item = Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.left.min(PIECE);
        self.left -= piece;
        self.used += piece;
        Poll::Ready((piece > 0).then(|| Ok((0..piece).map(|_| "word ").collect())))
    }
}

/// The stream is dropped when it was sent, and when the client disconnects. A settlement starts when it is called, so
/// nothing has to be awaited.
impl Drop for Answer {
    fn drop(&mut self) {
        drop(self.permit.settle(self.used));
    }
}
