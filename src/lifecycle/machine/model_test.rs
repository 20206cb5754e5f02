//! All interleavings of two engines that act on one service: a leader, and another that leads, too, or only does what its person asks.
//!
//! The machines are the real ones. The world below them (the service's lock, its shim, its record, its process) is a model of what
//! `backends::binary` and `shim` do, one atomic step for each thing that another could come in between. The search is breadth-first and
//! exhaustive within its bounds (how often a person asks, a probe answers, the service dies), so that what it finds is the shortest way there.
//!
//! `MODEL_REQUESTS`, `MODEL_PROBES` and `MODEL_DEATHS` make it deeper: `MODEL_REQUESTS=2 MODEL_PROBES=3 cargo test --release --lib model_test`.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::{Duration, Instant};

use super::{Effect, Input, Machine, Policy, Probing, StopEnd, Tending, step};
use crate::model::{
    Ending, FailureReason, Guardian, Instance, Intent, Launch, LaunchOrigin, Observed, Presence, ProbeOutcome,
    ProbeReport, ProbeVerdict, ProcessIdentity, Role, ServiceState, StopHow,
};
use crate::testkit::builders::{id, restarted_service};

/// Restarts that the shim's budget allows.
const MAX_RESTARTS: u8 = 1;

/// How much may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Bounds {
    requests: u8,
    probes: u8,
    deaths: u8,
}

/// A call of a backend, or of a probe, that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Call {
    Launch,
    /// Whom it told to stop, once it has.
    Stop {
        told: Option<u8>,
    },
    Probe(Instance),
    Consult(Instance),
    Recover(Instance),
}

#[derive(Debug, Clone)]
struct Engine {
    machine: Machine,
    calls: Vec<Call>,
    awaits_start: bool,
    awaits_stop: bool,
    /// How many stops a person had asked for when its newest start was.
    since: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Running,
    /// The unhealthy run is being ended.
    Clearing,
    Backoff,
    Stopping,
}

/// The shim, which holds the service's lock as long as it lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Shim {
    number: u8,
    phase: Phase,
    streak: u8,
    last: Ending,
}

/// What the record says when no shim lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rest {
    Stopped,
    Failed,
}

#[derive(Debug, Clone)]
struct World {
    engines: [Engine; 2],
    shim: Option<Shim>,
    /// The process that lives.
    alive: Option<u32>,
    rest: Rest,
    /// What the record says that is wanted.
    wanted: Option<Intent>,
    /// How many stops a person asked for, whomever.
    n_stops: u8,
    next: u32,
    left: Bounds,
    /// What a person asked for last, and of which engine.
    asked: Option<(Intent, usize)>,
    /// Whether that, if it was a stop, was reported as done.
    is_done: bool,
    /// Whether another engine was still at a stop when a start was asked for: then either may come last.
    is_contested: bool,
}

/// One step of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Ask(usize, Intent),
    Look(usize),
    Tick(usize),
    /// The call at that place ends, or goes on; well or badly where both can be.
    Call(usize, usize, bool),
    /// The process ends by itself.
    Die,
    /// What was told to end has ended.
    Ended,
    /// The pause is over.
    Again,
}

/// Everything happens at one moment, and what is due some time may come at any time.
fn timeless(mut machine: Machine, now: Instant) -> Machine {
    machine.entered = now;
    machine.next_probe = machine.next_probe.map(|_| now);
    if let ServiceState::Stopping { deadline, .. } = &mut machine.state {
        *deadline = now;
    }
    machine
}

fn instance(pid: u32) -> Instance {
    Instance::Process(ProcessIdentity { pid, start_ticks: 1, boot_id: String::new(), pid_namespace: 1 })
}

