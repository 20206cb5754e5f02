//! From a key to a plan, from a plan to a question or an operation, and how that goes.

use crate::engine::operation::{Plan, Progress, Refusal, Request, Targets, Verb};
use crate::model::{Actor, ServiceId, StopHow};
use crate::report::{left_alone, nothing_to_do};
use crate::tui::action::Action;
use crate::tui::commands::{command_line, request_of};
use crate::tui::effect::Effect;
use crate::tui::event::Ticket;
use crate::tui::state::{Answer, Dialog, Operation, Phase, Question, Redraw, State, title_of};
use crate::tui::text;

/// Asks for the plan of what a key does to the marked services, to the selected one, or to all.
pub(super) fn of_action(state: &mut State, action: Action) -> Vec<Effect> {
    let Some(Request { verb, targets, .. }) = request_of(state, action) else { return Vec::new() };
    match action {
        Action::StopAll | Action::RestartAll => ask_first(state, verb, targets),
        _ => ask(state, verb, targets),
    }
}

/// Asks for a plan. Nothing is done before it is known what would be.
pub(super) fn ask(state: &mut State, verb: Verb, targets: Targets) -> Vec<Effect> {
    let ticket = state.operations.next_ticket();
    vec![Effect::Plan { ticket, request: Request { verb, targets, actor: Actor::Console } }]
}

/// The same, and asks the person in any case before it is done.
pub(super) fn ask_first(state: &mut State, verb: Verb, targets: Targets) -> Vec<Effect> {
    let effects = ask(state, verb, targets);
    state.operations.ask_first = effects.iter().find_map(|effect| match effect {
        Effect::Plan { ticket, .. } => Some(*ticket),
        _ => None,
    });
    effects
}

pub(super) fn planned(
    state: &mut State,
    ticket: Ticket,
    request: Request,
    result: Result<Plan, Refusal>,
) -> Vec<Effect> {
    state.wish_redraw(Redraw::AtOnce);
    match result {
        Ok(plan) if plan.steps.is_empty() => {
            let left_out = plan.refused.iter().map(|(_, why)| text::clean(&why.to_string()).into_owned());
            let beside = left_alone(&plan, &state.snapshot);
            let lines = std::iter::once(nothing_to_do(request.verb).to_owned()).chain(left_out).chain(beside).collect();
            message(state, title_of(&request), lines);
            Vec::new()
        }
        Ok(plan) => match reasons_to_ask(state, &plan).or_else(|| asked_first(state, ticket, &plan)) {
            Some(lines) => {
                let command = Some(command_line(&state.flags, &request, Some(&plan)));
                state.dialogs.push(Dialog::Question(Question {
                    title: title_of(&request),
                    lines,
                    steps: plan.steps,
                    command,
                    confirm: Some(Answer::Begin(request)),
                    force: None,
                }));
                Vec::new()
            }
            None => begin(state, request, Some(&plan)),
        },
        Err(refusal) => {
            refused(state, &request, refusal);
            Vec::new()
        }
    }
}

/// What is said where a person is asked in any case.
fn asked_first(state: &State, ticket: Ticket, plan: &Plan) -> Option<Vec<String>> {
    let what = match plan.request.verb {
        Verb::Start | Verb::StartUnchecked => "started",
        Verb::Stop | Verb::StopForced { .. } => "stopped",
        Verb::StartOrRestart | Verb::Restart | Verb::RestartWithDependents => "restarted",
    };
    (state.operations.ask_first == Some(ticket)).then(|| vec![format!("{} {what}.", are(plan.steps.len()))])
}

fn are(n_services: usize) -> String {
    format!("{} {}", text::counted(n_services, "service"), if n_services == 1 { "is" } else { "are" })
}

/// What breaks, if something does: asked before, and only then.
fn reasons_to_ask(state: &State, plan: &Plan) -> Option<Vec<String>> {
    let targets: Vec<&ServiceId> = match &plan.request.targets {
        Targets::Named(ids) => ids.iter().collect(),
        Targets::All => Vec::new(),
    };
    match plan.request.verb {
        Verb::StartUnchecked => {
            Some(vec!["Starts without pre-flight checks and without what it depends on.".to_owned()])
        }
        Verb::StopForced { .. } => {
            let mut lines = vec!["Asked to stop, then killed if it does not go.".to_owned()];
            let dependents = targets.iter().flat_map(|id| running_dependents(state, id));
            let names: Vec<String> = dependents.map(|id| id.to_string()).collect();
            if !names.is_empty() {
                lines.push(format!("Running services that need it: {}.", names.join(", ")));
            }
            Some(lines)
        }
        Verb::Restart if !plan.left_running.is_empty() => Some(
            plan.left_running
                .iter()
                .map(|(service, dependents)| {
                    let names: Vec<&str> = dependents.iter().map(ServiceId::as_str).collect();
                    format!("{} will be left running while {service} restarts.", names.join(", "))
                })
                .collect(),
        ),
        Verb::RestartWithDependents if plan.steps.len() > 1 => {
            Some(vec![format!("{} restart.", text::counted(plan.steps.len(), "service"))])
        }
        Verb::Start | Verb::StartOrRestart | Verb::Stop | Verb::Restart | Verb::RestartWithDependents => None,
    }
}

