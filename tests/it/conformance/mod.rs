//! The suite that any backend must pass, and what it thinks of backends that must not.

mod faults;
mod faulty;

use std::convert::Infallible;

use traffik::backend::MemoryBackend;
use traffik_conformance::{Failures, Suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_backend_in_memory_passes() -> Result<(), Failures> {
    Suite::new(async |namespace, clock| Ok::<_, Infallible>(MemoryBackend::with_clock(namespace, clock))).check().await
}
