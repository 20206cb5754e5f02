//! Whether the files that services need are there. Asked by `services validate` alone: a registry may well be written before what it
//! starts is installed, and a start looks for itself.

use std::io;
use std::path::Path;

use crate::model::{Code, Deployment};

use super::document::{Document, quoted};
use super::findings::{Finding, Findings};
use super::service::Located;

/// Adds a warning for each path that is not there. Blocks on the file system.
pub(super) fn check(document: &Document<'_>, services: &[Located], findings: &mut Findings) {
    for Located { spec, traces } in services {
        for (field, span) in &traces.paths {
            let Some(path) = path_of(&spec.deployment, field) else { continue };
            let Some(reason) = absence(path) else { continue };
            let shown = quoted(&path.display().to_string());
            let finding = Finding::warning(Code::MissingFile, format!("{field} {shown}: {reason}"));
            let hint = format!("`{}` cannot start without it", spec.id);
            findings.add(document, Some(spec.id.as_str()), span.clone(), finding.hint(hint));
        }
    }
}

fn path_of<'a>(deployment: &'a Deployment, field: &str) -> Option<&'a Path> {
    match (deployment, field) {
        (Deployment::Binary(binary), "binary_path") => Some(&binary.binary_path),
        (Deployment::Binary(binary), "working_dir") => binary.working_dir.as_deref(),
        (Deployment::Binary(binary), "env_file") => binary.env_file.as_deref(),
        (Deployment::DockerCompose(compose), "compose_file") => Some(&compose.compose_file),
        (Deployment::Kubernetes(kubernetes), "manifests_path") => kubernetes.manifests_path.as_deref(),
        (Deployment::Remote(remote), "auth_token_path") => remote.auth_token_path.as_deref(),
        (Deployment::Remote(remote), "ca_path") => remote.ca_path.as_deref(),
        _ => None,
    }
}

/// Why nothing can be found there, if nothing can. A relative program is looked for by whoever starts it.
fn absence(path: &Path) -> Option<String> {
    if !path.is_absolute() {
        return None;
    }
    match std::fs::metadata(path) {
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("no such file".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
