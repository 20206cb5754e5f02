//! The guide's samples, after normalisation (A1): the words and their order, not the spacing.

mod commands;
mod operations;
mod reports;
mod schemas;

/// Strips each line, collapses runs of spaces, drops empty lines.
fn normalised(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect()
}

/// Fails unless the lines of `sample` occur in `text` in this order.
fn check_ordered(text: &str, sample: &str) {
    let lines = normalised(text);
    let mut rest = lines.iter();
    for wanted in normalised(sample) {
        assert!(rest.any(|line| *line == wanted), "{wanted:?} is missing or out of order in:\n{text}");
    }
}
