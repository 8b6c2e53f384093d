//! Changes of limits while the app runs.
//!
//! Each setting has a value of its own for each [`Source`]. A decision uses one snapshot of all of them, a [`Live`]. An app that
//! changes nothing has no snapshot.

mod change;
mod client_map;
mod clients;
mod live;
mod source;
mod state;
mod texts;
mod values;

pub use self::{change::Change, clients::Until, source::Source, values::Setting};
pub(crate) use self::{
    client_map::ClientMap,
    clients::{Block, ClientChange, Lasting, Penalty},
    live::{Live, LiveLimit},
    source::BySource,
    state::Changes,
    texts::{ClientSetting, Name, SharedValue},
    values::{Switch, Values},
};
