//! What happens when a backend gives no answer.

mod breaker;