impl World {
    fn new(roles: [Role; 2], bounds: Bounds, now: Instant) -> Self {
        let mut spec = restarted_service("a", "");
        spec.startup.start_timeout = Duration::ZERO;
        spec.health_check.retries = 1;
        let engine = |role| {
            let policy = Policy::new(&spec, Probing::Continuous, Tending::Yes, now);
            let mut machine = Machine::new(policy, now);
            machine.lead(role, now);
            Engine { machine, calls: Vec::new(), awaits_start: false, awaits_stop: false, since: 0 }
        };
        let mut world = Self {
            engines: roles.map(engine),
            shim: None,
            alive: None,
            rest: Rest::Stopped,
            wanted: None,
            n_stops: 0,
            next: 2,
            left: bounds,
            asked: None,
            is_done: false,
            is_contested: false,
        };
        for who in 0..2 {
            world.perform(Move::Look(who), now);
        }
        world
    }

    /// Everything that may happen next.
    fn moves(&self) -> Vec<Move> {
        let mut moves = self.progress();
        if self.left.requests > 0 {
            moves.extend((0..2).flat_map(|who| [Move::Ask(who, Intent::Up), Move::Ask(who, Intent::Down)]));
        }
        if self.left.deaths > 0 && self.alive.is_some() {
            moves.push(Move::Die);
        }
        moves
    }

    /// What will happen although nobody asks for anything and nothing goes wrong.
    fn progress(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (who, engine) in self.engines.iter().enumerate() {
            moves.push(Move::Look(who));
            if engine.machine.next_wake().is_some() {
                moves.push(Move::Tick(who));
            }
            for (index, call) in engine.calls.iter().enumerate() {
                match call {
                    Call::Probe(_) | Call::Consult(_) => {
                        moves.extend([Move::Call(who, index, true), Move::Call(who, index, false)]);
                    }
                    Call::Launch | Call::Stop { .. } | Call::Recover(_) => moves.push(Move::Call(who, index, true)),
                }
            }
        }
        match self.shim.as_ref().map(|shim| shim.phase) {
            Some(Phase::Clearing | Phase::Stopping) => moves.push(Move::Ended),
            Some(Phase::Backoff) => moves.push(Move::Again),
            Some(Phase::Running) | None => {}
        }
        moves
    }

    fn perform(&mut self, what: Move, now: Instant) {
        match what {
            Move::Ask(who, intent) => {
                self.left.requests -= 1;
                self.asked = Some((intent, who));
                self.is_done = false;
                let other = &self.engines[1 - who];
                self.is_contested = match intent {
                    Intent::Up => other.awaits_stop,
                    Intent::Down => false,
                };
                match intent {
                    Intent::Up => {
                        self.engines[who].awaits_start = true;
                        self.engines[who].since = self.n_stops;
                        self.feed(who, Input::StartRequested { on: Vec::new() }, now);
                    }
                    Intent::Down => {
                        self.engines[who].awaits_stop = true;
                        self.n_stops += 1;
                        let grace = Duration::from_secs(10);
                        self.feed(who, Input::StopRequested { how: StopHow::Ask, grace }, now);
                    }
                }
            }
            Move::Look(who) => {
                let observed = self.observed(now);
                self.feed(who, Input::Observed(Ok(observed)), now);
                if self.engines[who].awaits_start && self.engines[who].since != self.n_stops {
                    self.feed(who, Input::StoppedElsewhere, now);
                }
            }
            Move::Tick(who) => self.feed(who, Input::Tick, now),
            Move::Call(who, index, well) => self.go_on(who, index, well, now),
            Move::Die => {
                self.left.deaths -= 1;
                self.alive = None;
                let is_stopping = self.shim.as_ref().is_some_and(|shim| shim.phase == Phase::Stopping);
                if is_stopping { self.stopped() } else { self.decide(Ending::Exited(1)) }
            }
            Move::Ended => {
                self.alive = None;
                match self.shim.as_ref().map(|shim| shim.phase) {
                    Some(Phase::Stopping) => self.stopped(),
                    _ => self.decide(Ending::Unhealthy),
                }
            }
            Move::Again => {
                let shim = self.shim.as_mut().unwrap();
                assert!(shim.streak < MAX_RESTARTS, "more restarts than the budget allows");
                shim.streak += 1;
                shim.phase = Phase::Running;
                self.spawn();
            }
        }
    }

