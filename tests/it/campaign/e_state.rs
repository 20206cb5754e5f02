//! E. State, files, clocks.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use super::d_logs::{fill, small_disk};
use super::{RESTARTS, startup};
use crate::own_path;
use crate::support::campaign::{in_own_world, skipped};
use crate::support::home::{Home, is_alive, kill, wait_until};
use crate::support::terminal::Terminal;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn one() -> Home {
    let home = Home::empty();
    home.write(&home.section("a", &[], &[], &startup("a", RESTARTS)));
    home
}

#[test]
fn a_disk_too_full_for_the_state_keeps_no_service_down_and_no_state_is_torn() {
    in_own_world(own_path!(), || {
        let home = one();
        small_disk(&home.path("services"), 512);
        home.must("services start a");
        let (shim, first) = (home.shim("a"), home.pid("a").expect("it runs"));
        wait_until("its first deed", || !home.living("a").is_empty());
        let before = std::fs::read(home.layout().state().join("a.json")).unwrap();
        // Its removal after the death would be the room for a state.
        std::fs::remove_file(home.layout().pids().join("a.pid")).unwrap();
        let filler = fill(&home.services_dir());
        kill("-9", first);
        wait_until("its restart, from memory", || home.living("a").first().is_some_and(|&pid| pid != first));
        let now = std::fs::read(home.layout().state().join("a.json")).unwrap();
        assert!(now == before, "the old state is not intact: {}", String::from_utf8_lossy(&now));
        assert!(is_alive(shim), "the shim did not survive");
        let living = home.living("a");
        assert_eq!(home.pid("a").as_ref(), living.first(), "not seen: {}", home.status("a"));
        let status = home.must("services status a");
        assert!(status.contains("could not be written"), "{status}");
        std::fs::remove_file(filler).unwrap();
        wait_until("the state is written", || {
            home.record("a").is_some_and(|record| record.service.is_some_and(|service| service.pid == living[0]))
        });
        assert_eq!(home.living("a"), living);
        // On a full disk nothing is begun, and the reason is said.
        home.must("services stop a");
        let _filler = fill(&home.services_dir());
        let refused = home.types("services start a");
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains("No space left"), "{}", said(&refused));
        assert!(home.living("a").is_empty());
        std::fs::remove_file(home.services_dir().join("filler")).unwrap();
        home.must("services start a");
        home.assert_all_can_be_stopped();
    });
}

#[test]
fn on_a_disk_that_is_read_only_everything_can_be_seen_and_a_start_says_what_is_in_the_way() {
    in_own_world(own_path!(), || {
        let home = one();
        small_disk(&home.path("services"), 512);
        home.must("services start a");
        let pid = home.pid("a");
        let remount = |how: &str| {
            let options = format!("remount,bind,{how}");
            assert!(Command::new("mount").args(["-o", &options]).arg(home.services_dir()).status().unwrap().success());
        };
        let bind =
            Command::new("mount").arg("--bind").args([home.services_dir(), home.services_dir()]).status().unwrap();
        assert!(bind.success());
        remount("ro");
        for line in ["platform status", "services list", "services status a", "services logs a", "doctor", "events"] {
            let output = home.types(line);
            assert!(output.status.code().is_some_and(|code| code < 2), "{line}: {}", said(&output));
            assert!(!said(&output).contains("panicked"), "{line}: {}", said(&output));
        }
        assert_eq!((home.pid("a"), pid.is_some()), (pid, true));
        let mut console = Terminal::console(&home);
        console.wait_for("Running 1/1");
        console.press("\u{3}");
        assert_eq!(console.ended(), 0);
        kill("-9", home.shim("a"));
        kill("-9", pid.unwrap());
        wait_until("it is gone", || home.living("a").is_empty());
        let refused = home.types("services start a");
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains("Read-only file system"), "{}", said(&refused));
        remount("rw");
        home.must("services start a");
        home.assert_all_can_be_stopped();
    });
}

