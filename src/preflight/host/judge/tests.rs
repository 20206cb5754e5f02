//! Each fact that stands in the way, and the words for it.

use std::time::{Duration, SystemTime};

use super::super::{
    Clock, FileLimit, Logout, LogoutPolicy, PipeLimit, Reach, Space, StatePlace, Survey, Surveyed, Topic, Trial, Where,
};
use super::{bytes, judge_host};
use crate::preflight::Verdict;

/// A machine on which everything is as it should be.
fn well() -> Survey {
    Survey {
        asked: Surveyed { n_binary: 7, ..Surveyed::default() },
        is_superuser: false,
        state: StatePlace { path: "/home/u/.provisioning/services".into(), problem: None },
        space: Ok(Space { free: 5 << 30, free_files: Some(1_000_000) }),
        splice: Trial::Works,
        inotify: Trial::Works,
        open_files: FileLimit { soft: Some(1024), hard: None },
        pipes: Some(PipeLimit { soft_pages: 16_384, page: 4096 }),
        logout: Logout::NoManager,
        hidepid: None,
        clock: Clock {
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(2),
            earliest: SystemTime::UNIX_EPOCH,
            ahead: None,
        },
        docker: None,
        kubernetes: None,
    }
}

/// What is not as it should be, as `verdict topic: message => remedy`.
fn complaints(survey: &Survey) -> Vec<String> {
    let findings = judge_host(survey);
    assert!(findings.is_sorted_by_key(|finding| finding.topic), "{findings:#?}");
    findings
        .into_iter()
        .filter(|finding| finding.verdict != Verdict::Passed)
        .map(|finding| {
            let remedy = finding.remedy.expect("a complaint comes with its remedy");
            format!("{:?} {}: {} => {remedy}", finding.verdict, finding.topic, finding.message)
        })
        .collect()
}

#[track_caller]
fn check(change: impl FnOnce(&mut Survey), expected: &str) {
    let mut survey = well();
    change(&mut survey);
    let found = complaints(&survey);
    assert!(found.len() == 1 && found[0].starts_with(expected), "expected {expected}\nfound {found:#?}");
}

#[track_caller]
fn fine(change: impl FnOnce(&mut Survey)) {
    let mut survey = well();
    change(&mut survey);
    assert_eq!(complaints(&survey), Vec::<String>::new());
}

#[test]
fn nothing_is_wrong_with_a_machine_that_is_well() {
    fine(|_| {});
    assert_eq!(judge_host(&well()).len(), 8);
}

#[test]
fn a_full_disk_fails_and_a_nearly_full_one_warns() {
    check(|s| s.space = Ok(Space { free: 0, free_files: None }), "Failed disk space: The disk is full: 0 bytes free");
    check(|s| s.space = Ok(Space { free: 5 << 30, free_files: Some(0) }), "Failed disk space: No file can be made");
    check(
        |s| s.space = Ok(Space { free: 50 << 20, free_files: None }),
        "Warning disk space: The disk is nearly full: 50.0 MiB",
    );
    check(|s| s.space = Ok(Space { free: 5 << 30, free_files: Some(9) }), "Warning disk space: Only 9 files");
    check(|s| s.space = Err("no such device".into()), "Warning disk space: Free space below");
}

#[test]
fn a_state_directory_that_cannot_be_used_brings_its_own_remedy() {
    check(
        |s| s.state.problem = Some(("/x belongs to user 7".into(), "run this as its owner".into())),
        "Failed state directory: State directory cannot be used: /x belongs to user 7 => run this as its owner",
    );
}

#[test]
fn logs_that_can_lose_lines_are_said_and_an_untried_splice_is_not() {
    check(|s| s.splice = Trial::Refused("EINVAL".into()), "Warning log transfer: splice is refused by the file system");
    fine(|s| s.splice = Trial::NotTried("not there yet".into()));
}

#[test]
fn limits_are_held_against_the_number_of_services() {
    check(|s| s.inotify = Trial::Refused("EMFILE".into()), "Failed file watching: No more inotify instances");
    check(
        |s| s.asked.n_binary = 300,
        "Failed open files: Only 1024 files may be open at once; 300 services need about 1328 => ulimit -n 1328",
    );
    check(
        |s| (s.asked.n_binary, s.open_files.hard) = (300, Some(1024)),
        "Failed open files: Only 1024 files may be open at once; 300 services need about 1328 => raise the limit",
    );
    fine(|s| (s.asked.n_binary, s.open_files.soft) = (300, None));
    check(
        |s| (s.asked.n_binary, s.open_files.soft) = (2000, None),
        "Warning pipe buffers: 2000 services need 32000 pages of pipe buffers, and one user may have 16384",
    );
    fine(|s| (s.asked.n_binary, s.open_files.soft, s.is_superuser) = (2000, None, true));
}

#[test]
fn what_ends_at_logout_is_told_with_what_keeps_it() {
    let logind = |place, policy, lingers| Logout::Logind { place, policy, lingers, user: "ada".into() };
    check(
        |s| s.logout = logind(Where::Session, LogoutPolicy::Kills, true),
        "Failed logout: Services are killed when you log out (KillUserProcesses=yes) => loginctl enable-linger ada, and",
    );
    check(|s| s.logout = logind(Where::Session, LogoutPolicy::Unknown, false), "Warning logout: Whether services");
    check(
        |s| s.logout = logind(Where::UserManager, LogoutPolicy::Spares, false),
        "Warning logout: Services started here end when you log out: they stand below your user manager => loginctl \
         enable-linger ada",
    );
    fine(|s| s.logout = logind(Where::Session, LogoutPolicy::Spares, false));
    fine(|s| s.logout = logind(Where::UserManager, LogoutPolicy::Kills, true));
    fine(|s| s.logout = logind(Where::Elsewhere, LogoutPolicy::Kills, false));
}

#[test]
fn hidden_processes_matter_to_everybody_but_the_superuser() {
    check(|s| s.hidepid = Some("hidepid=2".into()), "Warning process visibility: /proc hides processes of other users");
    fine(|s| (s.hidepid, s.is_superuser) = (Some("hidepid=2".into()), true));
}

#[test]
fn a_clock_that_cannot_be_right_is_said() {
    check(|s| s.clock.earliest = s.clock.now + Duration::from_secs(1), "Failed clock: The clock says a time before");
    check(
        |s| s.clock.ahead = Some(Duration::from_secs(3600)),
        "Warning clock: Our newest file lies 3600 s in the future",
    );
    fine(|s| s.clock.ahead = Some(Duration::from_secs(1)));
}

#[test]
fn platforms_are_spoken_of_only_where_a_service_asks_for_them() {
    assert!(judge_host(&well()).iter().all(|it| !matches!(it.topic, Topic::Docker | Topic::Kubernetes)));
    check(
        |s| s.docker = Some(Reach::Absent("/var/run/docker.sock".into())),
        "Failed docker: Docker is not installed or not running => systemctl start docker",
    );
    check(|s| s.docker = Some(Reach::Forbidden("permission denied".into())), "Failed docker: Docker refuses us");
    check(
        |s| s.kubernetes = Some(Reach::Absent("/home/u/.kube/config".into())),
        "Failed kubernetes: kubectl is not installed or not configured",
    );
    fine(|s| s.docker = Some(Reach::Answers("/var/run/docker.sock".into())));
}

#[test]
fn sizes_are_never_rounded_up() {
    for (n, expected) in [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), ((2 << 30) - 1, "1.9 GiB")] {
        assert_eq!(bytes(n), expected);
    }
}
