//! Something worth knowing of a service beside its state.

/// A fact of a service as people read it: `Endpoint`, `HTTP 200 in 23 ms`. Both are fit to be shown, the value after cleaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about; one or two words.
    pub label: &'static str,
    /// What is so.
    pub value: String,
}

impl Fact {
    /// One fact.
    pub fn new(label: &'static str, value: impl Into<String>) -> Self {
        Self { label, value: value.into() }
    }
}