#[test]
fn a_state_file_of_any_content_is_set_aside_and_the_service_goes_on() {
    let home = one();
    home.must("services start a");
    let pid = home.pid("a").expect("it runs");
    let path = home.layout().state().join("a.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let from_the_future = whole.replace("\"schema\":1", "\"schema\":999");
    assert_ne!(whole, from_the_future);
    let half = &whole[..whole.len() / 2];
    let deep = "[".repeat(500_000);
    let contents: [&[u8]; 6] =
        [b"", b"\0\xff\xfe{}[]", half.as_bytes(), from_the_future.as_bytes(), b"null", deep.as_bytes()];
    for (number, content) in contents.iter().enumerate() {
        std::fs::write(&path, content).unwrap();
        assert_eq!(home.pid("a"), Some(pid), "content {number} hides it");
        home.must("services start a");
        wait_until(&format!("it is written again after content {number}"), || {
            std::fs::read_to_string(&path).is_ok_and(|text| text.contains("\"running\""))
        });
        assert_eq!((home.pid("a"), home.living("a")), (Some(pid), vec![pid]), "content {number}");
    }
    // As large as can be, without costing the disk anything.
    std::fs::File::options().write(true).truncate(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    let begun = Instant::now();
    assert_eq!(home.pid("a"), Some(pid));
    assert!(begun.elapsed() < Duration::from_secs(2));
    home.must("services start a");
    wait_until("it is written again", || home.record("a").is_some());
    // And what is no file at all.
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(home.pid("a"), Some(pid));
    std::fs::remove_file(&path).unwrap();
    let entries = std::fs::read_dir(home.layout().state()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let n_aside = names.filter(|name| name.starts_with("a.json.corrupt-")).count();
    assert!((1..=7).contains(&n_aside), "{n_aside} were set aside");
    home.must("services start a");
    assert_eq!(home.living("a"), [pid]);
    home.assert_all_can_be_stopped();
}

#[test]
fn a_state_file_of_somebody_else_is_not_believed() {
    let home = one();
    home.must("services start a");
    home.must("services stop a");
    let path = home.layout().state().join("a.json");
    if std::os::unix::fs::chown(&path, Some(54_321), None).is_err() {
        return skipped("a_state_file_of_somebody_else_is_not_believed", "only the superuser can give files away");
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let status = home.status("a");
    assert_ne!(status["status"], "running", "{status}");
    let shown = home.must("services list");
    assert!(!shown.contains("panicked"));
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "what is not ours was written to");
    home.assert_all_can_be_stopped();
}

#[test]
fn a_clock_that_was_set_ten_years_on_or_back_changes_nothing() {
    let home = one();
    home.must("services start a");
    let pid = home.pid("a");
    let path = home.layout().state().join("a.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let started = home.record("a").expect("a record").started_at.expect("a start");
    let ten_years = Duration::from_secs(10 * 366 * 86_400);
    for (moment, millis) in [
        (SystemTime::now() + ten_years, started + 315_360_000_000),
        (SystemTime::now() - ten_years, started - 315_360_000_000),
        (SystemTime::UNIX_EPOCH, 0),
    ] {
        // What the wall clock wrote down is that far away from what it says now.
        std::fs::write(&path, text.replace(&started.to_string(), &millis.to_string())).unwrap();
        std::fs::File::open(&path).unwrap().set_modified(moment).unwrap();
        let status = home.status("a");
        assert_eq!(status["status"], "running", "{status}");
        assert!(status["uptime_seconds"].as_u64().is_some_and(|uptime| uptime < 60), "{status}");
        home.must("platform status");
        home.must("services start a");
        assert_eq!(home.pid("a"), pid);
    }
    home.assert_all_can_be_stopped();
    let path = home.layout().state().join("a.json");
    std::fs::File::open(&path).unwrap().set_modified(SystemTime::now() + ten_years).unwrap();
    assert_eq!(home.status("a")["status"], "stopped");
}

#[test]
fn without_a_word_from_the_kernel_a_console_still_sees_what_others_do() {
    in_own_world(own_path!(), || {
        if std::fs::write("/proc/sys/user/max_inotify_instances", "0").is_err() {
            return skipped("without_a_word_from_the_kernel", "the number of watches cannot be limited here");
        }
        let home = one();
        home.must("services start a");
        let mut console = Terminal::console(&home);
        console.wait_for("Running 1/1");
        for (line, shown) in [("services stop a", "Running 0/1"), ("services start a", "Running 1/1")] {
            home.must(line);
            let begun = Instant::now();
            console.wait_for(shown);
            assert!(begun.elapsed() < Duration::from_millis(2500), "{line}: {:?}", begun.elapsed());
        }
        console.press("\u{3}");
        assert_eq!(console.ended(), 0);
        console.assert_handed_back();
        home.assert_all_can_be_stopped();
    });
}

#[test]
fn a_state_directory_that_is_moved_away_and_back_is_seen_again() {
    let home = one();
    home.must("services start a");
    let console = Terminal::console(&home);
    console.wait_for("Running 1/1");
    let (state, away) = (home.layout().state(), home.services_dir().join("away"));
    std::fs::rename(&state, &away).unwrap();
    // Whoever leads may have begun a new one by now, with what it knew.
    if std::fs::rename(&away, &state).is_err() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, &away, CWD, &state, RenameFlags::EXCHANGE).unwrap();
    }
    home.must("services stop a");
    console.wait_for("Running 0/1");
    home.must("services start a");
    console.wait_for("Running 1/1");
    drop(console);
    home.assert_all_can_be_stopped();
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_are_for_their_owner_alone_whatever_the_umask() {
    for umask in ["000", "777"] {
        let home = Home::empty();
        let shown = home.path("shown");
        home.write(&home.section("a", &[], &["--print", "x", "--show", &shown.display().to_string()], ""));
        let plain = home.command("services start a");
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(plain.get_program())
            .args(plain.get_args());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        assert!(output.status.success(), "umask {umask}: {}", said(&output));
        wait_until("a log", || home.log("a").contains("x\n"));
        let layout = home.layout();
        for directory in [home.services_dir(), layout.state(), layout.logs(), layout.pids()] {
            assert_eq!(mode(&directory), 0o700, "umask {umask}: {}", directory.display());
            for entry in std::fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if !path.is_dir() {
                    assert_eq!(mode(&path), 0o600, "umask {umask}: {}", path.display());
                }
            }
        }
        wait_until("what the service inherited", || shown.exists());
        let shown = std::fs::read_to_string(&shown).unwrap();
        assert!(shown.contains("Umask:\t0022"), "a service gets the usual umask: {shown}");
        home.assert_all_can_be_stopped();
    }
}

#[test]
fn a_directory_that_is_not_ours_alone_is_refused_with_what_to_do() {
    let home = one();
    home.must("services start a");
    home.must("services stop a");
    for directory in [home.services_dir(), home.layout().state(), home.layout().logs(), home.layout().pids()] {
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
        let refused = home.types("services start a");
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains(&format!("chmod go-w {}", directory.display())), "{}", said(&refused));
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).unwrap();
        if std::os::unix::fs::chown(&directory, Some(54_321), None).is_ok() {
            let refused = home.types("services start a");
            assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
            assert!(said(&refused).contains("belongs to user 54321"), "{}", said(&refused));
            std::os::unix::fs::chown(&directory, Some(0), None).unwrap();
        }
    }
    home.must("services start a");
    home.assert_all_can_be_stopped();
}

