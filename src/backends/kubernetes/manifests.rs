//! The manifests of a service: files into documents, in the order in which they can be applied. Pure but for reading the files.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::trouble::brief;

/// The most that is read of one file.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// What is made before what: a kind that is not named here comes last, since it may be a custom resource that needs anything.
const ORDER: [&str; 27] = [
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicaSet",
    "StatefulSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Job",
    "CronJob",
    "Ingress",
];

/// One object that is to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// `deploy/web.yaml:12`.
    pub(super) place: String,
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    /// As it is written; the service's own where it is not.
    pub(super) namespace: Option<String>,
    pub(super) value: Value,
}

impl Document {
    /// `Deployment web`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// Whether this is the Deployment that a service is about.
    pub(super) fn is_deployment(&self, namespace: &str, name: &str) -> bool {
        self.kind == "Deployment"
            && self.api_version.starts_with("apps/")
            && self.name == name
            && self.namespace.as_deref().is_none_or(|it| it == namespace)
    }
}

/// Why manifests cannot be read: `file:line:column: why`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub(super) struct Unreadable {
    place: String,
    why: String,
}

fn unreadable(place: impl Into<String>, why: impl Into<String>) -> Unreadable {
    Unreadable { place: place.into(), why: why.into() }
}

/// All documents below a path, in the order in which they are applied: a file, or the `.yaml`, `.yml` and `.json` files of a directory by name.
pub(super) fn read(path: &Path) -> Result<Vec<Document>, Unreadable> {
    let problem = |path: &Path, error: &io::Error| unreadable(path.display().to_string(), error.to_string());
    let found = std::fs::metadata(path).map_err(|error| problem(path, &error))?;
    let mut files: Vec<PathBuf> = Vec::new();
    if found.is_dir() {
        for entry in std::fs::read_dir(path).map_err(|error| problem(path, &error))? {
            let file = entry.map_err(|error| problem(path, &error))?.path();
            let is_one = file.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json");
            if is_one && file.is_file() {
                files.push(file);
            }
        }
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut documents = Vec::new();
    for file in files {
        let size = std::fs::metadata(&file).map_err(|error| problem(&file, &error))?.len();
        if size > MAX_FILE {
            return Err(unreadable(file.display().to_string(), "it is too large for a manifest"));
        }
        let text = std::fs::read_to_string(&file).map_err(|error| problem(&file, &error))?;
        documents.extend(parse(&file.display().to_string(), &text)?);
    }
    if documents.is_empty() {
        return Err(unreadable(path.display().to_string(), "there is no manifest (.yaml, .yml, .json) in it"));
    }
    documents.sort_by_key(rank);
    Ok(documents)
}

fn rank(document: &Document) -> usize {
    ORDER.iter().position(|kind| *kind == document.kind).unwrap_or(ORDER.len())
}

/// The documents of one text, each on its own: the server would take the first of several and say nothing of the others.
fn parse(file: &str, text: &str) -> Result<Vec<Document>, Unreadable> {
    let mut documents = Vec::new();
    for (first_line, part) in split(text) {
        let is_blank =
            |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "...";
        if part.lines().all(is_blank) {
            continue;
        }
        let value: Value = serde_saphyr::from_str(part).map_err(|error| {
            let place = error.location().map_or_else(
                || format!("{file}:{first_line}"),
                |at| format!("{file}:{}:{}", usize::try_from(at.line()).unwrap_or(1) + first_line - 1, at.column()),
            );
            let why = error.without_snippet().to_string();
            unreadable(place, format!("it is not YAML: {}", brief(why.lines().next().unwrap_or_default())))
        })?;
        if value.is_null() {
            continue;
        }
        let line = first_line + part.lines().take_while(|line| is_blank(line)).count();
        collect(&format!("{file}:{line}"), value, &mut documents)?;
    }
    Ok(documents)
}

/// A List is for clients alone: its items are what counts.
fn collect(place: &str, mut value: Value, documents: &mut Vec<Document>) -> Result<(), Unreadable> {
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let needed = |value: &Value, pointer: &str, what: &str| {
        text(value, pointer)
            .filter(|it| !it.is_empty())
            .ok_or_else(|| unreadable(place, format!("`{what}` is missing")))
    };
    let (api_version, kind) = (needed(&value, "/apiVersion", "apiVersion")?, needed(&value, "/kind", "kind")?);
    if kind.ends_with("List")
        && let Some(items) = value.get_mut("items").and_then(Value::as_array_mut)
    {
        for item in std::mem::take(items) {
            collect(place, item, documents)?;
        }
        return Ok(());
    }
    let name = needed(&value, "/metadata/name", "metadata.name")?;
    if value.pointer("/metadata/managedFields").is_some() {
        return Err(unreadable(place, "`metadata.managedFields` belongs to the server: leave it out"));
    }
    let namespace = text(&value, "/metadata/namespace").filter(|it| !it.is_empty());
    documents.push(Document { place: place.to_owned(), api_version, kind, name, namespace, value });
    Ok(())
}

/// At the lines that begin with `---`; each part with the number of its first line, from 1.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut begin, mut first_line, mut at) = (0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_mark =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if is_mark {
            parts.push((first_line, text.get(begin..at).unwrap_or_default()));
            // What stands behind the mark belongs to the document, and may be a comment or a tag.
            begin = at + "---".len();
            first_line = number + 1;
        }
        at += line.len();
    }
    parts.push((first_line, text.get(begin..).unwrap_or_default()));
    parts
}

