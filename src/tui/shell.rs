//! Performs effects: every task the console starts, and nothing it waits for.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::RegistryDesk;
use super::editor::Editor;
use super::effect::{Effect, Load};
use super::event::{Event, LogSession, Ticket};
use super::feed::{EARLIER_LINES, LogFeed, LogPosition, NEWEST_LINES};
use super::run::ConsoleOptions;
use super::save::save_new;
use super::theme::ThemeSource;
use super::timeline_feed;
use super::update::registry::Occasion;
use crate::engine::handle::Handle;
use crate::engine::operation::Request;
use crate::engine::ports::UsageSource;
use crate::model::{Leadership, Registry, ServiceId};
use crate::report::Diagnosis;

/// Batches of log lines that are put together into one report.
const MAX_BATCHES: usize = 64;

/// What runs beside the loop. All of it ends when this is dropped; operations of the engine go on.
pub(super) struct Shell {
    handle: Handle,
    logs: Arc<dyn LogFeed>,
    timeline: Option<PathBuf>,
    desk: Arc<dyn RegistryDesk>,
    editor: Option<Editor>,
    usage: Arc<dyn UsageSource>,
    save_in: PathBuf,
    themes: ThemeSource,
    /// The registry that is to be in force.
    registries: watch::Sender<Option<Arc<Registry>>>,
    reports: mpsc::Sender<Event>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the wait of an operation that was begun here.
    operations: HashMap<Ticket, CancellationToken>,
    /// Ends the reading of the log that is open.
    log: CancellationToken,
}

impl Shell {
    /// Reports go to `reports`; the reader must not wait for this shell.
    pub(super) fn new(handle: Handle, options: &ConsoleOptions, reports: mpsc::Sender<Event>) -> Self {
        let stop = CancellationToken::new();
        let log = stop.child_token();
        let (registries, newest) = watch::channel(None);
        let shell = Self {
            handle,
            logs: Arc::clone(&options.logs),
            timeline: options.timeline.clone(),
            desk: Arc::clone(&options.desk),
            editor: options.editor.clone(),
            usage: Arc::clone(&options.usage),
            save_in: options.save_in.clone(),
            themes: options.themes.clone(),
            registries,
            reports,
            tasks: TaskTracker::new(),
            stop,
            operations: HashMap::new(),
            log,
        };
        shell.follow_registry();
        shell.follow_leadership(options.leadership.clone());
        shell.hand_over_registries(newest);
        shell
    }

    /// Whether there is an editor that the terminal could be lent to.
    pub(super) fn has_editor(&self) -> bool {
        self.editor.is_some()
    }