#[test]
fn the_superuser_does_not_act_on_the_home_of_somebody_else() {
    let home = one();
    if !rustix::process::geteuid().is_root() || std::os::unix::fs::chown(home.path(""), Some(54_321), None).is_err() {
        return skipped("the_superuser_does_not_act_on_the_home_of_somebody_else", "this is not the superuser");
    }
    let refused = home.types("services start a");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("belongs to user 54321"), "{}", said(&refused));
    assert!(!home.services_dir().exists() && home.living("a").is_empty());
}

#[test]
fn links_put_in_the_way_lead_nowhere() {
    let home = one();
    home.must("services start a");
    home.must("services stop a");
    let victim = home.path("victim");
    let content = "not to be touched\n";
    std::fs::write(&victim, content).unwrap();
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = victim.metadata().unwrap();
    let is_untouched = |what: &str| {
        let now = victim.metadata().unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), content, "{what}");
        assert_eq!((now.mode(), now.ino(), now.uid()), (before.mode(), before.ino(), before.uid()), "{what}");
    };
    let layout = home.layout();
    let places = [
        layout.state().join("a.json"),
        layout.state().join(".a.json.new"),
        layout.pids().join("a.pid"),
        layout.pids().join(".a.pid.new"),
        layout.logs().join("a.log"),
        layout.state().join("a.lock"),
        layout.state().join("a.shim-lock"),
        layout.state().join("events.jsonl"),
    ];
    for place in &places {
        for is_hard in [false, true] {
            let _absent = std::fs::remove_file(place);
            if is_hard {
                std::fs::hard_link(&victim, place).unwrap()
            } else {
                symlink(&victim, place).unwrap()
            }
            let started = home.types("services start a");
            let what = format!("{} ({})", place.display(), if is_hard { "hard" } else { "symbolic" });
            if !started.status.success() {
                assert!(
                    said(&started).contains(&place.display().to_string()),
                    "{what} is not named: {}",
                    said(&started)
                );
            }
            home.types("services stop a --force");
            is_untouched(&what);
            let _gone = std::fs::remove_file(place);
            wait_until("nobody is left", || home.living("a").is_empty());
        }
    }
    // And directories.
    let elsewhere = home.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for directory in [layout.logs(), layout.state(), layout.pids()] {
        let aside = home.path("aside");
        std::fs::rename(&directory, &aside).unwrap();
        symlink(&elsewhere, &directory).unwrap();
        let refused = home.types("services start a");
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains(&directory.display().to_string()), "{}", said(&refused));
        assert_eq!(
            std::fs::read_dir(&elsewhere).unwrap().count(),
            0,
            "something was made behind {}",
            directory.display()
        );
        std::fs::remove_file(&directory).unwrap();
        std::fs::rename(&aside, &directory).unwrap();
    }
    home.must("services start a");
    home.assert_all_can_be_stopped();
}

