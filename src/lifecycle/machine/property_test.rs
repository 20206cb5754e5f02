//! Random orders, deaths and delays against a machine and the world it acts on.

use std::time::{Duration, Instant};

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{collection, prop_assert, prop_assert_eq};

use super::{Effect, Input, Machine, Policy, Probing, Step, StopFailure, Tending, step};
use crate::model::{
    Guardian, Health, Instance, Intent, Launch, LaunchOrigin, Observed, Presence, ProbeOutcome, ProbeReport,
    ProbeVerdict, ProcessIdentity, Role, ServiceState, StopHow,
};
use crate::testkit::builders::{id, restarted_service};

/// What happens next.
#[derive(Debug, Clone)]
enum Move {
    Start,
    Stop(StopHow),
    /// The oldest thing under way ends; well or badly.
    Complete {
        well: bool,
    },
    /// The service dies by itself.
    Die,
    Look,
    Lead(bool),
    Pass(u16),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        2 => Just(Move::Start),
        2 => prop_oneof![Just(StopHow::Ask), Just(StopHow::AskThenKill), Just(StopHow::Kill)].prop_map(Move::Stop),
        6 => any::<bool>().prop_map(|well| Move::Complete { well }),
        1 => Just(Move::Die),
        2 => Just(Move::Look),
        1 => any::<bool>().prop_map(Move::Lead),
        1 => (0_u16..20_000).prop_map(Move::Pass),
    ];
    collection::vec(one, 0..60)
}

/// A service and its machine.
struct Play {
    machine: Machine,
    now: Instant,
    alive: Option<Instance>,
    next_pid: u32,
    under_way: std::collections::VecDeque<Effect>,
    awaits_start: bool,
    awaits_stop: bool,
    launches_in_flight: usize,
    is_leader: bool,
    n_recoveries: u32,
}

/// How often the pretended guardian restarts.
const BUDGET: u32 = 2;

impl Play {
    fn new() -> Self {
        let now = Instant::now();
        let policy = Policy::new(&restarted_service("a", ""), Probing::Continuous, Tending::Yes, now);
        let mut play = Self {
            machine: Machine::new(policy, now),
            now,
            alive: None,
            next_pid: 2,
            under_way: std::collections::VecDeque::new(),
            awaits_start: false,
            awaits_stop: false,
            launches_in_flight: 0,
            is_leader: false,
            n_recoveries: 0,
        };
        play.look();
        play
    }

    fn feed(&mut self, input: Input) {
        let had_instance = self.machine.state().is_alive();
        let Step { machine, effects } = step(self.machine.clone(), input, self.now);
        self.machine = machine;
        for effect in effects {
            match &effect {
                Effect::Launch => {
                    assert!(!had_instance || !self.machine.state().is_alive(), "launched beside an instance");
                    self.launches_in_flight += 1;
                    assert_eq!(self.launches_in_flight, 1, "two launches at once");
                    self.under_way.push_back(effect);
                }
                Effect::Stop { .. } | Effect::Probe { .. } => self.under_way.push_back(effect),
                Effect::Consult { .. } => {
                    assert!(self.may_recover(), "nobody leads, or nobody wants it up: {:?}", self.machine);
                    self.under_way.push_back(effect);
                }
                Effect::Recover { instance } => {
                    assert!(self.may_recover(), "nobody leads, or nobody wants it up: {:?}", self.machine);
                    assert_eq!(self.machine.state().health(), Health::Unhealthy);
                    assert_eq!(self.machine.state().instance(), Some(instance));
                    self.under_way.push_back(effect);
                }
                Effect::StartEnded(_) => self.awaits_start = false,
                Effect::StopEnded(_) => self.awaits_stop = false,
                Effect::Tend | Effect::Tell(_) | Effect::StartBegan | Effect::StartLaunched(_) => {}
            }
        }
    }

    fn look(&mut self) {
        let presence = match &self.alive {
            Some(instance) => {
                Presence::Present { instance: instance.clone(), since: self.now, guardian: Guardian::Alive }
            }
            None => Presence::Absent,
        };
        self.feed(Input::Observed(Ok(Observed {
            presence,
            entered: None,
            intent: None,
            restarts: 0,
            last_exit: None,
            notes: Vec::new(),
        })));
    }

