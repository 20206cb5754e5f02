//! `${NAME}` and a leading `~/` in a string (R18, R19, A16).

use super::Environment;

/// Why a string could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unexpandable {
    /// No such variable is set.
    Unset(String),
    /// The variable is set, but its value is no text.
    NotText(String),
    /// `${` without a `}`.
    Unclosed,
    /// What stands between the braces cannot name a variable.
    NoName(String),
    /// `~/`, and no home directory is known.
    NoHome,
}

impl Unexpandable {
    /// The piece of the string that is at fault, as written there.
    pub(super) fn piece(&self) -> String {
        match self {
            Self::Unset(name) | Self::NotText(name) | Self::NoName(name) => format!("${{{name}}}"),
            Self::Unclosed => "${".to_owned(),
            Self::NoHome => "~/".to_owned(),
        }
    }
}

/// The text with every `${NAME}` and a leading `~/` replaced. A lone `$` stays. What was put in is not looked at again.
///
/// # Errors
/// Every piece that could not be replaced, each once.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, Vec<Unexpandable>> {
    let mut expanded = String::with_capacity(text.len());
    let mut problems = Vec::new();
    let mut rest = text;
    if let Some(below_home) = text.strip_prefix("~/") {
        rest = below_home;
        match environment.home.as_ref().map(|home| home.to_str()) {
            Some(Some(home)) => {
                expanded.push_str(home.trim_end_matches('/'));
                expanded.push('/');
            }
            Some(None) => problems.push(Unexpandable::NotText("HOME".to_owned())),
            None => problems.push(Unexpandable::NoHome),
        }
    }
    while let Some(start) = rest.find("${") {
        expanded.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let Some(end) = after.find('}') else {
            problems.push(Unexpandable::Unclosed);
            rest = "";
            break;
        };
        let name = &after[..end];
        match value(name, environment) {
            Ok(value) => expanded.push_str(value),
            Err(problem) if problems.contains(&problem) => {}
            Err(problem) => problems.push(problem),
        }
        rest = &after[end + 1..];
    }
    expanded.push_str(rest);
    if problems.is_empty() { Ok(expanded) } else { Err(problems) }
}

fn value<'e>(name: &str, environment: &'e Environment) -> Result<&'e str, Unexpandable> {
    let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        return Err(Unexpandable::NoName(name.to_owned()));
    }
    match environment.value(name) {
        Some(value) => value.to_str().ok_or_else(|| Unexpandable::NotText(name.to_owned())),
        None => Err(Unexpandable::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Unexpandable, expand};
    use crate::config::Environment;

    fn environment() -> Environment {
        Environment {
            variables: [("PORT".into(), "8080".into()), ("EMPTY".into(), "".into()), ("LOOP".into(), "${PORT}".into())]
                .into(),
            home: Some("/home/u".into()),
            current_dir: None,
        }
    }

    #[test]
    fn variables_and_the_home_are_replaced() {
        let cases = [
            ("${HOME}/bin", "/home/u/bin"),
            ("~/bin", "/home/u/bin"),
            ("--port=${PORT},${PORT}", "--port=8080,8080"),
            ("[${EMPTY}]", "[]"),
            ("costs $5, $HOME and 5$", "costs $5, $HOME and 5$"),
            ("a~/b", "a~/b"),
            ("~", "~"),
            ("${LOOP}", "${PORT}"),
            ("é${PORT}é", "é8080é"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &environment()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_named_once_each() {
        let problems = expand("${NO}/${NO}/${a b}/${", &environment()).unwrap_err();
        assert_eq!(
            problems,
            [Unexpandable::Unset("NO".into()), Unexpandable::NoName("a b".into()), Unexpandable::Unclosed]
        );
        assert_eq!(expand("~/x", &Environment::default()).unwrap_err(), [Unexpandable::NoHome]);
        assert_eq!(expand("${HOME}", &Environment::default()).unwrap_err(), [Unexpandable::Unset("HOME".into())]);
    }
}