    // ---- the shim ----

    fn spawn(&mut self) {
        assert_eq!(self.alive, None, "two processes of one service");
        assert!(
            !self.is_done || self.engines.iter().any(|engine| engine.awaits_start || engine.awaits_stop),
            "up after a stop that was reported as done, though nobody asked for a start"
        );
        self.alive = Some(self.next);
        self.next += 1;
    }

    fn decide(&mut self, ending: Ending) {
        let shim = self.shim.as_mut().unwrap();
        if shim.streak < MAX_RESTARTS {
            shim.phase = Phase::Backoff;
            shim.last = ending;
        } else {
            self.shim = None;
            self.rest = Rest::Failed;
        }
    }

    fn stopped(&mut self) {
        self.shim = None;
        self.rest = Rest::Stopped;
    }

    fn tell_to_stop(&mut self) {
        let shim = self.shim.as_mut().unwrap();
        self.wanted = Some(Intent::Down);
        if shim.phase == Phase::Backoff {
            self.stopped();
        } else {
            shim.phase = Phase::Stopping;
        }
    }

    // ---- the backend ----

    fn observed(&self, now: Instant) -> Observed {
        let since = now;
        let presence = match (&self.shim, self.alive) {
            (Some(Shim { phase: Phase::Running, .. }), Some(pid)) => {
                Presence::Present { instance: instance(pid), since, guardian: Guardian::Alive }
            }
            (Some(Shim { phase: Phase::Stopping | Phase::Clearing, .. }), Some(pid)) => {
                Presence::Leaving { instance: instance(pid), since }
            }
            (Some(shim), _) => {
                Presence::RestartPending { attempt: u32::from(shim.streak) + 1, until: now, last: shim.last }
            }
            (None, _) => match self.rest {
                Rest::Stopped => Presence::Absent,
                Rest::Failed => {
                    let reason = FailureReason::GaveUp { ending: Ending::Unhealthy, restarts: MAX_RESTARTS.into() };
                    Presence::Failed { reason }
                }
            },
        };
        let (entered, restarts, last_exit, notes) = (None, 0, None, Vec::new());
        Observed { presence, entered, intent: self.wanted, restarts, last_exit, notes }
    }

    fn go_on(&mut self, who: usize, index: usize, well: bool, now: Instant) {
        let call = self.engines[who].calls.remove(index);
        let answer = match &call {
            Call::Launch => self.launch(self.engines[who].since, now),
            Call::Stop { told } => self.stop(*told).map_or_else(
                |told| {
                    self.engines[who].calls.insert(index, Call::Stop { told: Some(told) });
                    None
                },
                |()| Some(Input::StopReported(Ok(()))),
            ),
            Call::Probe(instance_asked) => {
                let passes = well && self.alive.map(instance).as_ref() == Some(instance_asked);
                let verdict = if passes { ProbeVerdict::Passed } else { ProbeVerdict::Failed };
                let report = ProbeReport { verdict, message: String::new(), took: Duration::ZERO };
                Some(Input::Probed { instance: instance_asked.clone(), outcome: ProbeOutcome::Answered(report) })
            }
            Call::Consult(instance) if well => Some(Input::RecoveryCleared { instance: instance.clone() }),
            Call::Consult(instance) => {
                let (by, condition) = (id("b"), String::new());
                Some(Input::RecoveryHeldBack { instance: instance.clone(), by, condition })
            }
            Call::Recover(asked) => {
                let is_meant = self.alive.map(instance).as_ref() == Some(asked);
                if let Some(shim) = self.shim.as_mut().filter(|shim| is_meant && shim.phase == Phase::Running) {
                    shim.phase = Phase::Clearing;
                }
                Some(Input::RecoveryReported(Ok(())))
            }
        };
        match answer {
            Some(input) => self.feed(who, input, now),
            None if call == Call::Launch => self.engines[who].calls.insert(index, call),
            None => {}
        }
    }

