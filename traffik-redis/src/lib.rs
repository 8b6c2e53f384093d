//! The Redis backend of `traffik`.
