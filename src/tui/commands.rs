//! What keys ask for, and the command line that does the same, so that the console teaches the command.

use super::action::Action;
use super::state::State;
use crate::engine::operation::{Plan, Request, Targets, Verb};
use crate::model::{Actor, ServiceId, StopHow};

/// What an action asks the engine for now; `None` for one that asks for nothing, or when no service is selected.
pub(crate) fn request_of(state: &State, action: Action) -> Option<Request> {
    let (verb, targets) = match action {
        Action::Start => (Verb::Start, state.targets()),
        Action::StartUnchecked => (Verb::StartUnchecked, state.targets()),
        Action::Stop => (Verb::Stop, state.targets()),
        Action::StopForced => (Verb::StopForced { how: StopHow::AskThenKill }, state.targets()),
        Action::Restart => (Verb::Restart, state.targets()),
        Action::RestartWithDependents => (Verb::RestartWithDependents, state.targets()),
        Action::StartAll => (Verb::Start, Some(Targets::All)),
        Action::StopAll => (Verb::Stop, Some(Targets::All)),
        Action::RestartAll => (Verb::Restart, Some(Targets::All)),
        _ => return None,
    };
    Some(Request { verb, targets: targets?, actor: Actor::Console })
}

/// The equivalent of `request`, with `flags` behind it. A plan is needed only for restarts with dependents, which
/// a command names one by one.
pub(crate) fn command_line(flags: &str, request: &Request, plan: Option<&Plan>) -> String {
    let targets: Vec<&ServiceId> = match (&request.targets, request.verb, plan) {
        (Targets::Named(_), Verb::RestartWithDependents, Some(plan)) => {
            plan.steps.iter().map(|step| &step.service).collect()
        }
        (Targets::Named(ids), ..) => ids.iter().collect(),
        (Targets::All, ..) => Vec::new(),
    };
    let (verb, flag) = match request.verb {
        Verb::Start => ("start", ""),
        Verb::StartOrRestart | Verb::StartUnchecked => ("start", " --force"),
        Verb::Stop => ("stop", ""),
        Verb::StopForced { .. } => ("stop", " --force"),
        Verb::Restart | Verb::RestartWithDependents => ("restart", ""),
    };
    // `platform start --force` restarts what runs, `services start --force` skips the checks (A4).
    let group = match (request.verb, targets.len()) {
        (Verb::StartOrRestart, _) => "platform",
        (_, 1) => "services",
        _ => "platform",
    };
    let mut line = format!("provisioning {group} {verb}");
    for target in targets {
        line.push(' ');
        line.push_str(target.as_str());
    }
    line + flag + flags
}

#[cfg(test)]
mod tests {
    use super::command_line;
    use crate::engine::operation::{Request, Targets, Verb};
    use crate::model::{Actor, ServiceId, StopHow};

    fn line(verb: Verb, names: &[&str]) -> String {
        let ids = names.iter().map(|name| ServiceId::new(name).unwrap()).collect();
        let targets = if names.is_empty() { Targets::All } else { Targets::Named(ids) };
        command_line("", &Request { verb, targets, actor: Actor::Console }, None)
    }

    #[test]
    fn each_key_has_its_command_line() {
        assert_eq!(line(Verb::Start, &["gitea"]), "provisioning services start gitea");
        assert_eq!(line(Verb::Start, &[]), "provisioning platform start");
        assert_eq!(line(Verb::StartUnchecked, &["gitea"]), "provisioning services start gitea --force");
        assert_eq!(line(Verb::Stop, &["a", "b"]), "provisioning platform stop a b");
        let forced = Verb::StopForced { how: StopHow::AskThenKill };
        assert_eq!(line(forced, &["gitea"]), "provisioning services stop gitea --force");
        assert_eq!(line(Verb::Restart, &["gitea"]), "provisioning services restart gitea");
    }
}