    fn complete(&mut self, well: bool) {
        match self.under_way.pop_front() {
            Some(Effect::Launch) => {
                self.launches_in_flight -= 1;
                if !well {
                    return self.feed(Input::LaunchFailed { message: "no".to_owned(), remedy: None });
                }
                let origin = if self.alive.is_some() { LaunchOrigin::FoundRunning } else { LaunchOrigin::Started };
                let next = self.next_instance();
                let instance = self.alive.get_or_insert(next).clone();
                self.feed(Input::Launched(Launch { instance, since: self.now, origin }));
            }
            // A stop only fails while something lives.
            Some(Effect::Stop { .. }) => {
                if well || self.alive.is_none() {
                    self.alive = None;
                    self.feed(Input::StopReported(Ok(())));
                } else {
                    let failure = StopFailure { message: "still there".to_owned(), remedy: None };
                    self.feed(Input::StopReported(Err(failure)));
                }
            }
            Some(Effect::Probe { instance }) => {
                let passes = well && self.alive.as_ref() == Some(&instance);
                let verdict = if passes { ProbeVerdict::Passed } else { ProbeVerdict::Failed };
                let report = ProbeReport { verdict, message: String::new(), took: Duration::ZERO };
                self.feed(Input::Probed { instance, outcome: ProbeOutcome::Answered(report) });
            }
            Some(Effect::Consult { instance }) if well => self.feed(Input::RecoveryCleared { instance }),
            Some(Effect::Consult { instance }) => {
                let (by, condition) = (id("b"), "is stopped".to_owned());
                self.feed(Input::RecoveryHeldBack { instance, by, condition });
            }
            // The guardian: it restarts what is still there, as often as the budget allows, and what was stopped it does not know.
            Some(Effect::Recover { instance }) => {
                if self.alive.as_ref() == Some(&instance) {
                    let may_again = self.n_recoveries < BUDGET;
                    self.n_recoveries += u32::from(may_again);
                    self.alive = may_again.then(|| self.next_instance());
                }
                self.feed(Input::RecoveryReported(Ok(())));
                self.look();
            }
            Some(_) | None => {}
        }
    }

    fn may_recover(&self) -> bool {
        self.is_leader && self.machine.intent() == Some(Intent::Up)
    }

    fn next_instance(&mut self) -> Instance {
        let (pid, boot_id) = (self.next_pid, "boot".to_owned());
        self.next_pid += 1;
        Instance::Process(ProcessIdentity { pid, start_ticks: 1, boot_id, pid_namespace: 1 })
    }

    fn perform(&mut self, what: &Move) {
        match what {
            Move::Start => {
                self.awaits_start = true;
                self.feed(Input::StartRequested { on: Vec::new() });
            }
            Move::Stop(how) => {
                self.awaits_stop = true;
                self.feed(Input::StopRequested { how: *how, grace: Duration::from_secs(10) });
            }
            Move::Complete { well } => self.complete(*well),
            Move::Die => {
                self.alive = None;
                self.look();
            }
            Move::Look => self.look(),
            Move::Lead(is_leader) => {
                self.is_leader = *is_leader;
                self.machine.lead(if *is_leader { Role::Leader } else { Role::Follower }, self.now);
            }
            Move::Pass(millis) => {
                self.now += Duration::from_millis(u64::from(*millis));
                self.feed(Input::Tick);
            }
        }
    }

    /// Everything ends well, and time passes, until nothing more happens.
    fn come_to_rest(&mut self) {
        for _ in 0..1_000 {
            if !self.under_way.is_empty() {
                self.complete(true);
            } else if self.awaits_start || self.awaits_stop {
                self.look();
                self.now += Duration::from_secs(31);
                self.feed(Input::Tick);
            } else {
                break;
            }
        }
        self.look();
        while self.under_way.iter().any(|effect| !matches!(effect, Effect::Probe { .. })) {
            self.complete(true);
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_launched_twice_and_everybody_gets_an_answer(moves in moves()) {
        let mut play = Play::new();
        for what in &moves {
            play.perform(what);
        }
        play.come_to_rest();
        prop_assert!(!play.awaits_start, "a start was never answered: {:?}", play.machine);
        prop_assert!(!play.awaits_stop, "a stop was never answered: {:?}", play.machine);
        prop_assert_eq!(play.machine.state().is_alive(), play.alive.is_some(), "{:?}", play.machine);
    }

    #[test]
    fn the_last_wish_wins(moves in moves(), up in any::<bool>()) {
        let mut play = Play::new();
        for what in &moves {
            play.perform(what);
        }
        play.perform(&if up { Move::Start } else { Move::Stop(StopHow::AskThenKill) });
        play.come_to_rest();
        prop_assert_eq!(play.alive.is_some(), up, "{:?}", play.machine);
        let is_quiet = !matches!(
            play.machine.state(),
            ServiceState::Waiting { .. } | ServiceState::Launching { .. } | ServiceState::Stopping { .. }
        );
        prop_assert!(is_quiet, "{:?}", play.machine);
    }
}
