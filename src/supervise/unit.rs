//! The unit of a systemd user manager that keeps a `supervise` running from login, or from boot where the user lingers.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Its name.
pub const UNIT: &str = "provisioning-supervise.service";

/// What the unit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The executable.
    pub program: PathBuf,
    /// `--config`, where it was given.
    pub config: Option<PathBuf>,
    /// The directory that the environment moved everything to, where it did.
    pub services_dir: Option<PathBuf>,
}

impl Unit {
    /// Where the user's units are: `$XDG_CONFIG_HOME/systemd/user`, or `~/.config/systemd/user`.
    pub fn path(config_home: Option<&Path>, home: &Path) -> PathBuf {
        let config = config_home.filter(|path| path.is_absolute()).map_or_else(|| home.join(".config"), Path::to_owned);
        config.join("systemd/user").join(UNIT)
    }

    /// The file's text.
    ///
    /// # Errors
    /// When a path is no text: systemd reads UTF-8.
    pub fn text(&self) -> io::Result<String> {
        let mut line = format!("{} supervise --stay --replace", executable(&self.program)?);
        if let Some(config) = &self.config {
            let _infallible = write!(line, " --config {}", argument(config)?);
        }
        let environment = match &self.services_dir {
            Some(path) => format!("Environment={}\n", quoted(&format!("PROVISIONING_SERVICES_DIR={}", text(path)?))),
            None => String::new(),
        };
        Ok(format!(
            "\
# Written by `provisioning supervise install`; `provisioning supervise uninstall` removes it.
[Unit]
Description=Looks after the services of provisioning

[Service]
Type=notify
ExecStart={line}
{environment}# Services outlive it: a stop, and a restart after an upgrade, touch none of them.
KillMode=process
Restart=on-failure
RestartSec=1
WatchdogSec=60

[Install]
WantedBy=default.target
"
        ))
    }
}

fn text(path: &Path) -> io::Result<&str> {
    let problem = || io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no text", path.display()));
    path.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(problem)
}

/// The executable's path: specifiers are expanded in it, variables are not (systemd.service(5), "Command lines").
fn executable(path: &Path) -> io::Result<String> {
    Ok(quoted(text(path)?))
}

/// An argument: specifiers and variables are expanded in it unless they are doubled.
fn argument(path: &Path) -> io::Result<String> {
    Ok(quoted(text(path)?).replace('$', "$$"))
}

/// In quotes, so that blanks mean nothing; `%` doubled, so that it is no specifier.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::Unit;
    use std::path::Path;

    #[test]
    fn the_unit_is_as_reviewed() {
        let unit = Unit { program: "/opt/our tools/provisioning".into(), config: None, services_dir: None };
        insta::assert_snapshot!(unit.text().expect("text"));
    }

    #[test]
    fn paths_with_blanks_quotes_percents_and_dollars_stay_what_they_are() {
        let unit = Unit {
            program: "/bin/p".into(),
            config: Some("/a b/\"c\"/100%/$HOME.toml".into()),
            services_dir: Some("/d%/$x".into()),
        };
        let text = unit.text().expect("text");
        assert!(text.contains("--config \"/a b/\\\"c\\\"/100%%/$$HOME.toml\"\n"), "{text}");
        assert!(text.contains("Environment=\"PROVISIONING_SERVICES_DIR=/d%%/$x\"\n"), "{text}");
        let newline = Unit { program: "/a\nb".into(), config: None, services_dir: None };
        assert!(newline.text().is_err(), "a line of its own could be anything");
    }

    #[test]
    fn it_is_put_where_the_user_manager_looks() {
        let home = Path::new("/home/u");
        let usual = Path::new("/home/u/.config/systemd/user/provisioning-supervise.service");
        assert_eq!(Unit::path(None, home), usual);
        assert_eq!(Unit::path(Some(Path::new("relative")), home), usual);
        assert_eq!(
            Unit::path(Some(Path::new("/x")), home),
            Path::new("/x/systemd/user/provisioning-supervise.service")
        );
    }
}
