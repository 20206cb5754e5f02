//! `tests/faults.toml` and the promises of the README: every fault and every rule is shown by tests that exist, or says why not.

use std::collections::BTreeSet;
use std::fs;

use super::support::sources::{fault, root, tests};

/// The groups of cases, with the last number of each; they count on from the one before.
const CASES: [(char, u32); 10] =
    [('A', 9), ('B', 17), ('C', 23), ('D', 30), ('E', 38), ('F', 47), ('G', 55), ('H', 61), ('I', 67), ('J', 68)];

/// The last rule.
const LAST_RULE: u32 = 20;

fn expected() -> BTreeSet<String> {
    let mut first = 1;
    let mut keys = BTreeSet::new();
    for (letter, last) in CASES {
        keys.extend((first..=last).map(|number| format!("{letter}{number}")));
        first = last + 1;
    }
    keys.extend((1..=LAST_RULE).map(|number| format!("S{number}")));
    keys
}

#[test]
fn every_fault_and_every_rule_is_shown_by_a_test_that_exists_or_says_why_not() {
    let text = fs::read_to_string(root().join("tests/faults.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let tests = tests();
    let mut faults = Vec::new();
    for (key, entry) in &table {
        let entry = entry.as_table().unwrap_or_else(|| panic!("{key} is no table"));
        let is_reason =
            |key: &str| entry.get(key).and_then(toml::Value::as_str).is_some_and(|reason| reason.len() > 10);
        match (entry.get("by"), entry.contains_key("not")) {
            (Some(toml::Value::Array(by)), false) if !by.is_empty() => {
                let named = by.iter().map(|test| test.as_str().unwrap_or_else(|| panic!("{key}: a name is a string")));
                faults.extend(named.filter_map(|test| Some(format!("{key}: {}", fault(test, &tests)?))));
                let wrong_repeat = entry.get("repeat").is_some_and(|repeat| repeat.as_integer().is_none_or(|n| n < 2));
                if wrong_repeat || entry.contains_key("gap") && !is_reason("gap") {
                    faults.push(format!("{key}: `repeat` is a number above 1, `gap` a sentence"));
                }
            }
            (None, true) if entry.len() == 1 && is_reason("not") => {}
            _ => faults.push(format!("{key} needs either `by`, a list of tests, or `not`, the reason: {entry:?}")),
        }
        let known = ["by", "not", "repeat", "gap"];
        faults.extend(
            entry.keys().filter(|field| !known.contains(&field.as_str())).map(|field| format!("{key}: {field}")),
        );
    }
    let listed: BTreeSet<String> = table.keys().cloned().collect();
    faults.extend(expected().difference(&listed).map(|key| format!("{key} is missing")));
    faults.extend(listed.difference(&expected()).map(|key| format!("{key} is no case and no rule")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_promise_of_the_readme_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let section = text.split("## What it promises\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")).collect();
    assert!(rows.len() >= 10, "ten promises are made: {rows:#?}");
    let tests = tests();
    for row in rows {
        let kept_by = row.split('|').nth(2).unwrap_or_else(|| panic!("{row} names nothing"));
        let named: Vec<&str> = kept_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "nobody keeps: {row}");
        for test in named {
            assert_eq!(fault(test, &tests), None, "{row}");
        }
    }
}
