use super::TraffikBuilder;
use crate::observe::{Event, Hook};

impl TraffikBuilder {
    /// Puts all throttles of the app into a dry run: they count requests, and reject none. See
    /// [`Settings::dry_run`](crate::Settings::dry_run).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// # let is_rollout = true;
    /// let mut builder = Traffik::builder(MemoryBackend::new("myapp"));
    /// if is_rollout {
    ///     builder = builder.dry_run();
    /// }
    /// let traffik = builder.build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn dry_run(mut self) -> Self {
        self.request.throttles.is_dry_run = true;
        self
    }

    /// Adds a function that receives an [`Event`] for each limit of a decision. See [`observe`](crate::observe).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
    ///     .on_event(|event| {
    ///         if event.is_near() {
    ///             println!("{:?} has {} left of {}", event.client(), event.remaining(), event.uid());
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// It may be called several times: each function receives every event, in the order in which they were added. A function runs
    /// on the path of the request, so it must not block: send what takes time to a task. A function that panics affects no
    /// request. The panic is logged, at most once a minute.
    pub fn on_event(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.observers.add(Hook(hook));
        self
    }
}
