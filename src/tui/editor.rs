//! The person's editor: which one, and how it is told the line.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitStatus;

/// Which editor, as `$VISUAL` and `$EDITOR` say it: a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editor(String);

impl Editor {
    /// The person's choice, else the first of `vi` and `nano` that `PATH` has.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let chosen = ["VISUAL", "EDITOR"].into_iter().filter_map(&variable).find(|editor| !editor.trim().is_empty());
        let installed = || {
            let path = variable("PATH")?;
            let is_there = |name: &&str| std::env::split_paths(&path).any(|dir| is_executable(&dir.join(name)));
            ["vi", "nano"].into_iter().find(is_there).map(str::to_owned)
        };
        chosen.or_else(installed).map(Self)
    }

    /// What it is told to open `file` at `line` (from 1).
    fn arguments(&self, file: &Path, line: Option<usize>) -> Vec<OsString> {
        let file = file.as_os_str();
        let Some(line) = line else { return vec![file.to_owned()] };
        let program = self.0.split_whitespace().next().unwrap_or_default();
        let name = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
        let with_line = || {
            let mut place = file.to_owned();
            place.push(format!(":{line}"));
            place
        };
        match name {
            "vi" | "vim" | "nvim" | "view" | "nano" | "pico" | "emacs" | "emacsclient" | "kak" | "joe" | "jed"
            | "micro" | "ne" | "mg" | "elvis" | "ex" => vec![format!("+{line}").into(), file.to_owned()],
            "hx" | "helix" | "subl" | "zed" => vec![with_line()],
            "code" | "codium" | "code-insiders" => vec!["--goto".into(), with_line()],
            _ => vec![file.to_owned()],
        }
    }

    /// Runs it on this terminal until the person leaves it. A shell reads the command line, as with other programs that know these
    /// variables, and never the file's name. Not cancel safe: the editor goes on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn open(&self, file: &Path, line: Option<usize>) -> std::io::Result<ExitStatus> {
        let mut command = tokio::process::Command::new("/bin/sh");
        command.arg("-c").arg(format!("{} \"$@\"", self.0)).arg(&self.0).args(self.arguments(file, line));
        command.status().await
    }
}

impl std::fmt::Display for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::Editor;
    use std::path::Path;

    fn found(variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        Editor::find(variable).map(|editor| editor.to_string())
    }

    fn arguments(editor: &str) -> Vec<String> {
        let arguments = Editor(editor.to_owned()).arguments(Path::new("/a b.toml"), Some(7));
        arguments.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn the_persons_choice_goes_before_what_is_installed() {
        assert_eq!(found(&[("VISUAL", "hx"), ("EDITOR", "nano")]).as_deref(), Some("hx"));
        assert_eq!(found(&[("VISUAL", " "), ("EDITOR", "nano -w")]).as_deref(), Some("nano -w"));
        assert_eq!(found(&[("PATH", "/nowhere")]), None);
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("nano");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(found(&[("PATH", &format!("/nowhere:{}", home.path().display()))]).as_deref(), Some("nano"));
    }

    #[test]
    fn each_editor_is_told_the_line_in_its_own_way() {
        for editor in ["vi", "/usr/bin/vim -n", "nano", "emacs -nw"] {
            assert_eq!(arguments(editor), ["+7", "/a b.toml"], "{editor}");
        }
        assert_eq!(arguments("hx"), ["/a b.toml:7"]);
        assert_eq!(arguments("code --wait"), ["--goto", "/a b.toml:7"]);
        assert_eq!(arguments("ed"), ["/a b.toml"], "what is not known is only given the file");
        assert_eq!(Editor("vi".to_owned()).arguments(Path::new("/x"), None), ["/x"]);
    }
}
