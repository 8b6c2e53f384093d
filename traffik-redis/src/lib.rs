//! The place of traffik's Redis backend: one limit across all processes of an app.
//!
//! There is no backend in it yet. Until there is, each process has limits of its own, kept in memory by
//! `traffik::backend::MemoryBackend`. It will implement `traffik::backend::Backend`, which says what is expected of it.
