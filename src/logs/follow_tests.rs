use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::super::file::rotated;
use super::super::{Line, LineEnd, MAX_LINE};
use super::{Follower, StartAt};

const SOON: Duration = Duration::from_secs(10);

struct Service {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Service {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        Self { _dir: dir, path }
    }

    fn with(content: &str) -> Self {
        let service = Self::new();
        fs::write(&service.path, content).unwrap();
        service
    }

    fn prints(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rotates(&self) {
        for number in (1..9).rev().filter(|number| rotated(&self.path, *number).exists()) {
            fs::rename(rotated(&self.path, number), rotated(&self.path, number + 1)).unwrap();
        }
        fs::rename(&self.path, rotated(&self.path, 1)).unwrap();
        fs::write(&self.path, "").unwrap();
    }

    fn follow(&self, start: StartAt) -> Follower {
        Follower::open(&self.path, start).unwrap()
    }
}

fn text(line: &Line) -> String {
    String::from_utf8_lossy(&line.bytes).into_owned()
}

/// Waits until `expected` has come, and nothing else.
async fn expect(follower: &mut Follower, expected: &[&str]) {
    let mut lines: Vec<String> = Vec::new();
    while lines.len() < expected.len() {
        let batch = tokio::time::timeout(SOON, follower.next())
            .await
            .unwrap_or_else(|_| panic!("waiting for {expected:?}, have {lines:?}"))
            .unwrap();
        assert!(!batch.is_empty());
        lines.extend(batch.iter().map(text));
    }
    assert_eq!(lines, expected);
}

/// Waits long enough for the follower to be asleep, then wakes it by `act`.
async fn asleep_until(follower: &mut Follower, act: impl FnOnce()) {
    assert!(tokio::time::timeout(Duration::from_millis(50), follower.next()).await.is_err(), "it should wait");
    act();
}

#[tokio::test]
async fn new_lines_come_and_old_ones_do_not() {
    let service = Service::with("old\n");
    let mut follower = service.follow(StartAt::End);
    asleep_until(&mut follower, || service.prints("one\ntwo\n")).await;
    expect(&mut follower, &["one", "two"]).await;
    asleep_until(&mut follower, || service.prints("three\n")).await;
    expect(&mut follower, &["three"]).await;

    let mut from_start = service.follow(StartAt::Offset(0));
    expect(&mut from_start, &["old", "one", "two", "three"]).await;
}

#[tokio::test]
async fn a_line_comes_when_it_is_complete_or_asked_for() {
    let service = Service::with("");
    let mut follower = service.follow(StartAt::End);
    service.prints("half");
    asleep_until(&mut follower, || service.prints(" and half\nprompt> ")).await;
    expect(&mut follower, &["half and half"]).await;
    asleep_until(&mut follower, || {}).await;
    let prompt = follower.flush().unwrap();
    assert_eq!((text(&prompt).as_str(), prompt.end, prompt.offset), ("prompt> ", LineEnd::EndOfFile, 14));
    assert_eq!(follower.flush(), None);
    service.prints("yes\n");
    expect(&mut follower, &["yes"]).await;
}

#[tokio::test]
async fn what_splice_moves_into_the_file_wakes_the_follower() {
    let service = Service::with("");
    let mut follower = service.follow(StartAt::End);
    asleep_until(&mut follower, || {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"spliced\n").unwrap();
        // As the shim does: opened for writing, not for appending, which splice refuses.
        let file = OpenOptions::new().write(true).open(&service.path).unwrap();
        let n_moved =
            rustix::pipe::splice(&reader, None, &file, None, 4096, rustix::pipe::SpliceFlags::empty()).unwrap();
        assert_eq!(n_moved, 8);
    })
    .await;
    expect(&mut follower, &["spliced"]).await;
}

#[tokio::test]
async fn a_file_and_its_directories_may_come_later() {
    let service = Service::new();
    let path = service.path.parent().unwrap().join("a/b/x.log");
    let mut follower = Follower::open(&path, StartAt::End).unwrap();
    asleep_until(&mut follower, || fs::create_dir(path.parent().unwrap().parent().unwrap()).unwrap()).await;
    asleep_until(&mut follower, || fs::create_dir(path.parent().unwrap()).unwrap()).await;
    asleep_until(&mut follower, || fs::write(&path, "first\n").unwrap()).await;
    expect(&mut follower, &["first"]).await;
}

#[tokio::test]
async fn a_truncated_file_begins_anew() {
    let service = Service::with("a long old line\n");
    let mut follower = service.follow(StartAt::End);
    asleep_until(&mut follower, || fs::write(&service.path, "new\n").unwrap()).await;
    expect(&mut follower, &["new"]).await;
}

#[tokio::test]
async fn rotation_loses_and_repeats_nothing() {
    let service = Service::with("old\n");
    let mut follower = service.follow(StartAt::End);
    asleep_until(&mut follower, || {
        service.prints("last of the first\n");
        service.rotates();
        service.prints("first of the second\n");
    })
    .await;
    expect(&mut follower, &["last of the first", "first of the second"]).await;
    asleep_until(&mut follower, || service.prints("more\n")).await;
    expect(&mut follower, &["more"]).await;
}

#[tokio::test]
async fn rotations_that_were_slept_through_are_caught_up_with() {
    let service = Service::with("");
    let mut follower = service.follow(StartAt::End);
    for number in 0..4 {
        service.prints(&format!("in file {number}\n"));
        service.rotates();
    }
    service.prints("newest\n");
    expect(&mut follower, &["in file 0", "in file 1", "in file 2", "in file 3", "newest"]).await;
}

