//! Values that must not be shown.

use std::fmt;

use zeroize::Zeroizing;

/// A text that `Debug` and `Display` never reveal, such as the value of an environment variable, and that is overwritten in memory when it
/// is dropped. What was copied out of it by [`Secret::expose`] is its receiver's to keep short.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself, for handing it to the one who needs it: a service's environment, a request's header.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;
    use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

    /// What is freed cannot be looked at in safe code, so it is the type that promises it.
    #[test]
    fn a_secret_is_overwritten_when_it_is_dropped_and_never_shown() {
        fn assert_overwritten_on_drop<T: ZeroizeOnDrop>(_: &T) {}
        let secret = Secret::new("hunter2");
        let Secret(inner) = &secret;
        assert_overwritten_on_drop(inner);
        let mut inner: Zeroizing<String> = inner.clone();
        inner.zeroize();
        assert_eq!(inner.as_str(), "");
        assert_eq!((format!("{secret:?} {secret}").as_str(), secret.expose()), ("*** ***", "hunter2"));
    }
}
