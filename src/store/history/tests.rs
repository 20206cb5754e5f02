//! Histories on a real file system, whole and damaged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use tempfile::TempDir;

use super::format::{self, LENGTH, N_ROWS, N_SAMPLES, ROW, ROWS_AT, SAMPLE, sample_at};
use super::{Histories, read, samples};
use crate::model::history::{HISTORY_LENGTH, HOUR, HealthHistory, Sample, Seen, Sighting, Standing, Turn, Window};
use crate::model::{ProbeVerdict, ServiceId};
use crate::store::{Layout, directory};

const EVERY: Duration = Duration::from_secs(10);

struct Home {
    _directory: TempDir,
    layout: Layout,
    service: ServiceId,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().join("services"));
        directory::prepare(&layout).unwrap();
        Self { _directory: directory, layout, service: ServiceId::new("orchestrator").unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.layout.history_file(&self.service)
    }

    fn histories(&self) -> Histories {
        Histories::new(&self.layout)
    }

    fn write(&self, samples: &[Sample]) {
        let histories = self.histories();
        samples.iter().for_each(|sample| histories.append(&self.service, sample, EVERY).unwrap());
    }

    fn read(&self, now: SystemTime) -> HealthHistory {
        read(&self.layout, &self.service, EVERY, now).unwrap()
    }

    fn samples(&self) -> Vec<Sample> {
        samples(&self.layout, &self.service).unwrap()
    }

    fn set_aside(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(self.layout.history()).unwrap().map(|entry| entry.unwrap().path());
        found.filter(|path| path.to_string_lossy().contains(".corrupt-")).collect()
    }
}

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_759_752_000)
}

/// A life of answers, one in ten seconds, with failures, flaps, a stop, a fall, and pauses in which nobody looked.
fn life(n: u32) -> Vec<Sample> {
    let mut at = noon();
    (0..n)
        .map(|i| {
            at += match i % 97 {
                96 => Duration::from_secs(900),
                _ => EVERY + Duration::from_millis(u64::from(i % 7)),
            };
            let state = |standing, sighting| Sample { at, seen: Seen::State { standing, sighting } };
            match i % 50 {
                40 => state(Standing::Idle, Sighting::Became),
                41 => state(Standing::Down, Sighting::Became),
                42 => state(Standing::Restarted, Sighting::Became),
                43 => state(Standing::Started, if i % 2 == 0 { Sighting::Found } else { Sighting::Became }),
                rest => {
                    let verdict = if rest % 11 == 10 { ProbeVerdict::Failed } else { ProbeVerdict::Passed };
                    let turn = if rest % 25 == 20 { Turn::Turned } else { Turn::Same };
                    let took = Duration::from_micros(u64::from(i * i % 100_000 + 1));
                    Sample { at, seen: Seen::Answer { verdict, took, turn } }
                }
            }
        })
        .collect()
}

fn in_memory(samples: &[Sample]) -> HealthHistory {
    let mut history = HealthHistory::default();
    history.pace(EVERY);
    samples.iter().for_each(|sample| history.push(*sample));
    history
}

#[track_caller]
fn check_equal(read: &HealthHistory, expected: &HealthHistory) {
    assert!(read.samples().eq(expected.samples()), "other samples than the newest that were written");
    for (read, expected) in read.hours().zip(expected.hours()) {
        assert_eq!(read, expected);
    }
    assert_eq!(read.hours().count(), expected.hours().count());
}

#[test]
fn what_was_written_is_what_is_remembered_whenever_it_is_read() {
    let home = Home::new();
    let life = life(900);
    let histories = home.histories();
    for (n, sample) in life.iter().enumerate() {
        histories.append(&home.service, sample, EVERY).unwrap();
        if n % 37 == 0 || n > 890 {
            check_equal(&home.read(sample.at), &in_memory(&life[..=n]));
        }
    }
    assert_eq!(home.samples(), life);
}

#[test]
fn a_writer_that_is_killed_and_followed_by_another_loses_and_doubles_nothing() {
    let home = Home::new();
    let life = life(600);
    for piece in life.chunks(23) {
        home.write(piece);
    }
    check_equal(&home.read(life.last().unwrap().at), &in_memory(&life));
    assert_eq!(home.samples(), life);
}

