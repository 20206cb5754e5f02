//! The name the program was called by, and the command tree that says it (A41).

use std::ffi::OsStr;
use std::path::Path;

use clap::CommandFactory as _;

use super::args::Cli;

/// Which of the two names the program was called by. Both serve the same command tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `provisioning`: every line of the guide works as written.
    Provisioning,
    /// `provisioning-tui`: the console.
    Console,
}

impl Program {
    /// Reads the name from the first argument. Any other name (a link, a copy) counts as `provisioning`.
    pub fn from_first_argument(argument: Option<&OsStr>) -> Self {
        let name = argument.and_then(|argument| Path::new(argument).file_stem());
        if name == Some(OsStr::new("provisioning-tui")) { Self::Console } else { Self::Provisioning }
    }

    /// The name itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Console => "provisioning-tui",
        }
    }
}

/// The command tree, whose help speaks of the program by the name it was called by.
pub fn command(program: Program) -> clap::Command {
    let name = program.name();
    say_name(Cli::command(), name).name(name).bin_name(name)
}

/// Puts the program's name into the examples of every command.
fn say_name(command: clap::Command, name: &str) -> clap::Command {
    let examples = command.get_after_help().map(|text| text.to_string().replace("{program}", name));
    let command = match examples {
        Some(text) => command.after_help(text),
        None => command,
    };
    command.mut_subcommands(|command| say_name(command, name))
}

#[cfg(test)]
mod tests {
    use super::{Program, command};
    use std::ffi::OsStr;

    #[test]
    fn the_name_is_read_from_the_path_it_was_called_by() {
        let of = |text: &str| Program::from_first_argument(Some(OsStr::new(text)));
        assert_eq!(of("/usr/bin/provisioning-tui"), Program::Console);
        assert_eq!(of("provisioning"), Program::Provisioning);
        assert_eq!(of("./a-link"), Program::Provisioning);
        assert_eq!(Program::from_first_argument(None), Program::Provisioning);
    }

    #[test]
    fn the_command_tree_is_consistent() {
        command(Program::Provisioning).debug_assert();
        command(Program::Console).debug_assert();
    }

    #[test]
    fn every_help_text_is_as_reviewed() {
        fn walk(command: &mut clap::Command, all: &mut String) {
            let usage = command.get_bin_name().unwrap_or_default().to_owned();
            all.push_str(&format!("$ {usage} --help\n{}\n", command.render_long_help()));
            for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
                walk(sub, all);
            }
        }
        // A width of its own, so that the terminal of whoever runs the test does not matter.
        let mut tree = command(Program::Provisioning).term_width(80);
        tree.build();
        let mut all = String::new();
        walk(&mut tree, &mut all);
        insta::assert_snapshot!(all);
    }

    #[test]
    fn help_uses_the_called_name_everywhere() {
        fn walk(command: &mut clap::Command, check: &dyn Fn(&str)) {
            check(&command.render_long_help().to_string());
            for sub in command.get_subcommands_mut() {
                walk(sub, check);
            }
        }
        let mut tree = command(Program::Console);
        tree.build();
        walk(&mut tree, &|help| {
            assert!(!help.contains("{program}"), "{help}");
            assert!(!help.contains("provisioning platform") && !help.contains("provisioning services"), "{help}");
        });
    }
}
