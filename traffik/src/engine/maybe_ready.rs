/// Awaits a [`MaybeReady`](traffik_core::backend::MaybeReady). Of a value that may be large, only a box becomes part of the
/// surrounding future.
macro_rules! resolve {
    ($answer:expr) => {
        'ready: {
            // The match ends before the await, or the future would hold all of the answer.
            let pending = match $answer {
                ::traffik_core::backend::MaybeReady::Ready(value) => break 'ready value,
                ::traffik_core::backend::MaybeReady::Pending(pending) => pending,
            };
            pending.await
        }
    };
}
pub(crate) use resolve;
