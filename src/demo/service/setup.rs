//! A stand-in's arguments.

use std::ffi::OsString;

use crate::demo::cast::{self, Part};
use crate::demo::watch::Console;

/// What a stand-in was told.
pub(super) struct Setup {
    pub(super) part: &'static Part,
    pub(super) port: u16,
    pub(super) console: Console,
}

impl Setup {
    /// Reads `NAME --port PORT --console PID:TICKS`.
    ///
    /// # Errors
    /// What is missing or wrong, in words.
    pub(super) fn parse(arguments: &[OsString]) -> Result<Self, String> {
        let words: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
        let [name, "--port", port, "--console", console] = words.unwrap_or_default()[..] else {
            return Err("a stand-in takes NAME --port PORT --console PID:TICKS".to_owned());
        };
        Ok(Self {
            part: cast::part(name).ok_or_else(|| format!("{name:?} is not in the demo"))?,
            port: port.parse().map_err(|_| format!("{port:?} is not a port"))?,
            console: console.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::Setup;

    fn parse(line: &str) -> Result<Setup, String> {
        Setup::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_full_line_is_understood_and_anything_else_is_named() {
        let setup = parse("gitea --port 4000 --console 12:34").unwrap();
        assert_eq!((setup.part.name, setup.port, setup.console.to_string()), ("gitea", 4000, "12:34".to_owned()));
        let refusal = |line| parse(line).err().unwrap();
        assert_eq!(refusal("nobody --port 1 --console 1:1"), "\"nobody\" is not in the demo");
        assert_eq!(refusal("gitea --port 70000 --console 1:1"), "\"70000\" is not a port");
        assert_eq!(refusal("gitea --port 1 --console 1"), "\"1\" is not PID:TICKS");
        assert!(refusal("gitea").starts_with("a stand-in takes"));
    }
}
