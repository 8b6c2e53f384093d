//! Settles a charge by the size of a body, when it ends.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
};
use http_body::{Frame, SizeHint};
use traffik_core::backend::MaybeReady;

use crate::{
    engine::{AdjustError, Limit, Permit},
    limit::Throttle,
};

impl<T: Throttle> Permit<T> {
    /// Returns a body that [settles](Self::settle) the charge when it ends, or is dropped. `cost` returns the actual cost for the
    /// number of bytes that were read from it.
    ///
    /// The body holds the permit. A client that disconnects is charged for what was sent until then. A
    /// [`refund_if`](crate::Settings::refund_if) of the throttle does not apply: the body has the last word.
    ///
    /// ```
    /// use axum::{body::Body, response::Response};
    /// use traffik::{Throttle, Throttled};
    ///
    /// /// Reserves a megabyte, and charges each started kilobyte of the file.
    /// async fn download<Kilobytes: Throttle>(permit: Throttled<Kilobytes>) -> Response {
    ///     let file = Body::from("a stream from the disk");
    ///     Response::new(permit.settle_body(file, |bytes| bytes.div_ceil(1000)))
    /// }
    /// ```
    pub fn settle_body<B>(&self, body: B, cost: impl FnOnce(u64) -> u64 + Send + 'static) -> Body
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.limits().iter().for_each(Limit::leave_to_body);
        let (permit, cost) = (self.clone(), Box::new(cost));
        Body::new(EndingBody::new(Body::new(body), move |bytes| {
            // The task of a store logs its failures itself.
            match permit.settle(cost(bytes)) {
                MaybeReady::Ready(Err(error)) if !matches!(error, AdjustError::Settled) => {
                    tracing::warn!(uid = T::UID, %error, "the charge of a body was not settled");
                }
                _ => {}
            }
        }))
    }
}

/// A body that calls a function with the number of its bytes when it ends, or is dropped.
pub(super) struct EndingBody<F: FnOnce(u64)> {
    body: Body,
    bytes: u64,
    end: Option<F>,
}

impl<F: FnOnce(u64)> EndingBody<F> {
    pub(super) fn new(body: Body, end: F) -> Self {
        Self { body, bytes: 0, end: Some(end) }
    }

    fn end(&mut self) {
        if let Some(end) = self.end.take() {
            end(self.bytes);
        }
    }
}

impl<F: FnOnce(u64) + Unpin> HttpBody for EndingBody<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            None | Some(Err(_)) => self.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<F: FnOnce(u64)> Drop for EndingBody<F> {
    fn drop(&mut self) {
        // The body is dropped first, because it may use what a permit is for.
        self.body = Body::empty();
        self.end();
    }
}
