//! Bytes that nobody should ever send: mutated from a corpus, for a moment in every `cargo test`, and for as long as one likes by
//! `cargo test --test campaign -- fuzz --minutes 10`.
//!
//! `tests/corpus/<target>` holds what the mutations begin with, and every input that ever failed: written there by the failing run, and
//! replayed by every run after it.

use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use provisioning::config::{self, Environment};
use provisioning::logs::{LogFile, MAX_LINE, Tabs, escape_json, sanitize};
use provisioning::model::{Ending, OnFull, ProcessIdentity, ServiceId};
use provisioning::report::diagnostics;
use provisioning::store::handover::{Handover, Orphan, Report, Rotation};
use provisioning::store::state::Exit;
use provisioning::store::{TimelineEntry, marker, state_reader};

use super::support::campaign::{dice, seconds};
use super::support::dice::Dice;

/// The longest input.
const MAX_LENGTH: usize = 64 * 1024;

fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target)
}

fn files(directory: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap()).collect()
}

/// One change, or a few on top of each other.
fn mutate(dice: &mut Dice, corpus: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = dice.pick(corpus).clone();
    for _ in 0..=dice.below(8) {
        let at = dice.below(bytes.len() + 1);
        let upto = at + dice.below((bytes.len() - at).min(64) + 1);
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => {
                bytes[at] = *dice.pick(&[0, 0xff, 0x7f, 0x80, b'"', b'\\', b'\n', 0x1b, b'-', b'9'])
            }
            2 => drop(bytes.drain(at..upto)),
            3 => {
                let piece = bytes[at..upto].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = dice.pick(corpus);
                let from = dice.below(other.len() + 1);
                let piece = other[from..(from + dice.below(200)).min(other.len())].to_vec();
                bytes.splice(at..upto, piece);
            }
            6 => drop(bytes.splice(at..upto, dice.pick(words).iter().copied())),
            7 => {
                let n_bytes = [1, 2, 4, 8][dice.below(4)];
                bytes.splice(at..upto, dice.roll().to_le_bytes().into_iter().take(n_bytes));
            }
            _ => {
                // Much of the same.
                let piece = dice.pick(words).repeat(1 + dice.below(400));
                bytes.splice(at..at, piece);
            }
        }
        bytes.truncate(MAX_LENGTH);
    }
    bytes
}

/// Replays what is kept, then goes on with what nobody thought of until the time is over.
fn fuzz(target: &str, seeds: Vec<Vec<u8>>, words: &[&[u8]], check: impl Fn(&[u8])) {
    let directory = directory(target);
    let mut corpus = files(&directory);
    corpus.extend(seeds);
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|bytes| check(bytes));
    let mut dice = dice();
    let (begun, time) = (Instant::now(), seconds(0.4));
    let mut n_tried = 0_u64;
    while begun.elapsed() < Duration::from_secs_f64(time) {
        let input = mutate(&mut dice, &corpus, words);
        n_tried += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&input))) {
            // Kept under a name that says what it is (FNV-1a).
            let name = input
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
            let path = directory.join(format!("found-{name:016x}"));
            std::fs::write(&path, &input).unwrap();
            // The panic has said what; where it can be looked at is said by the next one.
            drop(panic);
            panic!("after {n_tried} inputs, this one is kept in {}", path.display());
        }
    }
    assert!(n_tried > 0, "{target}: no time");
}

/// A directory where writing costs nothing, if there is such a place.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn has_control(text: &str) -> Option<char> {
    text.chars()
        .find(|&c| c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

#[test]
fn no_registry_makes_anything_panic_and_none_brings_a_code_to_the_terminal() {
    let environment = Environment {
        variables: [("TOKEN".into(), "hunter2".into())].into(),
        home: Some("/home/u".into()),
        current_dir: None,
    };
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let seeds = [files(&configs.join("valid")), files(&configs.join("invalid"))].concat();
    let words: [&[u8]; 14] = [
        b"[services.a]\n",
        b"dependencies = [\"a\"]\n",
        b"${TOKEN}",
        b"env = { A = \"b\" }\n",
        b"[[",
        b"'''",
        b"\"\"\"",
        b"nan",
        b"1979-05-27T00:00:00Z",
        b"-9223372036854775809",
        b"\xef\xbb\xbf",
        b"\\u0000",
        b"\x1b[2J",
        b"mode = \"docker\"\n",
    ];
    fuzz("registry", seeds, &words, |bytes| {
        // Deep nesting is the parser's own limit and costs it much time: a file of nothing else is tried once, elsewhere.
        let text = String::from_utf8_lossy(bytes);
        let registry = config::parse(&text, None, &environment);
        for found in &registry.diagnostics {
            let shown = diagnostics::render(found, false) + &diagnostics::plain(found);
            assert_eq!(has_control(&shown), None, "{shown:?}");
            if let Some(place) = &found.place {
                assert!(place.span.start <= place.span.end && place.span.end <= text.len());
            }
        }
        for service in &registry.services {
            let name = service.id.as_str();
            assert!(
                name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
                "{name:?}"
            );
        }
    });
}

#[test]
fn no_state_file_makes_anything_panic_and_what_is_read_is_written_the_same() {
    let home = in_memory();
    let state = home.path().join("state");
    std::fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    let path = state.join("a.json");
    let words: [&[u8]; 8] =
        [b"null", b"18446744073709551615", b"-1", b"\"running\"", b"\"pid\":1", b"\"schema\":2", b"{", b"\"\\ud800\""];
    let read = || match state_reader::read(&path).unwrap() {
        state_reader::Found::Record(record, ..) => Some(*record),
        state_reader::Found::Nothing => panic!("it is there"),
        state_reader::Found::Unusable(_) => None,
    };
    fuzz("state", Vec::new(), &words, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        let Some(record) = read() else { return };
        let text = record.to_json();
        std::fs::write(&path, &text).unwrap();
        let again = read().unwrap_or_else(|| panic!("what was written cannot be read: {text}"));
        assert_eq!(again.to_json(), text);
    });
}

