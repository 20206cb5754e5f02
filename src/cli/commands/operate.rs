//! What the six acting commands have in common: ask, tell what happens while it happens, say how it ended.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Ended;
use crate::cli::exit::Exit;
use crate::cli::names::resolve;
use crate::cli::session::{Face, Session};
use crate::engine::handle::EngineGone;
use crate::engine::operation::{Operation, Progress, Refusal, Request, Summary, Targets, Verb};
use crate::model::{Actor, Snapshot};
use crate::report::{Narrator, OutcomeLedger, Telling, refusal_lines, refusal_report};

/// One acting command.
#[derive(Debug)]
pub(super) struct Act<'a> {
    /// What to do.
    pub(super) verb: Verb,
    /// To whom; to all when empty.
    pub(super) names: &'a [String],
    /// Whether one JSON object replaces the telling.
    pub(super) json: bool,
    /// Whether a summary ends the telling in any case.
    pub(super) always_summary: bool,
}

/// Does it. Names are checked before anything is started or stopped.
pub(super) async fn run(act: Act<'_>, session: &Session, face: &mut Face) -> Ended {
    let targets = if act.names.is_empty() {
        super::say_set_aside(session, face);
        Targets::All
    } else {
        match resolve(act.names, &session.registry) {
            Ok(ids) => Targets::Named(ids),
            Err(problems) => {
                face.out.lines(&problems);
                return Ok(Exit::Usage);
            }
        }
    };
    // Listening begins before anything is begun, so that no Ctrl+C ends the program in the middle of it.
    let mut interrupts = match signal(SignalKind::interrupt()) {
        Ok(interrupts) => Some(interrupts),
        Err(error) => {
            face.out.error(&format!("Ctrl+C ends this command at once, since SIGINT cannot be handled: {error}"));
            None
        }
    };
    let before = session.handle.settled().await?;
    let request = Request { verb: act.verb, targets, actor: Actor::Command };
    match session.handle.begin(request).await? {
        Ok(operation) => tell(&act, operation, &before, interrupts.as_mut(), face).await,
        Err(refusal) => Ok(refused(&act, &refusal, face)),
    }
}

fn refused(act: &Act<'_>, refusal: &Refusal, face: &mut Face) -> Exit {
    if act.json {
        face.out.json(&refusal_report(refusal, act.verb));
    }
    face.out.lines(&refusal_lines(refusal, act.verb, face.style));
    match refusal {
        Refusal::UnknownService { .. } | Refusal::SetAside { .. } => Exit::Usage,
        Refusal::DependentsRunning { .. } | Refusal::Cycle { .. } | Refusal::MissingDependency { .. } => Exit::Failed,
    }
}

/// What can happen while an operation is told.
enum Heard {
    Progress(Option<Progress>),
    Interrupt,
}

async fn tell(
    act: &Act<'_>,
    mut operation: Operation,
    before: &Snapshot,
    mut interrupts: Option<&mut Signal>,
    face: &mut Face,
) -> Ended {
    let telling = Telling { style: face.style, verbose: face.verbose, always_summary: act.always_summary };
    let mut narrator = Narrator::new(&operation.plan, before, telling);
    let mut ledger = OutcomeLedger::new(&operation.plan);
    let mut was_interrupted = false;
    for (_, refusal) in &operation.plan.refused {
        face.out.lines(&refusal_lines(refusal, act.verb, face.style));
    }
    let summary: Summary = loop {
        let heard = tokio::select! {
            biased;
            () = interrupted(interrupts.as_deref_mut()) => Heard::Interrupt,
            progress = operation.progress.recv() => Heard::Progress(progress),
        };
        match heard {
            Heard::Progress(Some(progress)) => {
                ledger.note(&progress);
                if !act.json {
                    face.out.lines(&narrator.tell(&progress));
                }
                if let Progress::Finished(summary) = progress {
                    break summary;
                }
            }
            Heard::Progress(None) => return Err(EngineGone),
            Heard::Interrupt if was_interrupted => return Ok(Exit::Interrupted),
            Heard::Interrupt => {
                was_interrupted = true;
                operation.cancel.cancel();
                face.out.error(interrupt_sentence(act.verb));
            }
        }
    };
    let is_success = summary.is_success() && operation.plan.refused.is_empty();
    if act.json {
        face.out.json(&ledger.report(&summary, was_interrupted));
    }
    Ok(if was_interrupted { Exit::Interrupted } else { Exit::done_if(is_success) })
}

/// Ends with each Ctrl+C; never, where it cannot be heard. Cancel safe.
async fn interrupted(interrupts: Option<&mut Signal>) {
    let heard = match interrupts {
        Some(interrupts) => interrupts.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}

fn interrupt_sentence(verb: Verb) -> &'static str {
    match verb {
        Verb::Stop | Verb::StopForced { .. } => {
            "No longer waiting: what was told to stop goes on stopping, the rest is left running"
        }
        Verb::Start | Verb::StartOrRestart | Verb::StartUnchecked | Verb::Restart | Verb::RestartWithDependents => {
            "No longer waiting: what was started keeps running, the rest is not begun"
        }
    }
}
