//! Responses in OpenAPI documents: what aide and utoipa learn about the extractors and about their rejection.
//!
//! The settings of a throttle are evaluated for each document. Settings of the app are not known here.

#[cfg(feature = "aide")]
mod aide;
mod responses;
#[cfg(feature = "utoipa")]
mod utoipa;
