//! What completions offer: names of the registry in use, asked of the program itself each time, so that they are never stale.
//!
//! A completion never fails: with a registry that cannot be read it offers nothing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{Bash, EnvCompleter, Fish, Shells, Zsh};

use super::args::CompletionShell;
use super::print::Printer;
use super::program::{Program, command};
use crate::config::{self, Environment};
use crate::model::Registry;
use crate::report::known_operations;

/// Set by the shells' scripts to the name of the shell that asks.
const VARIABLE: &str = "PROVISIONING_COMPLETE";

/// The shells that were tried.
const SHELLS: Shells<'static> = Shells(&[&Bash, &Zsh, &Fish]);

/// Answers a shell's question, when this process was started for one.
pub(super) fn answer(program: Program) -> Option<ExitCode> {
    std::env::var_os(VARIABLE)?;
    let complete = CompleteEnv::with_factory(|| command(program)).var(VARIABLE).shells(SHELLS);
    let current_dir = std::env::current_dir().ok();
    match complete.try_complete(std::env::args_os(), current_dir.as_deref()) {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => None,
        // Whatever is printed now would land in the line that is being typed.
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// The script that a shell reads at its start.
///
/// # Errors
/// When it cannot be written to memory, which is a fault of the generator.
pub(super) fn script(shell: CompletionShell, program: Program) -> std::io::Result<String> {
    let shell: &dyn EnvCompleter = match shell {
        CompletionShell::Bash => &Bash,
        CompletionShell::Zsh => &Zsh,
        CompletionShell::Fish => &Fish,
    };
    let mut script = Vec::new();
    let name = program.name();
    // By its name and not by its path: the program may be moved, the script is read by people.
    shell.write_registration(VARIABLE, &name.replace('-', "_"), name, name, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Prints it.
pub(super) fn print_script(shell: CompletionShell, program: Program, out: &mut Printer) -> super::Exit {
    match script(shell, program) {
        Ok(script) => {
            out.report(&script);
            super::Exit::Done
        }
        Err(error) => {
            out.error(&format!("failed to write the completions: {error}"));
            super::Exit::Failed
        }
    }
}

/// Services whose name begins with what was typed.
pub(super) fn services(typed: &OsStr) -> Vec<CompletionCandidate> {
    let registry = registry();
    let offered = registry.services.iter().map(|spec| {
        let help = (!spec.description.is_empty()).then(|| crate::report::safe(&spec.description).into_owned());
        CompletionCandidate::new(spec.id.as_str()).help(help.map(Into::into))
    });
    beginning_with(offered, typed)
}

/// Operations that a service is required for.
pub(super) fn operations() -> Vec<CompletionCandidate> {
    let registry = registry();
    let help = |operation: &str| format!("Start what {operation} needs, then run provisioning-{operation}");
    let is_plain =
        |operation: &&str| operation.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    known_operations(&registry)
        .into_iter()
        .filter(is_plain)
        .map(|operation| CompletionCandidate::new(operation).help(Some(help(operation).into())))
        .collect()
}

/// The same, as an argument.
pub(super) fn operation_values(typed: &OsStr) -> Vec<CompletionCandidate> {
    let offered = operations().into_iter().map(|candidate| CompletionCandidate::new(candidate.get_value().to_owned()));
    beginning_with(offered, typed)
}

fn beginning_with(offered: impl Iterator<Item = CompletionCandidate>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    offered.filter(|candidate| candidate.get_value().to_string_lossy().starts_with(typed.as_ref())).collect()
}

/// The registry that the line being typed would use.
fn registry() -> Registry {
    let environment = Environment::from_process();
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").collect();
    config::load(&config::discover(named_config(&words).as_deref(), &environment), &environment)
}

/// `--config FILE` or `--config=FILE` of an unfinished line.
fn named_config(words: &[OsString]) -> Option<PathBuf> {
    for (place, word) in words.iter().enumerate() {
        if word == "--config" {
            return words.get(place + 1).map(PathBuf::from);
        }
        if let Some(file) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            return Some(Path::new(file).to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::named_config;
    use std::ffi::OsString;
    use std::path::PathBuf;

    #[test]
    fn the_registry_of_the_line_being_typed_is_the_one_asked() {
        let of = |line: &str| named_config(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("provisioning --config a.toml services start o"), Some(PathBuf::from("a.toml")));
        assert_eq!(of("provisioning services start o --config=b.toml"), Some(PathBuf::from("b.toml")));
        assert_eq!(of("provisioning services start o"), None);
        assert_eq!(of("provisioning services start o --config"), None);
    }
}
