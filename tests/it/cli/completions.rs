//! Completions in the shells themselves, and manual pages.

use std::io::{Read as _, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::{Home, b10, wait_until};

/// Whether a shell is installed. bash must be; the others are tried where they are.
fn has(shell: &str) -> bool {
    let is_there = Command::new(shell).args(["-c", "true"]).output().is_ok();
    assert!(is_there || shell != "bash", "bash is needed to try its completions");
    is_there
}

/// What a shell offers for a line, as it asks our own script.
fn offered(home: &Home, shell: &str, script: &str) -> Vec<String> {
    let arguments: &[&str] = match shell {
        "bash" => &["--norc", "-c", script],
        "zsh" => &["-f", "-c", script],
        _ => &["--no-config", "-c", script],
    };
    let output = home.shell(shell, arguments).env("TERM", "dumb").output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.is_empty(), "{shell}: {err}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(['\t', ':']).next().unwrap().trim().to_owned()).collect()
}

/// As bash calls it when Tab is pressed at the end of `line`.
fn in_bash(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let last = words.len() - 1;
    format!(
        "source <(provisioning completions bash)\n\
         read -ra spec <<<\"$(complete -p provisioning)\"\n\
         for ((i = 0; i < ${{#spec[@]}}; i++)); do [[ ${{spec[i]}} == -F ]] && function=${{spec[i + 1]}}; done\n\
         COMP_WORDS=({}) COMP_CWORD={last} COMP_TYPE=9\n\
         compopt() {{ true; }}\n\
         \"$function\" provisioning \"${{COMP_WORDS[{last}]}}\" ''\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" ")
    )
}

/// As zsh calls it: `_describe` and `compdef` belong to its line editor, which has no line here.
fn in_zsh(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
    format!(
        "compdef() {{ function_name=$1 }}\n\
         _describe() {{ shift 2; print -rl -- \"${{(@P)1}}\" }}\n\
         source <(provisioning completions zsh)\n\
         words=({}) CURRENT={}\n\
         $function_name",
        words.join(" "),
        words.len()
    )
}

fn in_fish(line: &str) -> String {
    format!("provisioning completions fish | source\ncomplete -C '{line}'")
}

#[test]
fn every_shell_offers_the_services_of_the_registry_and_what_else_can_follow() {
    let home = b10();
    type Asking = fn(&str) -> String;
    let shells: [(&str, Asking); 3] = [("bash", in_bash), ("zsh", in_zsh), ("fish", in_fish)];
    for (shell, script) in shells.into_iter().filter(|(shell, _)| has(shell)) {
        let offers = |line: &str| offered(&home, shell, &script(line));
        assert_eq!(offers("provisioning services start c"), ["control-center", "coredns"], "{shell}");
        assert_eq!(offers("provisioning services logs orc"), ["orchestrator"], "{shell}");
        assert_eq!(offers("provisioning platform stop coredns git"), ["gitea"], "{shell}");
        assert_eq!(offers("provisioning services read"), ["readiness"], "{shell}");
        assert_eq!(offers("provisioning services list --category or"), ["orchestration"], "{shell}");
        assert!(offers("provisioning services health gitea --wa").contains(&"--wait".to_owned()), "{shell}");
        assert!(offers("provisioning ").contains(&"platform".to_owned()), "{shell}");
        let unusable = offers("provisioning --config /nowhere.toml services start c");
        assert!(!unusable.contains(&"coredns".to_owned()), "{shell}: the registry of the line is the one asked");
    }
    assert!(!home.path(".provisioning").exists(), "completing writes nothing");
}

/// A shell on a terminal of its own, as a person has it: what is typed, and what is seen.
struct Keyboard {
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<String>>,
    shell: Box<dyn portable_pty::Child + Send + Sync>,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
}

impl Keyboard {
    fn at(home: &Home, shell: &str, arguments: &[&str]) -> Self {
        let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(shell);
        command.args(arguments);
        command.cwd(home.path(""));
        for (name, value) in home.shell(shell, &[]).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            }
        }
        command.env("TERM", "xterm");
        let mut reader = pty.master.try_clone_reader().unwrap();
        let keys = pty.master.take_writer().unwrap();
        let shell = pty.slave.spawn_command(command).unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let writer = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n_read @ 1..) = reader.read(&mut bytes) {
                writer.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n_read]));
            }
        });
        Self { keys, seen, shell, _terminal: pty.master }
    }

    /// Types, and waits until all of `wanted` was written since.
    fn types(&mut self, keys: &str, wanted: &str) {
        self.seen.lock().unwrap().clear();
        self.keys.write_all(keys.as_bytes()).unwrap();
        wait_until(&format!("{wanted:?} after {keys:?}"), || self.seen.lock().unwrap().contains(wanted));
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[test]
fn tab_completes_a_service_in_each_shells_own_line_editor() {
    let home = b10();
    let shells: [(&str, &[&str], &str); 3] = [
        ("bash", &["--norc", "--noprofile", "-i"], "source <(provisioning completions bash)"),
        ("zsh", &["-f", "-i"], "autoload -Uz compinit && compinit -u -D && source <(provisioning completions zsh)"),
        ("fish", &["--no-config", "-i"], "provisioning completions fish | source"),
    ];
    for (shell, arguments, setup) in shells.into_iter().filter(|(shell, ..)| has(shell)) {
        let mut keyboard = Keyboard::at(&home, shell, arguments);
        // The word appears as it is only in what is printed, not in what is typed.
        keyboard.types(&format!("{setup}; echo lo''aded\r"), "loaded");
        keyboard.types("provisioning services start orc\t", "hestrator");
        // The line is whole: it runs, and the program is told the whole name.
        keyboard.types("--dry-run\r", "asked for");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = b10();
    let page = home.types("man");
    assert_eq!(page.code, Some(0));
    assert!(page.out.contains(".TH provisioning 1") && page.out.contains("Exit codes"), "{}", page.out);
    assert_eq!(home.types("man pages/man1").code, Some(0));
    for name in ["provisioning", "provisioning-platform-start", "provisioning-services-monitor", "provisioning-events"]
    {
        let text = std::fs::read_to_string(home.path(&format!("pages/man1/{name}.1"))).unwrap();
        assert!(!text.contains("{program}"), "{name}");
    }
    assert!(!home.path(".provisioning").exists());
}