#[tokio::test]
async fn a_removed_file_is_waited_for() {
    let service = Service::with("old\nunfinished");
    let mut follower = service.follow(StartAt::Offset(4));
    asleep_until(&mut follower, || fs::remove_file(&service.path).unwrap()).await;
    asleep_until(&mut follower, || service.prints("again\n")).await;
    expect(&mut follower, &["unfinished", "again"]).await;
}

#[tokio::test]
async fn a_log_that_became_something_else_is_reported_without_spinning_and_waited_out() {
    let service = Service::with("");
    let mut follower = service.follow(StartAt::End);
    asleep_until(&mut follower, || {
        fs::remove_file(&service.path).unwrap();
        fs::create_dir(&service.path).unwrap();
    })
    .await;
    // At most once for each change: two of them, and the one that is looked at before any.
    let mut n_errors = 0;
    while let Ok(next) = tokio::time::timeout(Duration::from_millis(200), follower.next()).await {
        assert!(next.is_err());
        n_errors += 1;
        assert!(n_errors <= 3, "it spins");
    }
    assert!(n_errors >= 1);
    asleep_until(&mut follower, || {
        fs::remove_dir(&service.path).unwrap();
        fs::write(&service.path, "a log again\n").unwrap();
    })
    .await;
    expect(&mut follower, &["a log again"]).await;
}

#[tokio::test]
async fn a_removed_directory_is_waited_for() {
    let service = Service::new();
    let dir = service.path.parent().unwrap().join("logs");
    let path = dir.join("x.log");
    fs::create_dir(&dir).unwrap();
    fs::write(&path, "").unwrap();
    let mut follower = Follower::open(&path, StartAt::End).unwrap();
    asleep_until(&mut follower, || fs::remove_dir_all(&dir).unwrap()).await;
    asleep_until(&mut follower, || fs::create_dir(&dir).unwrap()).await;
    asleep_until(&mut follower, || fs::write(&path, "back\n").unwrap()).await;
    expect(&mut follower, &["back"]).await;
}

#[tokio::test]
async fn the_tail_and_what_follows_fit_together() {
    let service = Service::with("two\nthree\nunfin");
    fs::write(rotated(&service.path, 1), "zero\none\n").unwrap();
    let (lines, mut follower) = Follower::with_tail(&service.path, 3).unwrap();
    assert_eq!(lines.iter().map(text).collect::<Vec<_>>(), ["one", "two", "three"]);
    service.prints("ished\nfour\n");
    expect(&mut follower, &["unfinished", "four"]).await;

    let missing = Service::new();
    let (lines, mut follower) = Follower::with_tail(&missing.path, 3).unwrap();
    assert!(lines.is_empty());
    asleep_until(&mut follower, || missing.prints("first\n")).await;
    expect(&mut follower, &["first"]).await;
}

#[tokio::test]
async fn a_line_without_end_comes_in_pieces() {
    let service = Service::with("");
    let mut follower = service.follow(StartAt::End);
    service.prints(&"x".repeat(5 * MAX_LINE + 10));
    service.prints("\nnext\n");
    let mut n_bytes = 0;
    loop {
        let batch = tokio::time::timeout(SOON, follower.next()).await.unwrap().unwrap();
        assert!(batch.iter().all(|line| line.bytes.len() <= MAX_LINE));
        if batch.iter().any(|line| line.bytes == b"next") {
            n_bytes += batch.iter().filter(|line| line.bytes != b"next").map(|line| line.bytes.len()).sum::<usize>();
            break;
        }
        n_bytes += batch.iter().map(|line| line.bytes.len()).sum::<usize>();
    }
    assert_eq!(n_bytes, 5 * MAX_LINE + 10);
}

/// What a reader sees that looks while files are shifted, or after whoever shifted them was killed.
#[tokio::test]
async fn a_shift_that_is_under_way_hides_no_file() {
    let service = Service::with("one\n");
    let mut follower = service.follow(StartAt::Offset(0));
    expect(&mut follower, &["one"]).await;
    let place = |number| rotated(&service.path, number);
    fs::rename(&service.path, place(5)).unwrap();
    fs::write(place(3), "two\n").unwrap();
    fs::write(place(2), "three\n").unwrap();
    fs::write(&service.path, "four\n").unwrap();
    expect(&mut follower, &["two", "three", "four"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_with_rotations_arrives_whole_and_in_order() {
    let service = Service::with("");
    let mut follower = service.follow(StartAt::End);
    let n_lines = 20_000;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = OpenOptions::new().append(true).open(&service.path).unwrap();
            for number in 0..n_lines {
                file.write_all(format!("line {number}\n").as_bytes()).unwrap();
                // The limit of kept files is 9 in this test: rotate less often than that.
                if number % 4_000 == 3_999 {
                    service.rotates();
                    file = OpenOptions::new().append(true).open(&service.path).unwrap();
                }
            }
        });
        let runtime = tokio::runtime::Handle::current();
        let mut next = 0;
        while next < n_lines {
            let batch = tokio::task::block_in_place(|| runtime.block_on(tokio::time::timeout(SOON, follower.next())));
            for line in batch.unwrap_or_else(|_| panic!("stuck at line {next}")).unwrap() {
                assert_eq!(text(&line), format!("line {next}"));
                next += 1;
            }
        }
        writer.join().unwrap();
    });
}
