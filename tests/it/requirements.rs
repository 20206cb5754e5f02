//! `tests/requirements.toml`: every number of the requirements is shown by tests that exist, or says why not.

use std::collections::BTreeSet;
use std::fs;

use super::support::sources::{fault, root, tests};

/// The letters, and the last number of each.
const LAST: [(char, u32); 5] = [('R', 219), ('O', 16), ('F', 45), ('M', 24), ('A', 71)];

/// `R5` is one number, `F2-F4` are three.
fn numbers(key: &str) -> Vec<(char, u32)> {
    let parse = |text: &str| {
        let letter = text.chars().next().unwrap_or_else(|| panic!("an empty number in {key:?}"));
        let number = text[letter.len_utf8()..].parse().unwrap_or_else(|_| panic!("{key:?} is no number"));
        (letter, number)
    };
    let (first, last) = key.split_once('-').unwrap_or((key, key));
    let ((letter, first), (other, last)) = (parse(first), parse(last));
    assert!(letter == other && first <= last, "{key} is no range");
    (first..=last).map(|number| (letter, number)).collect()
}

#[test]
fn every_requirement_is_shown_by_a_test_that_exists_or_says_why_not() {
    let text = fs::read_to_string(root().join("tests/requirements.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let tests = tests();
    let mut listed = BTreeSet::new();
    let mut faults = Vec::new();
    for (key, entry) in &table {
        let entry = entry.as_table().unwrap_or_else(|| panic!("{key} is no table"));
        for number in numbers(key) {
            if !listed.insert(number) {
                faults.push(format!("{}{} is there twice", number.0, number.1));
            }
        }
        match (entry.len(), entry.get("by"), entry.get("not")) {
            (1, Some(toml::Value::Array(by)), None) if !by.is_empty() => {
                let named = by.iter().map(|test| test.as_str().unwrap_or_else(|| panic!("{key}: a name is a string")));
                faults.extend(named.filter_map(|test| Some(format!("{key}: {}", fault(test, &tests)?))));
            }
            (1, None, Some(toml::Value::String(reason))) if reason.len() > 10 => {}
            _ => faults.push(format!("{key} needs either `by`, a list of tests, or `not`, the reason: {entry:?}")),
        }
    }
    let all: BTreeSet<(char, u32)> =
        LAST.iter().flat_map(|(letter, last)| (1..=*last).map(|number| (*letter, number))).collect();
    faults.extend(all.difference(&listed).map(|(letter, number)| format!("{letter}{number} is missing")));
    faults.extend(listed.difference(&all).map(|(letter, number)| format!("{letter}{number} is no requirement")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_name_that_is_no_test_or_several_is_found() {
    let tests = tests();
    assert_eq!(fault("every_requirement_is_shown_by_a_test_that_exists_or_says_why_not", &tests), None);
    assert_eq!(fault("health/tcp::localhost_means_both_families", &tests), None);
    assert!(fault("localhost_means_both_families", &tests).is_some(), "two files have it");
    assert!(fault("report/tcp::localhost_means_both_families", &tests).is_some(), "not there");
    assert!(fault("numbers", &tests).is_some(), "a function, and no test");
    assert_eq!(numbers("F2-F4"), [('F', 2), ('F', 3), ('F', 4)]);
}
