//! Every byte a service prints reaches its log, once and in order.

use provisioning::model::StopHow;
use provisioning::store::handover::Rotation;

use super::{Home, service};

fn expected(n_lines: u64) -> String {
    (0..n_lines).map(|number| format!("{number:010} the quick brown fox jumps over the lazy dog\n")).collect()
}

/// Compares without printing megabytes.
fn assert_same(log: &str, expected: &str) {
    if log != expected {
        let at = log.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| text.get(at.saturating_sub(60)..(at + 120).min(text.len())).unwrap_or("?").to_owned();
        panic!(
            "{} bytes instead of {}, first difference at {at}:\n{}\n--- instead of\n{}",
            log.len(),
            expected.len(),
            around(log),
            around(expected)
        );
    }
}

#[tokio::test]
async fn rotation_keeps_every_byte_and_cuts_at_line_ends() {
    let home = Home::with_rotation(Rotation { limit: 100_000, n_kept: 40 });
    let spec = service("a", &["--flood", "50000", "--ready-file", &home.path("done").to_string_lossy()]);
    home.start(&spec).await.expect("starts");
    home.until_file("done").await;
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert_same(&home.log(&spec), &expected(50_000));
    let path = home.layout.log_file(&spec.id);
    let mut n_rotated = 0;
    for number in 1..=40 {
        let Ok(bytes) = std::fs::read(format!("{}.{number}", path.display())) else { continue };
        n_rotated += 1;
        assert_eq!(bytes.last(), Some(&b'\n'), "number {number} does not end with a line");
        assert!((100_000..100_100).contains(&bytes.len()), "number {number} has {} bytes", bytes.len());
    }
    assert!(n_rotated >= 20, "{n_rotated}");
}

#[tokio::test]
async fn output_without_line_ends_is_cut_beyond_the_limit() {
    let home = Home::with_rotation(Rotation { limit: 100_000, n_kept: 40 });
    let line = format!("head -c 1000000 /dev/zero | tr '\\0' x; touch {}", home.path("done").display());
    let spec = service("a", &["--run-sh", &line]);
    home.start(&spec).await.expect("starts");
    home.until_file("done").await;
    home.stop(&spec, StopHow::Ask).await.expect("stops");
    let path = home.layout.log_file(&spec.id);
    let mut total = 0;
    for number in 0..=40 {
        let name = if number == 0 { path.display().to_string() } else { format!("{}.{number}", path.display()) };
        let Ok(bytes) = std::fs::read(name) else { continue };
        assert!(bytes.len() <= 100_000 + 64 * 1024, "number {number} has {} bytes", bytes.len());
        total += bytes.iter().filter(|&&byte| byte == b'x').count();
    }
    assert_eq!(total, 1_000_000);
}

#[tokio::test]
async fn a_log_that_is_removed_replaced_or_truncated_goes_on_at_its_path() {
    let home = Home::new();
    let pipe = home.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let spec = service("a", &["--run-sh", &format!("while :; do cat {}; done", pipe.display())]);
    home.start(&spec).await.expect("starts");
    let path = home.layout.log_file(&spec.id);
    let say = |text: &str| std::fs::write(&pipe, format!("{text}\n")).expect("write");
    let logged = |text: &'static str| {
        let path = path.clone();
        move || std::fs::read_to_string(&path).is_ok_and(|log| log.contains(text))
    };
    say("one");
    home.until_true("one", logged("one")).await;
    std::fs::remove_file(&path).expect("remove");
    say("two");
    home.until_true("two", logged("two")).await;
    std::fs::write(&path, "").expect("truncate");
    say("three");
    home.until_true("three", logged("three")).await;
    assert!(!std::fs::read(&path).expect("read").contains(&0), "a hole");
    let victim = home.path("victim");
    std::fs::write(&victim, "untouched").expect("write");
    std::fs::remove_file(&path).expect("remove");
    std::os::unix::fs::symlink(&victim, &path).expect("link");
    say("four");
    home.until_true("four", || path.symlink_metadata().is_ok_and(|found| found.is_file()) && logged("four")()).await;
    assert_eq!(home.text("victim"), "untouched");
    std::fs::remove_file(&path).expect("remove");
    std::fs::create_dir(&path).expect("mkdir");
    say("five");
    home.until_true("five", logged("five")).await;
    home.stop(&spec, StopHow::Kill).await.expect("stops");
}
