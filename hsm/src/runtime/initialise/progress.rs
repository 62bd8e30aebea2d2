//! The steps of an `init`: which are done, with what came of them, and which one runs. A leaf.

/// What must hold after a step, and what was found.
pub(crate) type Step = (&'static str, String);

/// Filled while the keys are made.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) done: Vec<Step>,
    /// The step that runs, or that failed.
    pub(crate) current: &'static str,
}

impl Progress {
    /// Begins a step.
    pub(crate) fn begin(&mut self, what: &'static str) {
        self.current = what;
    }

    /// Ends the step that runs.
    pub(crate) fn end(&mut self, found: impl Into<String>) {
        self.done.push((self.current, found.into()));
    }
}
