//! Settles a charge by the size of a body.

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
        Body::new(SettledBody { body: Body::new(body), bytes: 0, settle: Some(Settle { permit, cost }) })
    }
}

struct SettledBody<T: Throttle> {
    body: Body,
    bytes: u64,
    settle: Option<Settle<T>>,
}

struct Settle<T: Throttle> {
    permit: Permit<T>,
    cost: Box<dyn FnOnce(u64) -> u64 + Send>,
}

impl<T: Throttle> SettledBody<T> {
    fn settle(&mut self) {
        let Some(Settle { permit, cost }) = self.settle.take() else { return };
        // The task of a store logs its failures itself.
        match permit.settle(cost(self.bytes)) {
            MaybeReady::Ready(Err(error)) if !matches!(error, AdjustError::Settled) => {
                tracing::warn!(uid = T::UID, %error, "the charge of a body was not settled");
            }
            _ => {}
        }
    }
}

impl<T: Throttle> HttpBody for SettledBody<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            None | Some(Err(_)) => self.settle(),
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

impl<T: Throttle> Drop for SettledBody<T> {
    fn drop(&mut self) {
        self.settle();
    }
}