    /// `None`: it waits.
    fn launch(&mut self, n_stops: u8, now: Instant) -> Option<Input> {
        let since = now;
        match self.shim.as_ref().map(|shim| shim.phase) {
            None if n_stops != self.n_stops => Some(Input::LaunchOvertaken),
            None => {
                self.spawn();
                // A start that was asked for before the stop ended came after it.
                self.is_done = false;
                let (number, streak) = (u8::try_from(self.next).unwrap(), 0);
                self.shim = Some(Shim { number, phase: Phase::Running, streak, last: Ending::Unknown });
                self.wanted = Some(Intent::Up);
                let instance = instance(self.alive.unwrap());
                Some(Input::Launched(Launch { instance, since, origin: LaunchOrigin::Started }))
            }
            Some(Phase::Running) => {
                let instance = instance(self.alive.unwrap());
                Some(Input::Launched(Launch { instance, since, origin: LaunchOrigin::FoundRunning }))
            }
            // The waiting shim makes way; that is no stop of anybody's.
            Some(Phase::Backoff) => {
                self.stopped();
                None
            }
            Some(Phase::Clearing | Phase::Stopping) => None,
        }
    }

    /// An error names the shim that it waits for.
    fn stop(&mut self, told: Option<u8>) -> Result<(), u8> {
        let number = self.shim.as_ref().map(|shim| shim.number);
        match (told, number) {
            // It has ended; another one in its place is somebody else's later wish.
            (Some(told), number) if number != Some(told) => Ok(()),
            (Some(told), _) => Err(told),
            (None, Some(number)) => {
                self.tell_to_stop();
                Err(number)
            }
            (None, None) => {
                self.rest = Rest::Stopped;
                self.wanted = Some(Intent::Down);
                Ok(())
            }
        }
    }

    // ---- the engines ----

    fn feed(&mut self, who: usize, input: Input, now: Instant) {
        let outcome = step(self.engines[who].machine.clone(), input, now);
        self.engines[who].machine = timeless(outcome.machine, now);
        for effect in outcome.effects {
            let engine = &mut self.engines[who];
            match effect {
                Effect::Launch => engine.calls.push(Call::Launch),
                Effect::Stop { .. } => engine.calls.push(Call::Stop { told: None }),
                Effect::Probe { instance } => {
                    // One that never answers, once there were enough.
                    if self.left.probes > 0 {
                        self.left.probes -= 1;
                        engine.calls.push(Call::Probe(instance));
                    }
                }
                Effect::Consult { instance } => engine.calls.push(Call::Consult(instance)),
                Effect::Recover { instance } => {
                    assert_eq!(engine.machine.intent(), Some(Intent::Up), "a person's stop comes first");
                    engine.calls.push(Call::Recover(instance));
                }
                Effect::StartEnded(_) => engine.awaits_start = false,
                Effect::StopEnded(end) => {
                    engine.awaits_stop = false;
                    let is_down = matches!(end, StopEnd::Stopped | StopEnd::NotRunning);
                    self.is_done |= is_down && self.asked == Some((Intent::Down, who));
                }
                Effect::Tend | Effect::Tell(_) | Effect::StartBegan | Effect::StartLaunched(_) => {}
            }
        }
    }

    /// What has to hold where nothing more will happen by itself.
    fn check_rest(&self) {
        for engine in &self.engines {
            assert!(!engine.awaits_start, "a start was never answered");
            assert!(!engine.awaits_stop, "a stop was never answered");
        }
        match self.asked {
            _ if self.is_contested => {}
            Some((Intent::Down, _)) => assert_eq!((self.alive, &self.shim), (None, &None), "it was stopped last"),
            Some((Intent::Up, _)) => assert!(self.alive.is_some() || self.rest == Rest::Failed, "it was started last"),
            None => {}
        }
    }

