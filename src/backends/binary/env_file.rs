//! `env_file`: lines of `NAME=value`.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

/// The longest file that is read, in bytes.
const MAX_LENGTH: u64 = 1024 * 1024;

/// Reads the variables of a file, in its order. Empty lines and lines that begin with `#` mean nothing; `export ` before a name and
/// one pair of quotes around a value are taken off; nothing is expanded.
///
/// # Errors
/// When it cannot be read, is longer than 1 MiB, or has a line of another form. The value of a line is never part of the error.
pub(super) fn read(path: &Path) -> io::Result<Vec<(OsString, OsString)>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(MAX_LENGTH + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    parse(&text)
}

fn parse(text: &[u8]) -> io::Result<Vec<(OsString, OsString)>> {
    let mut variables = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let line = line.strip_prefix(b"export ").unwrap_or(line).trim_ascii_start();
        let at = line.iter().position(|&byte| byte == b'=').filter(|&at| at > 0);
        let (Some((name, value)), false) = (at.and_then(|at| line.split_at_checked(at)), line.contains(&0)) else {
            return Err(io::Error::other(format!("line {} is not NAME=value", index + 1)));
        };
        let value = unquote(value.get(1..).unwrap_or_default().trim_ascii());
        variables.push((OsString::from_vec(name.trim_ascii_end().to_vec()), OsString::from_vec(value.to_vec())));
    }
    Ok(variables)
}

fn unquote(value: &[u8]) -> &[u8] {
    for quote in [b"\"", b"'"] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn comments_quotes_and_exports_are_understood() {
        let text = b"# c\n\nA=1\r\nexport B = \"x y\"\nC='\"'\nD=\nE=a=b";
        let read: Vec<String> = parse(text)
            .expect("parses")
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        assert_eq!(read, ["A=1", "B=x y", "C=\"", "D=", "E=a=b"]);
    }

    #[test]
    fn a_bad_line_is_named_by_number_and_its_text_is_not_shown() {
        for text in [&b"A=1\nhunter2"[..], b"A=1\n=hunter2", b"A=1\nB=hunter2\0"] {
            let error = parse(text).expect_err("bad").to_string();
            assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        }
    }
}
