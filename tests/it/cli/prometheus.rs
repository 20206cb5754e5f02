//! `--once --format prometheus`, read by a parser that takes the text format 0.0.4 at its word.

use std::collections::{BTreeMap, BTreeSet};

use super::b10;

/// One sample: labels in order, and the value.
type Sample = (BTreeMap<String, String>, f64);

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// The families of a text, by name. Refuses what a Prometheus server would: a family in two places, a sample without its TYPE, two equal
/// samples, bad escapes, a last line without its end.
fn parse(text: &str) -> Result<BTreeMap<String, Vec<Sample>>, String> {
    let mut families: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    let mut current: Option<(String, bool)> = None;
    let mut seen = BTreeSet::new();
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in text.lines() {
        let fault = |what: &str| Err(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, _)) = rest.split_once(' ') else { return fault("HELP without a text") };
            if !is_name(name) || families.insert(name.to_owned(), Vec::new()).is_some() {
                return fault("a family in two places, or a bad name");
            }
            current = Some((name.to_owned(), false));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return fault("TYPE without a type") };
            if !["gauge", "counter", "untyped", "histogram", "summary"].contains(&kind) {
                return fault("no such type");
            }
            if current != Some((name.to_owned(), false)) {
                return fault("TYPE away from its HELP");
            }
            current = Some((name.to_owned(), true));
        } else {
            let end = line.find(['{', ' ']).ok_or(format!("no value: {line}"))?;
            let (name, rest) = line.split_at(end);
            if current != Some((name.to_owned(), true)) {
                return fault("a sample outside its family");
            }
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => labels(rest)?,
                None => (BTreeMap::new(), rest),
            };
            let value = value.strip_prefix(' ').ok_or(format!("no blank before the value: {line}"))?;
            let value: f64 = value.parse().map_err(|_| format!("no number: {line}"))?;
            if !seen.insert((name.to_owned(), labels.clone())) {
                return fault("the same sample twice");
            }
            families.get_mut(name).unwrap().push((labels, value));
        }
    }
    Ok(families)
}

/// `a="b",c="d"} …`, without the brace that opened it.
fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once("=\"").ok_or(format!("no label: {rest}"))?;
        if !is_name(name) || name.contains(':') {
            return Err(format!("no label name: {name}"));
        }
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next() {
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => match letters.next() {
                    Some((_, '\\')) => value.push('\\'),
                    Some((_, '"')) => value.push('"'),
                    Some((_, 'n')) => value.push('\n'),
                    other => return Err(format!("a bad escape: {other:?}")),
                },
                Some((_, c)) => value.push(c),
                None => return Err("no end of a label's value".to_owned()),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("a label twice: {name}"));
        }
        match after[end..].chars().next() {
            Some(',') => rest = &after[end + 1..],
            Some('}') => return Ok((labels, &after[end + 1..])),
            _ => return Err(format!("no end of the labels: {after}")),
        }
    }
}

#[test]
fn the_parser_refuses_what_is_no_exposition() {
    let family = "# HELP a b\n# TYPE a gauge\n";
    assert!(parse(&format!("{family}a{{x=\"\\\"\\\\\\n\"}} 1\n")).is_ok());
    for bad in [
        "a 1\n",
        "# HELP a b\na 1\n",
        "# HELP a b\n# TYPE a gauge\na 1",
        "# HELP a b\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=\"\\q\"} 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=\"} 1\n",
        "# HELP a b\n# TYPE a gauge\na one\n",
        "# HELP a b\n# TYPE a gauge\n# HELP b b\n# TYPE b gauge\na 1\n",
        "# HELP a b\n# TYPE a thing\na 1\n",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_board_is_a_valid_exposition() {
    let home = b10();
    home.types("services start control-center");
    let answer = home.types("--once --format prometheus");
    assert_eq!(answer.code, Some(0), "{answer:#?}");
    let families = parse(&answer.out).unwrap_or_else(|fault| panic!("{fault}\n{answer:#?}"));
    let of = |family: &str, service: &str| {
        families[family]
            .iter()
            .find(|(labels, _)| labels.get("service").is_some_and(|name| name == service))
            .map(|sample| sample.1)
    };
    assert_eq!(families["provisioning_services_registered"], [(BTreeMap::new(), 7.0)]);
    assert_eq!(families["provisioning_services_running"], [(BTreeMap::new(), 2.0)]);
    assert_eq!(families["provisioning_service_up"].len(), 7);
    assert_eq!(
        (of("provisioning_service_up", "orchestrator"), of("provisioning_service_up", "gitea")),
        (Some(1.0), Some(0.0))
    );
    assert_eq!(of("provisioning_service_healthy", "control-center"), Some(1.0));
    assert_eq!(of("provisioning_service_healthy", "gitea"), None, "nobody asked what does not run");
    assert_eq!(of("provisioning_service_wanted", "control-center"), Some(1.0));
    let info = &families["provisioning_service_info"][0].0;
    assert_eq!((info["category"].as_str(), info["status"].as_str()), ("orchestration", "running"));
}