/// Running services that need `id`, at any depth, in registry order.
fn running_dependents(state: &State, id: &ServiceId) -> Vec<ServiceId> {
    let mut above = vec![id.clone()];
    let mut next = 0;
    while let Some(of) = above.get(next).cloned() {
        for service in &state.snapshot.services {
            if service.spec.dependencies.contains(&of) && !above.contains(service.id()) {
                above.push(service.id().clone());
            }
        }
        next += 1;
    }
    let is_affected = |it: &&std::sync::Arc<crate::model::ServiceSnapshot>| {
        it.id() != id && it.state.is_alive() && above.contains(it.id())
    };
    state.snapshot.services.iter().filter(is_affected).map(|it| it.id().clone()).collect()
}

fn refused(state: &mut State, request: &Request, refusal: Refusal) {
    let title = title_of(request);
    if let Refusal::DependentsRunning { service, dependents } = &refusal {
        let verb = Verb::StopForced { how: StopHow::AskThenKill };
        let forced = Request { verb, targets: request.targets.clone(), actor: Actor::Console };
        let names: Vec<&str> = dependents.iter().map(ServiceId::as_str).collect();
        state.dialogs.push(Dialog::Question(Question {
            title,
            lines: vec![
                format!("Cannot stop {service}: dependent services are running."),
                format!("They need it: {}.", names.join(", ")),
            ],
            steps: Vec::new(),
            command: Some(command_line(&state.flags, &forced, None)),
            confirm: None,
            force: Some(Answer::Begin(forced)),
        }));
        return;
    }
    let mut lines = vec![text::clean(&refusal.to_string()).into_owned()];
    if let Refusal::UnknownService { near, .. } = &refusal
        && !near.is_empty()
    {
        let names: Vec<&str> = near.iter().map(ServiceId::as_str).collect();
        lines.push(format!("Did you mean {}?", names.join(", ")));
    }
    message(state, title, lines);
}

pub(super) fn message(state: &mut State, title: String, lines: Vec<String>) {
    state.dialogs.push(Dialog::Message { title, lines });
}

/// Begins; the plan opens when there is more than one thing to see.
pub(super) fn begin(state: &mut State, request: Request, plan: Option<&Plan>) -> Vec<Effect> {
    let ticket = state.operations.next_ticket();
    let command = command_line(&state.flags, &request, plan);
    let operation = Operation::new(ticket, title_of(&request), command, state.moment.now);
    state.operations.shown.push(operation);
    vec![Effect::Begin { ticket, request }]
}

pub(super) fn begun(state: &mut State, ticket: Ticket, result: Result<Plan, Refusal>) {
    state.wish_redraw(Redraw::AtOnce);
    let flags = state.flags.clone();
    let Some(operation) = state.operations.find(ticket) else { return };
    match result {
        Ok(plan) => {
            let has_more_than_one = plan.steps.len() > 1;
            operation.command = command_line(&flags, &plan.request, Some(&plan));
            operation.take_plan(plan);
            state.operations.is_panel_open |= has_more_than_one;
        }
        Err(refusal) => {
            operation.phase = Phase::Refused { why: text::clean(&refusal.to_string()).into_owned() };
        }
    }
}

pub(super) fn progressed(state: &mut State, ticket: Ticket, progress: Progress) {
    let now = state.moment.now;
    state.wish_redraw(Redraw::Now);
    let Some(operation) = state.operations.find(ticket) else { return };
    operation.fold(progress, now);
    let is_failure = operation.has_failed();
    let is_over = !operation.is_running();
    if is_failure {
        // The reason has to be seen without another key.
        state.operations.is_panel_open = true;
    } else if is_over && state.operations.n_running() == 0 {
        state.operations.is_panel_open = state.operations.shown.iter().any(Operation::has_failed);
    }
}

/// Gives up waiting for the newest operation that still runs.
pub(super) fn cancel_newest(state: &mut State) -> Vec<Effect> {
    let newest = state.operations.shown.iter_mut().rev().find(|it| matches!(it.phase, Phase::Running));
    match newest {
        Some(operation) => {
            operation.phase = Phase::Cancelling;
            vec![Effect::CancelOperation(operation.ticket)]
        }
        None => Vec::new(),
    }
}
