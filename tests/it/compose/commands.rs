//! The commands, as in any other mode.

use super::*;

/// What a person has: a registry with `web` of Compose mode, and the commands.
pub(super) struct Commands<'a> {
    it: &'a Fixture,
    search_path: OsString,
}

impl<'a> Commands<'a> {
    pub(super) fn new(it: &'a Fixture, search_path: OsString) -> Self {
        let registry = format!(
            "[services.web]\ntype = \"utility\"\ncategory = \"ui\"\n[services.web.deployment]\nmode = \"docker-compose\"\n\
             [services.web.deployment.docker_compose]\ncompose_file = {:?}\nservice_name = \"app\"\nproject_name = {:?}\n",
            it.file(),
            it.name
        );
        fs::write(it.home.path().join("services.toml"), registry).expect("registry");
        Self { it, search_path }
    }

    pub(super) fn command(&self, line: &str) -> Command {
        let home = self.it.home.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command
            .arg("--config")
            .arg(home.join("services.toml"))
            .args(line.split_whitespace())
            .env("HOME", home)
            .env("PATH", &self.search_path)
            .env("PROVISIONING_SERVICES_DIR", home.join("services"))
            .env("PROVISIONING_SUPERVISE", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(super) fn answer(&self, line: &str) -> (bool, String) {
        let output = self.command(line).output().expect("runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    #[track_caller]
    pub(super) fn types(&self, line: &str) -> String {
        let (is_well, text) = self.answer(line);
        assert!(is_well, "{line}: {text}");
        text
    }
}

#[test]
fn the_commands_work_in_compose_mode_as_in_any_other() {
    let Some(it) = Fixture::new(GOOD) else { return };
    let commands = Commands::new(&it, std::env::var_os("PATH").expect("PATH"));
    let status = commands.types("services status web");
    assert!(status.contains("stopped"), "{status}");
    commands.types("services start web");
    let status = commands.types("services status web");
    assert!(status.contains("running") && status.contains("docker-compose"), "{status}");
    it.until_all_have_said("ready");
    assert_eq!(commands.types("services logs web --lines 1"), "ready\n");
    commands.types("services restart web");
    it.until_all_have_said("ready");
    commands.types("services stop web");
    assert!(it.running("app").is_empty());
    let status = commands.types("services status web");
    assert!(status.contains("stopped"), "{status}");
    commands.types("services validate");

    fs::remove_file(it.file()).expect("removed");
    let (is_well, text) = commands.answer("services start web");
    assert!(!is_well && text.contains("does not exist") && text.contains("`compose_file`"), "{text}");
    let (_, text) = commands.answer("services validate");
    assert!(text.contains("compose.yaml"), "a missing file is told: {text}");
}