#[test]
fn no_output_gets_past_the_sanitizer() {
    let words: [&[u8]; 14] = [
        b"\x1b[",
        b"\x1b]52;c;",
        b"\x07",
        b"\x1b\\",
        b"\x1bP",
        b"\xc2\x9b",
        b"\x9b",
        b"\r",
        b"\x08",
        "\u{202e}".as_bytes(),
        "\u{200b}".as_bytes(),
        b"\xf0\x9f",
        b"\t",
        b"38;2;1;2;3m",
    ];
    fuzz("text", Vec::new(), &words, |bytes| {
        for tabs in [Tabs::Keep, Tabs::Expand] {
            let clean = sanitize(bytes, tabs);
            let bad = clean.chars().find(|&c| c.is_control() && !(c == '\t' && tabs == Tabs::Keep));
            assert_eq!(bad, None, "{clean:?}");
            assert!(!clean.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}']), "{clean:?}");
            assert_eq!(sanitize(clean.as_bytes(), tabs), clean, "cleaning twice changes it");
        }
        let value = String::from_utf8_lossy(bytes).into_owned();
        let json = serde_json::to_string(&value).unwrap();
        let shown = escape_json(&json);
        assert_eq!(has_control(&shown), None);
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), value);
        let _ = marker::is_start(bytes);
    });
}

fn handover(adopt: bool) -> Handover {
    let identity = ProcessIdentity { pid: 4711, start_ticks: 12, boot_id: "boot".into(), pid_namespace: 3 };
    Handover {
        service: ServiceId::new("a").unwrap(),
        root: "/root".into(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), "exit".into()],
        environment: vec![("A".into(), "b".into())],
        directory: "/".into(),
        stop_signal: 15,
        max_restarts: Some(3),
        stop_patience: Duration::from_secs(10),
        noticed_within: Duration::ZERO,
        spec_hash: 7,
        rotation: Rotation::default(),
        on_full: OnFull::Block,
        exits: vec![Exit { ending: Ending::Exited(1), at: 1, ran_for: 2 }],
        adopt: adopt.then_some(Orphan {
            service: identity,
            state_inode: 1,
            started_at: 2,
            restarts: 3,
            failures: 4,
            streak: 5,
            dropped_bytes: 6,
            is_stopping: true,
        }),
    }
}

#[test]
fn no_handover_and_no_report_makes_anything_panic_and_what_arrives_is_what_was_sent() {
    let seeds = [handover(false), handover(true)].map(|handover| handover.encode().unwrap());
    let reports = [Report::Tended, Report::Failed("why".into())].map(|report| {
        let mut bytes = Vec::new();
        report.send(&mut bytes).unwrap();
        bytes
    });
    let words: [&[u8]; 4] = [b"PVH3", &[0; 8], &[0xff; 8], b"../"];
    fuzz("handover", [&seeds[..], &reports[..]].concat(), &words, |bytes| {
        if let Ok(received) = Handover::receive(bytes) {
            let sent = received.encode().unwrap();
            let again = Handover::receive(&sent[..]).unwrap_or_else(|error| panic!("{error}"));
            assert!(again == received, "it changed on its way");
        }
        if let Ok(report) = Report::decode(bytes) {
            let mut sent = Vec::new();
            report.send(&mut sent).unwrap();
            assert_eq!(Report::decode(&sent).unwrap(), report);
        }
    });
}

#[test]
fn no_timeline_makes_anything_panic() {
    let words: [&[u8]; 5] = [b"null", b"18446744073709551615", b"{", b"\\u001b", b"-1"];
    fuzz("timeline", Vec::new(), &words, |bytes| {
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Some(entry) = TimelineEntry::parse(line) {
                drop(format!("{entry:?}"));
            }
        }
    });
}

#[test]
fn whatever_is_in_a_log_is_read_whole_forwards_and_backwards() {
    let home = in_memory();
    let path = home.path().join("a.log");
    let words: [&[u8]; 4] = [b"\n", b"\r\n", b"--- a started, PID 1", &[b'x'; 64]];
    let long = vec![b'y'; MAX_LINE * 2 + 10];
    fuzz("log", vec![long], &words, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        let log = LogFile::open(&path).unwrap();
        let mut offset = 0;
        let mut seen = Vec::new();
        loop {
            let lines = log.forward(offset, 7).unwrap();
            let Some(last) = lines.last() else { break };
            assert!(last.next_offset() > offset, "no way forward at {offset}");
            offset = last.next_offset();
            for line in &lines {
                assert!(line.bytes.len() <= MAX_LINE);
                seen.extend_from_slice(&line.bytes);
                if line.end == provisioning::logs::LineEnd::LineFeed {
                    seen.push(b'\n');
                }
            }
        }
        assert!(seen == bytes, "forwards, {} of {} bytes", seen.len(), bytes.len());
        let mut end = u64::try_from(bytes.len()).unwrap();
        let mut n_looks = 0;
        while end > 0 {
            let lines = log.backward(end, 5).unwrap();
            let first = lines.first().unwrap_or_else(|| panic!("nothing before {end}"));
            assert!(first.offset < end, "no way back at {end}");
            end = first.offset;
            n_looks += 1;
        }
        assert!(n_looks <= bytes.len());
    });
}