#[test]
fn the_ring_keeps_a_day_of_samples_and_the_totals_a_week() {
    let home = Home::new();
    let answer = Seen::Answer { verdict: ProbeVerdict::Passed, took: Duration::from_millis(5), turn: Turn::Same };
    let n = N_SAMPLES + 300;
    let week: Vec<Sample> = (0..n).map(|i| Sample { at: noon() + EVERY * 7 * i, seen: answer }).collect();
    let histories = home.histories();
    // Seven times as slow as planned, so that one run goes through the whole week.
    week.iter().for_each(|sample| histories.append(&home.service, sample, EVERY * 7).unwrap());
    assert_eq!(home.samples(), week[300..]);
    let now = week.last().unwrap().at;
    let read = read(&home.layout, &home.service, EVERY * 7, now).unwrap();
    let numbers = read.statistics(Window::WEEK, now);
    assert_eq!(numbers.uptime(), Some(1.0));
    assert!(numbers.observed() > HOUR * 166, "{numbers:?}");
    assert_eq!(fs::metadata(home.path()).unwrap().len(), LENGTH);
}

#[test]
fn a_file_that_is_removed_or_replaced_while_in_use_is_begun_again() {
    let home = Home::new();
    let histories = home.histories();
    let life = life(30);
    histories.append(&home.service, &life[0], EVERY).unwrap();
    fs::remove_file(home.path()).unwrap();
    histories.append(&home.service, &life[1], EVERY).unwrap();
    assert_eq!(home.samples(), life[1..2]);
    fs::remove_dir_all(home.layout.history()).unwrap();
    histories.append(&home.service, &life[2], EVERY).unwrap();
    assert_eq!(home.samples(), life[2..3]);
}

#[test]
fn only_the_owner_may_read_a_history() {
    let home = Home::new();
    home.write(&life(1));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(home.layout.history()), mode(home.path())), (0o700, 0o600));
}

#[test]
fn a_symbolic_link_is_set_aside_and_its_target_is_left_alone() {
    let home = Home::new();
    home.write(&life(1));
    let target = home.layout.root().join("precious");
    fs::write(&target, "precious").unwrap();
    fs::remove_file(home.path()).unwrap();
    std::os::unix::fs::symlink(&target, home.path()).unwrap();
    assert_eq!(home.read(noon()).samples().len(), 0);
    home.write(&life(2));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!((home.samples(), home.set_aside().len()), (life(2), 1));
}

#[test]
fn a_directory_that_is_a_link_or_open_to_others_is_refused() {
    let home = Home::new();
    let elsewhere = home.layout.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.layout.history()).unwrap();
    home.histories().append(&home.service, &life(1)[0], EVERY).unwrap_err();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_file(home.layout.history()).unwrap();
    fs::create_dir(home.layout.history()).unwrap();
    fs::set_permissions(home.layout.history(), fs::Permissions::from_mode(0o777)).unwrap();
    home.histories().append(&home.service, &life(1)[0], EVERY).unwrap_err();
    assert_eq!(fs::read_dir(home.layout.history()).unwrap().count(), 0);
}

#[test]
fn what_is_no_history_is_set_aside_and_begun_anew() {
    let contents: [&[u8]; 4] = [b"garbage", &[0; 64], &[0xff; 300_000], format::MAGIC_ALONE];
    for content in contents {
        let home = Home::new();
        home.write(&life(1));
        fs::write(home.path(), content).unwrap();
        assert_eq!(home.read(noon()).samples().len(), 0);
        home.write(&life(3));
        assert_eq!(home.samples(), life(3));
        let aside = home.set_aside();
        assert_eq!(aside.len(), 1);
        assert!(fs::metadata(&aside[0]).unwrap().len() <= LENGTH);
    }
    let home = Home::new();
    home.write(&life(1));
    fs::remove_file(home.path()).unwrap();
    fs::create_dir(home.path()).unwrap();
    home.write(&life(3));
    assert_eq!((home.samples(), home.set_aside().len()), (life(3), 1));
}

#[test]
fn a_file_of_another_version_is_not_read_and_kept_aside() {
    let home = Home::new();
    home.write(&life(5));
    let file = OpenOptions::new().write(true).open(home.path()).unwrap();
    file.write_all_at(&format::header_of(2), 0).unwrap();
    assert_eq!(home.read(noon()).samples().len(), 0);
    home.write(&life(1));
    assert_eq!((home.samples(), home.set_aside().len()), (life(1), 1));
}

#[test]
fn a_loss_is_told_and_the_history_goes_on_when_it_can() {
    let home = Home::new();
    let histories = home.histories();
    fs::write(home.layout.history(), "in the way").unwrap();
    histories.append(&home.service, &life(1)[0], EVERY).unwrap_err();
    assert_eq!(read(&home.layout, &home.service, EVERY, noon()).unwrap_err().kind(), std::io::ErrorKind::NotADirectory);
    fs::remove_file(home.layout.history()).unwrap();
    histories.append(&home.service, &life(1)[0], EVERY).unwrap();
    assert_eq!(home.samples(), life(1));
}