    /// Performs everything but [`Effect::Quit`] and [`Effect::Copy`], which are the loop's own.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Plan { ticket, request } => self.plan(ticket, request),
            Effect::Begin { ticket, request } => self.begin(ticket, request),
            Effect::CancelOperation(ticket) => {
                if let Some(cancel) = self.operations.get(&ticket) {
                    cancel.cancel();
                }
            }
            Effect::OpenLog { session, service } => self.open_log(session, &service),
            Effect::CloseLog => self.log.cancel(),
            Effect::LoadEarlierLog { session, service, before } => self.load_earlier(session, &service, before),
            Effect::FollowTimeline => self.follow_timeline(),
            Effect::Reload(Load(registry)) => {
                self.registries.send_replace(Some(registry));
            }
            Effect::LoadRegistry => self.load_registry(),
            Effect::Examine { round } => self.examine(round),
            Effect::MeasureUsage { services } => self.measure(services),
            Effect::Edit { file, service } => self.edit(file, service),
            Effect::WriteBuiltIn => {
                let (written, reports) = (self.desk.write_built_in(), self.reports.clone());
                self.spawn(self.stop.clone(), async move {
                    report(&reports, Event::BuiltInWritten(written.await)).await;
                });
            }
            Effect::SaveLines { name, text, n_lines } => self.save(name, text, n_lines),
            Effect::LoadThemes => self.load_themes(),
            Effect::Copy(_) | Effect::Quit => {}
        }
    }

    fn spawn(&self, stop: CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move { stop.run_until_cancelled(task).await });
    }

    fn plan(&self, ticket: Ticket, request: Request) {
        let (handle, reports) = (self.handle.clone(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            // When the engine has ended, the loop learns it from the snapshots.
            if let Ok(result) = handle.plan(request.clone()).await {
                report(&reports, Event::Planned { ticket, request, result }).await;
            }
        });
    }

    fn begin(&mut self, ticket: Ticket, request: Request) {
        let (handle, reports) = (self.handle.clone(), self.reports.clone());
        let cancel = self.stop.child_token();
        self.operations.retain(|_, cancel| !cancel.is_cancelled());
        self.operations.insert(ticket, cancel.clone());
        self.spawn(self.stop.clone(), async move {
            let Ok(result) = handle.begin(request).await else { return };
            let mut operation = match result {
                Ok(operation) => operation,
                Err(refusal) => return report(&reports, Event::Begun { ticket, result: Err(refusal) }).await,
            };
            report(&reports, Event::Begun { ticket, result: Ok(operation.plan.clone()) }).await;
            loop {
                tokio::select! {
                    biased;
                    () = cancel.cancelled(), if !operation.cancel.is_cancelled() => operation.cancel.cancel(),
                    progress = operation.progress.recv() => match progress {
                        Some(progress) => report(&reports, Event::Progressed { ticket, progress }).await,
                        None => break,
                    },
                }
            }
            // Lets the table forget it.
            cancel.cancel();
        });
    }

    fn follow_registry(&self) {
        let (mut edits, reports) = (self.desk.edits(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            while let Some(registry) = edits.recv().await {
                let registry = Box::new(registry);
                report(&reports, Event::RegistryLoaded { registry, occasion: Occasion::Edited }).await;
            }
        });
    }

    fn follow_leadership(&self, mut leadership: watch::Receiver<Option<Leadership>>) {
        let reports = self.reports.clone();
        self.spawn(self.stop.clone(), async move {
            loop {
                let newest = leadership.borrow_and_update().clone();
                if let Some(found) = newest {
                    report(&reports, Event::LeadershipChanged(found)).await;
                }
                if leadership.changed().await.is_err() {
                    // Nobody looks any more: what was seen last stays on the screen.
                    return;
                }
            }
        });
    }

    fn examine(&self, round: u64) {
        let (handle, reports) = (self.handle.clone(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            // When the engine has ended, the loop learns it from the snapshots.
            if let Ok((host, services)) = tokio::try_join!(handle.survey(), handle.inspect()) {
                let found = Box::new(Diagnosis::new(&handle.snapshot().registry, host, services));
                report(&reports, Event::Examined { round, found }).await;
            }
        });
    }

    /// All at once; they are as many as fit on a screen.
    fn measure(&self, services: Vec<ServiceId>) {
        let (usage, snapshot, reports) = (Arc::clone(&self.usage), self.handle.snapshot(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            let looks = services.into_iter().map(|id| {
                let (usage, service) = (Arc::clone(&usage), snapshot.service(id.as_str()).cloned());
                async move {
                    let service = service?;
                    let instance = service.state.instance()?;
                    let used = usage.usage(&service.spec, instance).await?;
                    Some((id, instance.clone(), used))
                }
            });
            let found = join_all(looks).await.into_iter().flatten().collect();
            report(&reports, Event::UsageMeasured(found)).await;
        });
    }

    fn load_registry(&self) {
        let (load, reports) = (self.desk.load(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            let registry = Box::new(load.await);
            report(&reports, Event::RegistryLoaded { registry, occasion: Occasion::Asked }).await;
        });
    }

    /// Hands registries to the engine, one after the other; of several that wait, only the newest.
    fn hand_over_registries(&self, mut registries: watch::Receiver<Option<Arc<Registry>>>) {
        let handle = self.handle.clone();
        self.spawn(self.stop.clone(), async move {
            while registries.changed().await.is_ok() {
                let newest = registries.borrow_and_update().clone();
                if let Some(registry) = newest
                    && handle.reload((*registry).clone()).await.is_err()
                {
                    // The engine has ended: the loop learns it from the snapshots.
                    return;
                }
            }
        });
    }

    /// Runs the editor. The terminal is lent to it by now.
    fn edit(&self, file: PathBuf, service: Option<ServiceId>) {
        let (desk, editor, reports) = (Arc::clone(&self.desk), self.editor.clone(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            let Some(editor) = editor else { return report(&reports, Event::NoEditor).await };
            let line = match &service {
                Some(service) => desk.line_of(&file, service).await,
                None => None,
            };
            let result = editor.open(&file, line).await.map_err(Arc::new);
            report(&reports, Event::EditorLeft { editor: editor.to_string(), result }).await;
        });
    }

    fn open_log(&mut self, session: LogSession, service: &ServiceId) {
        self.log.cancel();
        self.log = self.stop.child_token();
        let mut batches = self.logs.follow(service, NEWEST_LINES);
        let reports = self.reports.clone();
        self.spawn(self.log.clone(), async move {
            while let Some(mut entries) = batches.recv().await {
                // A flood becomes few large reports instead of many small ones.
                for _ in 0..MAX_BATCHES {
                    match batches.try_recv() {
                        Ok(more) => entries.extend(more),
                        Err(_) => break,
                    }
                }
                report(&reports, Event::LogArrived { session, entries }).await;
            }
        });
    }

    fn save(&self, name: String, text: String, n_lines: usize) {
        let (dir, reports) = (self.save_in.clone(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            let written =
                tokio::task::spawn_blocking(move || save_new(&dir, &name, &text).map_err(|error| (dir, error)));
            let result = match written.await {
                Ok(written) => written.map_err(|(dir, error)| format!("{}: {error}", dir.display())),
                Err(panic) => Err(panic.to_string()),
            };
            report(&reports, Event::LinesSaved { n_lines, result }).await;
        });
    }

    fn load_themes(&self) {
        let (source, reports) = (self.themes.clone(), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            match tokio::task::spawn_blocking(move || source.load()).await {
                Ok(themes) => report(&reports, Event::ThemesLoaded(Box::new(themes))).await,
                Err(panic) => tracing::error!(%panic, "the themes could not be read"),
            }
        });
    }

    fn follow_timeline(&self) {
        let Some(path) = self.timeline.clone() else { return };
        let (mut batches, reports) = (timeline_feed::follow(path), self.reports.clone());
        self.spawn(self.stop.clone(), async move {
            while let Some(news) = batches.recv().await {
                report(&reports, Event::TimelineArrived(news)).await;
            }
        });
    }

    fn load_earlier(&self, session: LogSession, service: &ServiceId, before: LogPosition) {
        let earlier = self.logs.earlier(service, before, EARLIER_LINES);
        let reports = self.reports.clone();
        self.spawn(self.log.clone(), async move {
            let result = earlier.await;
            report(&reports, Event::EarlierLogArrived { session, before, result }).await;
        });
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.close();
    }
}

/// A report that nobody takes any more belongs to a console that is being left.
async fn report(reports: &mpsc::Sender<Event>, event: Event) {
    if reports.send(event).await.is_err() {
        tracing::debug!("the console has left before a report came");
    }
}
