//! Which tests there are, so that a table which names some cannot name one that is gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below, as its path from the root of the project and its text.
fn sources(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
}

/// The functions that are marked as tests, each with the files that have one of that name.
pub(crate) fn tests() -> BTreeMap<String, Vec<PathBuf>> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests/it"), &mut files);
    let mut tests: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in &files {
        let mut is_marked = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_marked = true;
            } else if let Some((before, after)) = line.split_once("fn ").filter(|_| is_marked) {
                assert!(before.is_empty() || before == "async ", "{}: {line}", path.display());
                let name = after.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
                tests.entry(name.to_owned()).or_default().push(path.clone());
                is_marked = false;
            }
        }
    }
    tests
}

/// What is wrong with naming `test`: `name`, or `directory/file::name` where several files have one of that name.
pub(crate) fn fault(test: &str, tests: &BTreeMap<String, Vec<PathBuf>>) -> Option<String> {
    let (place, name) = test.rsplit_once("::").unwrap_or(("", test));
    let files = tests.get(name).map_or(&[][..], Vec::as_slice);
    let n_meant = files.iter().filter(|file| file.with_extension("").ends_with(place) || place.is_empty()).count();
    (n_meant != 1).then(|| format!("{test} names {n_meant} tests"))
}