#[cfg(test)]
mod tests {
    use super::{parse, read};

    fn titles(text: &str) -> Vec<String> {
        parse("a.yaml", text).unwrap().iter().map(|it| format!("{} {}", it.place, it.title())).collect()
    }

    fn problem(text: &str) -> String {
        parse("a.yaml", text).unwrap_err().to_string()
    }

    const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

    #[test]
    fn documents_and_lists_are_taken_apart_and_know_their_line() {
        let text = format!(
            "# first\n---\n\n{CONFIG}---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: b}}}}\n- {{apiVersion: v1, kind: Service, metadata: {{name: c}}}}\n"
        );
        assert_eq!(titles(&text), ["a.yaml:4 ConfigMap a", "a.yaml:11 Secret b", "a.yaml:11 Service c"]);
    }

    #[test]
    fn what_is_wrong_has_a_file_and_a_line() {
        let broken = problem(&format!("{CONFIG}---\nkind: [\n  a: b: c\n"));
        assert!(broken.starts_with("a.yaml:") && broken.contains("it is not YAML"), "{broken}");
        let line: usize = broken.split(':').nth(1).unwrap().parse().unwrap();
        assert!((6..=8).contains(&line), "{broken}");
        assert_eq!(problem("\nkind: ConfigMap\n"), "a.yaml:2: `apiVersion` is missing");
        assert_eq!(problem("apiVersion: v1\nkind: ConfigMap\n"), "a.yaml:1: `metadata.name` is missing");
        let exported = problem("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, managedFields: []}\n");
        assert!(exported.contains("belongs to the server"), "{exported}");
    }

    #[test]
    fn a_directory_is_read_by_name_and_applied_by_kind() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, kind: &str, api: &str| {
            let text = format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: x}}\n");
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        write("1.yaml", "Widget", "widgets.example/v1");
        write("2.yml", "Deployment", "apps/v1");
        write("3.yaml", "ConfigMap", "v1");
        write("4.yaml", "Namespace", "v1");
        write("5.txt", "Secret", "v1");
        let kinds: Vec<String> = read(dir.path()).unwrap().into_iter().map(|it| it.kind).collect();
        assert_eq!(kinds, ["Namespace", "ConfigMap", "Deployment", "Widget"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path()).unwrap_err().to_string().contains("no manifest"));
        assert!(read(&empty.path().join("missing")).unwrap_err().to_string().contains("No such file"));
    }
}
