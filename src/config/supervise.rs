//! The table `[supervise]`: whether it is started in the background. Nothing wrong in it keeps a service from being used.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::document::Document;
use super::findings::{Finding, Findings};
use super::near::did_you_mean;
use super::section::shown_key;
use crate::model::{AutoSupervise, Code};

/// Reads the table. Whoever writes it wants to switch something off, so what cannot be understood counts as that.
pub(super) fn read(document: &Document<'_>, root: &DeTable<'_>, findings: &mut Findings) -> AutoSupervise {
    let Some(value) = root.get("supervise") else { return AutoSupervise::On };
    let mut warn = |span: Range<usize>, finding: Finding| findings.add(document, None, span, finding);
    let DeValue::Table(table) = value.get_ref() else {
        let finding = Finding::warning(Code::WrongType, "`supervise` must be a table; it is taken as switched off");
        warn(value.span(), finding.hint("write [supervise] and below it auto = true or auto = false".to_owned()));
        return AutoSupervise::Off;
    };
    for (key, _) in table.iter().filter(|(key, _)| key.get_ref() != "auto") {
        let message = format!("unknown key `supervise.{}`", shown_key(key.get_ref()));
        warn(key.span(), Finding::warning(Code::UnknownKey, message).hint(did_you_mean(key.get_ref(), ["auto"])));
    }
    match table.get("auto").map(|auto| (auto.get_ref(), auto.span())) {
        None | Some((DeValue::Boolean(true), _)) => AutoSupervise::On,
        Some((DeValue::Boolean(false), _)) => AutoSupervise::Off,
        Some((_, span)) => {
            let message = "`supervise.auto` must be `true` or `false`; it is taken as `false`";
            warn(span, Finding::warning(Code::WrongType, message));
            AutoSupervise::Off
        }
    }
}
