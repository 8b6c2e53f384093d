//! Limits from a file: its text becomes [`Tables`](tables::Tables), and these become values of the source
//! [`File`](super::changes::Source::File) once they are checked against the limits of an app.

mod conditions;
mod effect;
mod file_limits;
mod limits_file;
mod tables;
mod texts;
mod until;

pub use self::effect::WithoutEffect;
pub(crate) use self::{
    file_limits::{FileLimits, MadeLimit},
    limits_file::LimitsFile,
};
