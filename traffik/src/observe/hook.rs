use super::{Event, Observer};

/// A function of the user that receives events.
pub(crate) struct Hook<F>(pub(crate) F);

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for Hook<F> {
    fn event(&self, event: &Event<'_>) {
        (self.0)(event);
    }
}
