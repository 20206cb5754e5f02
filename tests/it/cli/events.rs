//! `events`: the timeline with its causes, across rotation, followed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::{b10, check};

fn entries(out: &str) -> Vec<serde_json::Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_timeline_says_what_happened_and_who_caused_it() {
    let home = b10();
    check(&home.types("events"), 0, "", "Nothing has happened yet");
    assert!(!home.path(".provisioning").exists());
    home.types("services start control-center");
    home.types("services stop control-center");
    let answer = home.types("events control-center");
    assert!(answer.out.lines().all(|line| line.contains(" control-center: ")), "{answer:#?}");
    assert!(answer.out.contains("control-center: start requested (command)"), "{answer:#?}");
    assert!(answer.out.lines().last().unwrap().ends_with("control-center: stopped (command)"), "{answer:#?}");
    let all = entries(&home.types("events --json").out);
    assert!(all.iter().any(|entry| entry["service"] == "orchestrator" && entry["actor"] == "command"), "{all:#?}");
    assert!(all.windows(2).all(|pair| pair[0]["at"].as_str() <= pair[1]["at"].as_str()), "in order: {all:#?}");
    assert_eq!(entries(&home.types("events --json --lines 2").out), all[all.len() - 2..]);
    check(&home.types("events control-centre"), 2, "", "Did you mean control-center?");
    check(&home.types("events gitea"), 0, "", "Nothing has happened yet");
}

#[test]
fn the_timeline_reaches_back_into_the_rotated_file_and_passes_over_what_is_broken() {
    let home = b10();
    let state = home.path(".provisioning/services/state");
    fs::create_dir_all(&state).unwrap();
    let line =
        |what: &str| format!("{{\"at_ms\":1000,\"service\":\"gitea\",\"actor\":\"command\",\"what\":\"{what}\"}}\n");
    fs::write(state.join("events.jsonl.1"), line("older")).unwrap();
    fs::write(state.join("events.jsonl"), format!("half a li\n{}\u{0}\n{}", line("newer \\u001b[2J"), "{\"at_ms\":"))
        .unwrap();
    let answer = home.types("events gitea --lines 10");
    let said: Vec<&str> = answer.out.lines().map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(said[0], "older (command)", "{answer:#?}");
    assert!(said.len() == 2 && !answer.out.contains('\u{1b}'), "{answer:#?}");
}

#[test]
fn what_comes_is_followed_until_ctrl_c() {
    let home = b10();
    home.types("services start gitea");
    let mut follow = home.command("events --follow --json --lines 0").stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(follow.stdout.take().unwrap());
    // It reads nothing of the past, so that only what happens from now on can come; it may not listen yet, so ask until it does.
    let state = home.path(".provisioning/services/state/events.jsonl");
    let inotify = format!("/proc/{}/fdinfo", follow.id());
    super::wait_until("the timeline is watched", || {
        fs::read_dir(&inotify).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("inotify wd:")))
        })
    });
    assert!(state.exists());
    home.types("services stop gitea");
    let mut line = String::new();
    while !line.contains("\"stopped\"") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "ended");
        assert!(line.contains("\"gitea\""), "{line}");
    }
    assert!(Command::new("kill").args(["-INT", &follow.id().to_string()]).status().unwrap().success());
    assert_eq!(follow.wait().unwrap().code(), Some(0));
}
