//! Runs the conformance suite on the memory backend and on faulty backends.

mod faults;
mod faulty;

use std::convert::Infallible;

use traffik::backend::MemoryBackend;
use traffik_conformance::{Failures, Suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_backend_passes_the_suite() -> Result<(), Failures> {
    Suite::new(async |namespace, clock| Ok::<_, Infallible>(MemoryBackend::with_clock(namespace, clock))).check().await
}