#[test]
fn any_home_is_used_or_refused_with_a_clear_word() {
    use std::os::unix::ffi::OsStringExt as _;
    let here = Home::empty();
    here.write(&here.section("a", &[], &[], ""));
    let odd = |name: &[u8]| {
        let mut path = here.path("").into_os_string().into_vec();
        path.extend_from_slice(name);
        std::ffi::OsString::from_vec(path)
    };
    let types = |line: &str, home: Option<&std::ffi::OsStr>| {
        let mut command = here.command(line);
        command.env_remove("PROVISIONING_SERVICES_DIR").env_remove("XDG_CONFIG_HOME").current_dir(here.path(""));
        match home {
            Some(home) => command.env("HOME", home),
            None => command.env_remove("HOME"),
        };
        command.output().unwrap()
    };
    // Those that exist are used as they are.
    for name in [&b"with space"[..], b"line\nend", b"not utf-8 \xff\xfe", b"quote'\"$(touch x)"] {
        let home = odd(name);
        std::fs::create_dir(&home).unwrap();
        let started = types("services start a", Some(&home));
        assert!(started.status.success(), "{home:?}: {}", said(&started));
        assert!(Path::new(&home).join(".provisioning/services/state/a.json").exists(), "{home:?}");
        let stopped = types("services stop a", Some(&home));
        assert!(stopped.status.success(), "{home:?}: {}", said(&stopped));
        assert!(!here.path("x").exists(), "a name was executed");
    }
    // Without one that can be used, the user database knows, or it is said.
    for home in [None, Some("".as_ref()), Some("relative/path".as_ref())] {
        let shown = types("services list", home);
        assert!(shown.status.success(), "{home:?}: {}", said(&shown));
        assert!(!here.path("relative").exists());
    }
    // Made where it is missing, refused where that is impossible.
    let missing = odd(b"missing/deep");
    assert!(types("services list", Some(&missing)).status.success());
    assert!(!Path::new(&missing).exists(), "looking made something");
    let long = odd(&vec![b'x'; 4096]);
    let refused = types("services start a", Some(&long));
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("too long"), "{}", said(&refused));
    let shown = types("services list", Some(&long));
    assert!(shown.status.code().is_some_and(|code| code < 3) && !said(&shown).contains("panicked"), "{}", said(&shown));
}
