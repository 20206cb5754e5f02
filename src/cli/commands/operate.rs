//! What the six acting commands have in common: ask, tell what happens while it happens, say how it ended.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::{Aside, Ended};
use crate::cli::args::ActArgs;
use crate::cli::exit::Exit;
use crate::cli::names::resolve;
use crate::cli::session::{Face, Session};
use crate::cli::sign::{Busy, Sign};
use crate::engine::handle::{EngineGone, Handle};
use crate::engine::operation::{Operation, Progress, Refusal, Request, Summary, Targets, Verb};
use crate::model::{Actor, Snapshot};
use crate::report::{Narrator, OutcomeLedger, PlanReport, Telling, left_out_lines, refusal_lines, refusal_report};

/// One acting command.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// What to do.
    pub(super) verb: Verb,
    /// To whom; to all when empty.
    pub(super) names: &'a [String],
    /// How it is done and told.
    pub(super) act: ActArgs,
    /// Whether a summary ends the telling in any case.
    pub(super) always_summary: bool,
}

/// Does it. Names are checked before anything is started or stopped.
pub(super) async fn run(task: Task<'_>, session: &Session, face: &mut Face) -> Ended {
    let targets = if task.names.is_empty() {
        super::say_set_aside(session, face);
        Targets::All
    } else {
        match resolve(task.names, &session.registry) {
            Ok(ids) => Targets::Named(ids),
            Err(problems) => {
                face.out.lines(&problems);
                return Ok(Exit::Usage);
            }
        }
    };
    if task.act.dry_run {
        return dry_run(&task, targets, session, face).await;
    }
    // Listening begins before anything is begun, so that no Ctrl+C ends the program in the middle of it.
    let mut interrupts = interrupts(face);
    let timeout = task.act.timeout.map(Duration::from_secs).map(|timeout| (Instant::now() + timeout, timeout));
    let before = face.while_waiting("looking at every service", session.handle.settled()).await?;
    let request = Request { verb: task.verb, targets, actor: Actor::Command };
    match session.handle.begin(request).await? {
        Ok(operation) => {
            let patience = Patience { interrupts: interrupts.as_mut(), timeout };
            let ended = tell(&task, operation, (&before, &session.handle), patience, face).await;
            match task.verb {
                Verb::Start
                | Verb::StartOrRestart
                | Verb::StartUnchecked
                | Verb::Restart
                | Verb::RestartWithDependents => {
                    let aside = if task.act.json { Aside::Silent } else { Aside::Told };
                    super::look_after(session, aside, face).await;
                }
                Verb::Stop | Verb::StopForced { .. } => {}
            }
            ended
        }
        Err(refusal) => Ok(refused(&task, &refusal, face)),
    }
}

fn refused(task: &Task<'_>, refusal: &Refusal, face: &mut Face) -> Exit {
    if task.act.json {
        face.out.json(&refusal_report(refusal, task.verb));
    }
    face.out.lines(&refusal_lines(refusal, task.verb, face.style));
    match refusal {
        Refusal::UnknownService { .. } | Refusal::SetAside { .. } => Exit::Usage,
        Refusal::DependentsRunning { .. }
        | Refusal::RunsElsewhere { .. }
        | Refusal::Cycle { .. }
        | Refusal::MissingDependency { .. } => Exit::Failed,
    }
}

/// Prints the plan and does nothing.
async fn dry_run(task: &Task<'_>, targets: Targets, session: &Session, face: &mut Face) -> Ended {
    let snapshot = session.handle.settled().await?;
    let plan = match session.handle.plan(Request { verb: task.verb, targets, actor: Actor::Command }).await? {
        Ok(plan) => plan,
        Err(refusal) => return Ok(refused(task, &refusal, face)),
    };
    let concerned = plan.steps.iter().map(|step| step.service.clone()).collect();
    let inspections = face.while_waiting("checking", session.handle.inspect_only(concerned)).await?;
    let report = PlanReport::new(&plan, &snapshot, &inspections);
    if task.act.json {
        face.out.json(&report);
    } else {
        face.out.report(&report.text(task.verb, face.style));
        for (_, refusal) in &plan.refused {
            face.out.lines(&left_out_lines(refusal, task.verb, face.style));
        }
    }
    Ok(Exit::done_if(report.would_succeed))
}

