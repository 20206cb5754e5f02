//! "Did you mean": the nearest of the names that would have been right.

/// The candidate that `typed` was probably meant to be; `None` when nothing is near. Letter case and `-` against `_` cost nothing.
pub(super) fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = folded(typed);
    let n_chars = typed.chars().count();
    // A third of the letters may be wrong, but at least one: `ui` and `api` stay apart, `heath_check` finds its `l`.
    let limit = (n_chars / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(typed.len()) <= limit)
        .map(|candidate| (strsim::osa_distance(&typed, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint for it.
pub(super) fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(typed, candidates).map(|near| format!("did you mean `{near}`?"))
}

fn folded(name: &str) -> String {
    // Longer texts than any name are no misspelling, and comparing them would take long.
    name.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        let keys = ["health_check", "deployment", "startup", "type"];
        assert_eq!(nearest("heath_check", keys), Some("health_check"));
        assert_eq!(nearest("health-check", keys), Some("health_check"));
        assert_eq!(nearest("tpye", keys), Some("type"));
        assert_eq!(nearest("Deployment", keys), Some("deployment"));
        assert_eq!(nearest("network", keys), None);
        assert_eq!(nearest("x", ["y"]), None, "nothing of it is the same");
    }
}