    /// What tells this state from others. Of the machines without their policy, which is the same in all.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for Engine { machine, calls, awaits_start, awaits_stop, since } in &self.engines {
            (&machine.state, machine.intent, machine.streak, &machine.illness).hash(&mut hasher);
            (machine.last_probe.as_ref().map(|probe| probe.verdict), machine.next_probe.is_some()).hash(&mut hasher);
            (machine.probe, &machine.queued, machine.stopper, machine.n_stops, machine.has_stopped).hash(&mut hasher);
            (machine.last_exit.is_some(), calls, awaits_start, awaits_stop, since).hash(&mut hasher);
        }
        let Self { engines: _, shim, alive, rest, wanted, n_stops, next, left, asked, is_done, is_contested } = self;
        (shim, alive, rest, wanted, n_stops, next, left, asked, is_done, is_contested).hash(&mut hasher);
        hasher.finish()
    }
}

fn bound(name: &str, usual: u8) -> u8 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}

/// Explores everything; returns how many states there are. A broken invariant is told with the shortest way to it.
fn explore(roles: [Role; 2], bounds: Bounds) -> usize {
    let now = Instant::now();
    let first = World::new(roles, bounds, now);
    let mut ways: HashMap<u64, Option<(u64, Move)>> = HashMap::from([(first.fingerprint(), None)]);
    let mut open = VecDeque::from([(first.fingerprint(), first)]);
    while let Some((from, world)) = open.pop_front() {
        let mut can_go_on = false;
        for what in world.moves() {
            let mut next = world.clone();
            let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| next.perform(what, now)));
            assert!(tried.is_ok(), "after {:?}\nfrom {world:?}", way_to(&ways, from, Some(what)));
            let to = next.fingerprint();
            can_go_on |= to != from && !matches!(what, Move::Ask(..) | Move::Die);
            if let std::collections::hash_map::Entry::Vacant(place) = ways.entry(to) {
                place.insert(Some((from, what)));
                open.push_back((to, next));
            }
        }
        if !can_go_on {
            let tried = std::panic::catch_unwind(|| world.check_rest());
            assert!(tried.is_ok(), "after {:?}\nin {world:?}", way_to(&ways, from, None));
        }
    }
    ways.len()
}

fn way_to(ways: &HashMap<u64, Option<(u64, Move)>>, mut at: u64, last: Option<Move>) -> Vec<Move> {
    let mut moves: Vec<Move> = last.into_iter().collect();
    while let Some(Some((before, what))) = ways.get(&at) {
        moves.push(*what);
        at = *before;
    }
    moves.reverse();
    moves
}

/// As it is, unless the environment says otherwise.
fn bounds(requests: u8, probes: u8, deaths: u8) -> Bounds {
    Bounds {
        requests: bound("MODEL_REQUESTS", requests),
        probes: bound("MODEL_PROBES", probes),
        deaths: bound("MODEL_DEATHS", deaths),
    }
}

#[track_caller]
fn holds(roles: [Role; 2], bounds: Bounds) {
    let began = Instant::now();
    let n_states = explore(roles, bounds);
    eprintln!("{roles:?}, {bounds:?}: {n_states} states in {:?}", began.elapsed());
    assert!(n_states > 1_000, "the model is not explored: {n_states} states");
}

#[test]
fn a_leader_and_a_follower_never_run_a_service_twice_and_the_last_wish_of_a_person_wins() {
    holds([Role::Leader, Role::Follower], bounds(2, 1, 0));
}

#[test]
fn what_dies_or_is_unhealthy_is_restarted_once_whoever_looks_and_within_its_budget() {
    holds([Role::Leader, Role::Follower], bounds(1, 2, 1));
}

#[test]
fn two_that_lead_by_mistake_do_no_harm() {
    holds([Role::Leader, Role::Leader], bounds(1, 2, 0));
}
