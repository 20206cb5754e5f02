//! `services ensure` (O16): R172 to R174, and the same for the operation hook (A12).

use crate::cli::args::OperationArgs;
use crate::cli::commands::{Aside, Ended, look_after, operate, say_set_aside};
use crate::cli::exit::Exit;
use crate::cli::names::say_near_operation;
use crate::cli::session::{Face, Session};
use crate::engine::handle::EngineGone;
use crate::engine::operation::{Progress, Request, Role, Targets, Verb};
use crate::model::{Actor, ServiceId};
use crate::report::{
    CheckReport, EnsureReport, Line, OutcomeLedger, ensure_header, ensure_line, ensure_refusal, failure_lines,
    not_running, refusal_lines, refusal_report,
};

/// Where what happens is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Telling {
    /// On standard output: it is the result.
    Result,
    /// On standard error: the result is what another program prints.
    Aside,
    /// Nowhere: JSON says it at the end.
    Silent,
}

/// Starts what the operation needs.
pub(super) async fn run(args: &OperationArgs, session: &Session, face: &mut Face) -> Ended {
    let telling = if args.json.json { Telling::Silent } else { Telling::Result };
    let (exit, report) = ensure(&args.operation, telling, session, face).await?;
    if report.required.is_empty() {
        if let Some(note) = CheckReport::new(&args.operation, &session.handle.snapshot()).unknown_note() {
            face.out.error(&note);
        }
        say_near_operation(&args.operation, &session.registry, face);
    }
    if args.json.json {
        face.out.json(&report);
    }
    Ok(exit)
}

/// Starts the services whose `required_for` names `operation`, waits for them, and says how that went.
///
/// # Errors
/// [`EngineGone`].
pub(in crate::cli) async fn ensure(
    operation: &str,
    telling: Telling,
    session: &Session,
    face: &mut Face,
) -> Result<(Exit, EnsureReport), EngineGone> {
    let ended = begin(operation, telling, session, face).await?;
    if ended.1.start.is_some() {
        look_after(session, if telling == Telling::Silent { Aside::Silent } else { Aside::Told }, face).await;
    }
    Ok(ended)
}

async fn begin(
    operation: &str,
    telling: Telling,
    session: &Session,
    face: &mut Face,
) -> Result<(Exit, EnsureReport), EngineGone> {
    let snapshot = session.handle.settled().await?;
    say_set_aside(session, face);
    let missing = not_running(operation, &snapshot);
    let by_name_only = |id: &&ServiceId| {
        snapshot
            .service(id.as_str())
            .is_some_and(|service| !service.spec.startup.auto_start && !service.state.is_alive())
    };
    let refused: Vec<ServiceId> = missing.iter().filter(by_name_only).cloned().collect();
    let mut report = EnsureReport {
        operation: operation.to_owned(),
        success: missing.is_empty(),
        required: CheckReport::new(operation, &snapshot).required,
        not_auto_start: refused.iter().map(ToString::to_string).collect(),
        start: None,
    };
    for id in &refused {
        face.out.lines(&ensure_refusal(operation, id, face.program.name(), face.style));
    }
    if missing.is_empty() || !refused.is_empty() {
        return Ok((Exit::done_if(missing.is_empty()), report));
    }
    let mut interrupts = operate::interrupts(face);
    tell(&ensure_header(), telling, face);
    let request = Request { verb: Verb::Start, targets: Targets::Named(missing), actor: Actor::Command };
    let mut operation = match session.handle.begin(request).await? {
        Ok(operation) => operation,
        Err(refusal) => {
            face.out.lines(&refusal_lines(&refusal, Verb::Start, face.style));
            report.start = Some(refusal_report(&refusal, Verb::Start));
            return Ok((Exit::Failed, report));
        }
    };
    let roles: Vec<(ServiceId, Role)> =
        operation.plan.steps.iter().map(|step| (step.service.clone(), step.role)).collect();
    let mut ledger = OutcomeLedger::new(&operation.plan);
    let mut was_interrupted = false;
    let summary = loop {
        let next = async {
            tokio::select! {
                biased;
                () = operate::interrupted(interrupts.as_mut()) => None,
                progress = operation.progress.recv() => Some(progress),
            }
        };
        let Some(progress) = face.while_waiting("starting what is required", next).await else {
            if was_interrupted {
                return Ok((Exit::Interrupted, report));
            }
            was_interrupted = true;
            operation.cancel.cancel();
            face.out.error(operate::interrupt_sentence(Verb::Start));
            continue;
        };
        let progress = progress.ok_or(EngineGone)?;
        ledger.note(&progress);
        if let Some(line) = ensure_line(&progress, &roles, face.verbose, face.style) {
            tell(&line, telling, face);
        }
        match progress {
            Progress::Failed { service, failure } if telling != Telling::Silent => {
                face.out.lines(&failure_lines(&service, &failure, true, face.style));
            }
            Progress::Finished(summary) => break summary,
            _ => {}
        }
    };
    report.success = summary.is_success() && !was_interrupted;
    report.start = Some(ledger.report(&summary, was_interrupted));
    let exit = if was_interrupted { Exit::Interrupted } else { Exit::done_if(report.success) };
    Ok((exit, report))
}

fn tell(line: &Line, telling: Telling, face: &mut Face) {
    match telling {
        Telling::Result => face.out.lines([line]),
        Telling::Aside => face.out.error(line.text()),
        Telling::Silent => {}
    }
}