/// A damage: from where, and what stands there afterwards; nothing for an end that was cut off there.
fn damage() -> impl Strategy<Value = (u64, Option<Vec<u8>>)> {
    let bytes = prop::collection::vec(any::<u8>(), 1..2_000);
    let place = prop_oneof![0..8_192_u64, ROWS_AT - 1_000..ROWS_AT + 20_000, 0..LENGTH];
    (place, prop::option::weighted(0.8, bytes))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damage_costs_the_samples_that_it_hits_and_no_other(
        n in 1..700_u32,
        damages in prop::collection::vec(damage(), 1..4),
        flips in prop::collection::vec((0..LENGTH, 0..8_u8), 0..8),
    ) {
        let home = Home::new();
        let life = life(n);
        home.write(&life);
        let file = OpenOptions::new().read(true).write(true).open(home.path()).unwrap();
        let mut hit: Vec<std::ops::Range<u64>> = Vec::new();
        for (from, bytes) in damages {
            match bytes {
                Some(bytes) => {
                    let to = (from + bytes.len() as u64).min(LENGTH);
                    file.write_all_at(&bytes[..(to.max(from) - from) as usize], from).unwrap();
                    hit.push(from..to);
                }
                None => {
                    file.set_len(from).unwrap();
                    hit.push(from..LENGTH);
                }
            }
        }
        for (at, bit) in flips {
            let mut byte = [0];
            if file.read_at(&mut byte, at).unwrap() == 1 {
                file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
                hit.push(at..at + 1);
            }
        }
        let is_hit = |from: u64, length: u64| hit.iter().any(|hit| hit.start < from + length && from < hit.end);
        let whole: Vec<Sample> = (0..)
            .zip(&life)
            .filter(|(i, _)| !is_hit(sample_at(*i), SAMPLE as u64))
            .map(|(_, sample)| *sample)
            .collect();
        let now = life.last().unwrap().at;
        // Where nothing is left at all, not even a header, it is no history.
        let is_readable = !whole.is_empty() || !is_hit(0, 32);
        if is_readable {
            prop_assert_eq!(&home.samples(), &whole);
        }
        let history = home.read(now);
        prop_assert!(history.samples().len() <= HISTORY_LENGTH);
        prop_assert!(history.samples().all(|sample| life.contains(sample)));
        for hour in history.hours() {
            prop_assert!(hour.observed() <= HOUR);
            prop_assert!(hour.start() <= now);
        }
        // It goes on, and what was whole stays.
        let next = Sample { at: now + EVERY, ..life[0] };
        home.histories().append(&home.service, &next, EVERY).unwrap();
        let after = home.samples();
        prop_assert_eq!(after.last(), Some(&next));
        if is_readable {
            // A later one may take the place of the newest where all signs of that were destroyed, never that of an older one.
            prop_assert!(whole.iter().filter(|sample| !after.contains(sample)).count() <= 1);
        }
    }

    #[test]
    fn arbitrary_bytes_are_never_a_panic_and_never_a_sample(bytes in prop::collection::vec(any::<u8>(), 0..9_000)) {
        let home = Home::new();
        home.write(&life(1));
        fs::write(home.path(), &bytes).unwrap();
        prop_assert_eq!(home.read(noon()).samples().len(), 0);
        prop_assert_eq!(home.read(noon()).hours().count(), 0);
        home.write(&life(2));
        prop_assert_eq!(home.samples(), life(2));
    }

    #[test]
    fn entries_with_a_good_checksum_and_a_wild_content_are_harmless(
        words in prop::collection::vec(any::<u32>(), ROW / 4),
        sequence in any::<u32>(),
        now in any::<u32>(),
    ) {
        let home = Home::new();
        home.write(&life(40));
        let file = OpenOptions::new().write(true).open(home.path()).unwrap();
        let mut row: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let slot = words[0] % N_ROWS;
        format::seal_row(&mut row, slot);
        file.write_all_at(&row, ROWS_AT + u64::from(slot) * ROW as u64).unwrap();
        let mut sample = row[4..4 + SAMPLE].to_vec();
        format::seal_sample(&mut sample, sequence % N_SAMPLES);
        file.write_all_at(&sample, sample_at(sequence)).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(u64::from(now));
        let history = home.read(now);
        for window in [Window::DAY, Window::WEEK] {
            let numbers = history.statistics(window, now);
            prop_assert!(numbers.observed() <= HOUR * window.n_hours());
            prop_assert!(numbers.uptime().is_none_or(|share| (0.0..=1.0).contains(&share)));
        }
        let _ = (history.cells(), home.samples());
        home.histories().append(&home.service, &life(1)[0], EVERY).unwrap();
    }
}