/// What can happen while an operation is told.
enum Heard {
    Progress(Option<Progress>),
    Interrupt,
    TimedOut(Duration),
    SignDue,
}

/// What ends the waiting.
struct Patience<'a> {
    interrupts: Option<&'a mut Signal>,
    /// The moment, and how long that was from the beginning.
    timeout: Option<(Instant, Duration)>,
}

async fn tell(
    task: &Task<'_>,
    mut operation: Operation,
    (before, engine): (&Snapshot, &Handle),
    mut patience: Patience<'_>,
    face: &mut Face,
) -> Ended {
    let telling = Telling { style: face.style, verbose: face.verbose, always_summary: task.always_summary };
    let mut narrator = Narrator::new(&operation.plan, before, telling);
    let mut ledger = OutcomeLedger::new(&operation.plan);
    let mut was_interrupted = false;
    let mut has_timed_out = false;
    let mut busy = Busy::default();
    let mut sign = Sign::new(face.style);
    for (_, refusal) in &operation.plan.refused {
        // Good news go where JSON goes, which is alone there.
        if refusal.is_shortcoming() || !task.act.json {
            face.out.lines(&left_out_lines(refusal, task.verb, face.style));
        }
    }
    let summary: Summary = loop {
        let heard = tokio::select! {
            biased;
            () = interrupted(patience.interrupts.as_deref_mut()) => Heard::Interrupt,
            progress = operation.progress.recv() => Heard::Progress(progress),
            timeout = passed(patience.timeout) => Heard::TimedOut(timeout),
            () = sign.due(), if face.out.sign_width().is_some() => Heard::SignDue,
        };
        match heard {
            Heard::Progress(Some(progress)) => {
                ledger.note(&progress);
                busy.note(&progress);
                if !task.act.json {
                    face.out.lines(&narrator.tell(&progress));
                }
                if let Progress::Finished(summary) = progress {
                    break summary;
                }
            }
            Heard::Progress(None) => return Err(EngineGone),
            Heard::SignDue => {
                let width = face.out.sign_width().unwrap_or_default();
                face.out.show_sign(&sign.draw(&busy.text(&engine.snapshot()), width));
            }
            Heard::TimedOut(timeout) => {
                patience.timeout = None;
                has_timed_out = true;
                operation.cancel.cancel();
                face.out.error(&format!("Not done within {}s (--timeout)", timeout.as_secs()));
                face.out.error(interrupt_sentence(task.verb));
            }
            Heard::Interrupt if was_interrupted => return Ok(Exit::Interrupted),
            Heard::Interrupt => {
                was_interrupted = true;
                operation.cancel.cancel();
                face.out.error(interrupt_sentence(task.verb));
            }
        }
    };
    face.out.erase_sign();
    let is_success = !has_timed_out && summary.is_success() && operation.plan.is_whole();
    if task.act.json {
        face.out.json(&ledger.report(&summary, was_interrupted || has_timed_out));
    }
    Ok(if was_interrupted { Exit::Interrupted } else { Exit::done_if(is_success) })
}

/// Ends when the time is up; never, where none was set. Cancel safe.
async fn passed(timeout: Option<(Instant, Duration)>) -> Duration {
    match timeout {
        Some((moment, timeout)) => {
            tokio::time::sleep_until(moment).await;
            timeout
        }
        None => std::future::pending().await,
    }
}

/// The Ctrl+C to come; says so where it cannot be heard.
pub(super) fn interrupts(face: &mut Face) -> Option<Signal> {
    match signal(SignalKind::interrupt()) {
        Ok(interrupts) => Some(interrupts),
        Err(error) => {
            face.out.error(&format!("Ctrl+C ends this command at once, since SIGINT cannot be handled: {error}"));
            None
        }
    }
}

/// Ends with each Ctrl+C; never, where it cannot be heard. Cancel safe.
pub(super) async fn interrupted(interrupts: Option<&mut Signal>) {
    let heard = match interrupts {
        Some(interrupts) => interrupts.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}

pub(super) fn interrupt_sentence(verb: Verb) -> &'static str {
    match verb {
        Verb::Stop | Verb::StopForced { .. } => {
            "No longer waiting: what was told to stop goes on stopping, the rest is left running"
        }
        Verb::Start | Verb::StartOrRestart | Verb::StartUnchecked | Verb::Restart | Verb::RestartWithDependents => {
            "No longer waiting: what was started keeps running, the rest is not begun"
        }
    }
}
