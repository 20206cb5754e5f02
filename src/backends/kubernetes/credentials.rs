//! Credential plugins of a kubeconfig: programs that print a token. They get no terminal: a session of their own, nothing to read, their
//! error output captured, and ten seconds.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::objects::moment;
use super::refusal::{Kind, Refusal};
use super::trouble::brief;
use crate::net::keep_out_of_core_dumps;

/// The argument by which this program becomes a plugin in a session of its own.
pub const PLUGIN_ARGUMENT: &str = "__credential-plugin";

/// How long a plugin may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The most that is read of what a plugin prints.
const MAX_OUTPUT: u64 = 1024 * 1024;

/// Makes this process a plugin: a new session, so that it has no terminal to ask on, then the plugin's program in its place. Returns only
/// when that failed.
pub fn become_plugin(command: &[std::ffi::OsString]) -> std::io::Error {
    use std::os::unix::process::CommandExt as _;
    let Some((program, arguments)) = command.split_first() else {
        return std::io::Error::other("no program is named");
    };
    if let Err(error) = rustix::process::setsid() {
        return error.into();
    }
    std::process::Command::new(program).args(arguments).exec()
}

/// What a plugin printed.
#[derive(Deserialize)]
struct Credential {
    status: Option<Printed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

/// Replaces a plugin in these credentials by what it prints. Returns until when that is good, where it says so.
pub(super) async fn resolve(credentials: &mut AuthInfo, trampoline: &Path) -> Result<Option<SystemTime>, Refusal> {
    keep_out_of_core_dumps();
    if let Some(provider) = credentials.auth_provider.as_ref().filter(|it| it.name != "oidc") {
        let words = format!("the kubeconfig's auth-provider `{}` no longer exists in Kubernetes", provider.name);
        return Err(Refusal::new(Kind::Configuration, words).with_remedy("use its exec plugin in the kubeconfig"));
    }
    // A token beats a plugin, as everywhere.
    if credentials.token.is_some() || credentials.token_file.is_some() {
        return Ok(None);
    }
    let Some(exec) = credentials.exec.take() else { return Ok(None) };
    let name = exec.command.clone().unwrap_or_default();
    let failed = |why: &dyn fmt::Display| {
        let hint = exec.install_hint.as_deref().map(brief).filter(|hint| !hint.is_empty());
        Refusal::new(Kind::Configuration, format!("the credential plugin {name} {why}")).with_remedy(
            hint.unwrap_or_else(|| "log in to the cluster again; `kubectl auth whoami` must work".to_owned()),
        )
    };
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(failed(&"wants to ask on a terminal, which it cannot here"));
    }
    let printed = run(&exec, trampoline).await.map_err(|why| failed(&why))?;
    let credential: Credential =
        serde_saphyr::from_slice(&printed).map_err(|_| failed(&"printed something that is no ExecCredential"))?;
    let Some(status) = credential.status else { return Err(failed(&"printed no credentials")) };
    match (status.token, status.client_certificate_data, status.client_key_data) {
        (Some(token), _, _) => credentials.token = Some(token.into()),
        (None, Some(certificate), Some(key)) => {
            // Plugins print PEM, a kubeconfig holds the same in base64.
            credentials.client_certificate_data = Some(base64(certificate.as_bytes()));
            credentials.client_key_data = Some(base64(key.as_bytes()).into());
        }
        (None, _, _) => return Err(failed(&"printed neither a token nor a certificate")),
    }
    Ok(status.expiration_timestamp.as_deref().and_then(moment))
}

/// What it printed on standard output, or why there is nothing, after the plugin's name.
async fn run(exec: &ExecConfig, trampoline: &Path) -> Result<Vec<u8>, String> {
    let Some(program) = exec.command.as_deref().filter(|it| !it.is_empty()) else {
        return Err("has no `command` in the kubeconfig".to_owned());
    };
    let mut command = Command::new(trampoline);
    command.arg(PLUGIN_ARGUMENT).arg(program).args(exec.args.iter().flatten());
    for pair in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
            command.env(name, value);
        }
    }
    command.env("KUBERNETES_EXEC_INFO", exec_info(exec)?);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    // Ended with everything it started when this call ends, however it ends.
    let mut plugin = Plugin { child, is_over: false };
    let output = tokio::time::timeout(LIMIT, collect(&mut plugin)).await;
    if output.is_err() {
        return Err(format!("did not answer within {} s; it was killed", LIMIT.as_secs()));
    }
    let (stdout, stderr, status) =
        output.ok().transpose().map_err(|error| format!("failed: {error}"))?.unwrap_or_default();
    if status.is_some_and(|status| status.success()) {
        return Ok(stdout);
    }
    let said = brief(&String::from_utf8_lossy(&stderr));
    let how = status.map(|status| status.to_string()).unwrap_or_default();
    Err(if said.is_empty() { format!("failed ({how})") } else { format!("failed ({how}): {said}") })
}

/// It leads a session, so its number is that of its group.
struct Plugin {
    child: Child,
    /// It was waited for: its number may be another's by now.
    is_over: bool,
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| !self.is_over) {
            // Before its session begins there is no such group; then the child alone is killed, by its own drop.
            let _no_such_group = kill_process_group(id, Signal::KILL);
        }
    }
}

async fn collect(plugin: &mut Plugin) -> std::io::Result<(Vec<u8>, Vec<u8>, Option<std::process::ExitStatus>)> {
    let (stdout, stderr) = (plugin.child.stdout.take(), plugin.child.stderr.take());
    let (stdout, stderr) = futures::try_join!(drain(stdout), drain(stderr))?;
    let status = plugin.child.wait().await?;
    plugin.is_over = true;
    Ok((stdout, stderr, Some(status)))
}

async fn drain(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(MAX_OUTPUT).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn exec_info(exec: &ExecConfig) -> Result<String, String> {
    let mut spec = HashMap::from([("interactive", serde_json::Value::Bool(false))]);
    if let Some(cluster) = exec.cluster.as_ref().filter(|_| exec.provide_cluster_info) {
        let cluster = serde_json::to_value(cluster).map_err(|error| format!("cannot be told its cluster: {error}"))?;
        spec.insert("cluster", cluster);
    }
    let info = serde_json::json!({
        "apiVersion": exec.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1"),
        "kind": "ExecCredential",
        "spec": spec,
    });
    Ok(info.to_string())
}

/// The standard alphabet, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut number = 0_usize;
        for at in 0..3 {
            number = number << 8 | usize::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let letter = ALPHABET.get(number >> (18 - 6 * at) & 63).copied().unwrap_or(b'A');
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Where the program is that becomes a plugin: this one, whatever was installed in its place meanwhile.
pub(super) fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_padded_to_groups_of_four() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
