//! Starts: one instance, whoever asks and however often.

use std::sync::Arc;

use provisioning::engine::ports::Backend as _;
use provisioning::model::{
    Ending, FailureReason, Guardian, Instance, Intent, LaunchOrigin, Presence, StartHow, StopHow,
};

use super::{Bystander, Home, binary, is_alive, is_present, kill, pid_of, program, service};

#[tokio::test]
async fn a_service_runs_after_its_start_and_is_gone_after_its_stop() {
    let home = Home::new();
    let spec = service("a", &["--ready-file", &home.path("ready").to_string_lossy(), "--print", "hello"]);
    assert_eq!(home.observe(&spec).await.presence, Presence::Absent);

    let launch = home.start(&spec).await.expect("starts");
    assert_eq!(launch.origin, LaunchOrigin::Started);
    let pid = launch.instance.pid().expect("pid");
    let observed = home.observe(&spec).await;
    assert_eq!(observed.intent, Some(Intent::Up));
    let Presence::Present { instance, guardian: Guardian::Alive, since } = observed.presence else {
        panic!("{observed:?}")
    };
    assert_eq!(instance, launch.instance);
    assert!(since.elapsed() < super::DEADLINE);
    home.until_file("ready").await;
    assert_eq!(std::fs::read_to_string(home.layout.pid_file(&spec.id)).expect("pid file"), format!("{pid}\n"));
    home.until_true("its line in the log", || home.log(&spec) == "hello\n").await;

    home.stop(&spec, StopHow::Ask).await.expect("stops");
    assert!(!is_alive(pid));
    let observed = home.observe(&spec).await;
    assert_eq!((observed.presence, observed.intent), (Presence::Absent, Some(Intent::Down)));
    assert_eq!(observed.last_exit.expect("recorded").ending, Ending::Signalled(15));
    assert!(!home.layout.pid_file(&spec.id).exists());
    assert_eq!(home.strays(), Vec::<String>::new());
}

#[tokio::test]
async fn the_log_says_when_each_run_began() {
    let home = Home::new();
    let spec = service("a", &["--print", "hello"]);
    for _ in 0..2 {
        home.start(&spec).await.expect("starts");
        home.stop(&spec, StopHow::Ask).await.expect("stops");
    }
    let text = std::fs::read_to_string(home.layout.log_file(&spec.id)).expect("log");
    assert_eq!(text.lines().filter(|line| line.starts_with("--- a started, PID ")).count(), 2, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_starters_at_once_make_one_instance() {
    let home = Home::new();
    let ledger = home.path("ledger");
    for round in 0..10 {
        // Each name twice: once without any record of an earlier run, once with one.
        let spec = Arc::new(service(&format!("a{}", round / 2), &["--ledger", &ledger.to_string_lossy()]));
        let starters: Vec<_> = (0..20)
            .map(|_| {
                let (backend, spec) = (home.another_backend(), Arc::clone(&spec));
                tokio::spawn(async move { backend.start(&spec, StartHow::AsItIs).await })
            })
            .collect();
        let mut launches = Vec::new();
        for starter in starters {
            launches.push(starter.await.expect("no panic").expect("starts"));
        }
        let first = &launches[0].instance;
        assert!(launches.iter().all(|launch| launch.instance == *first), "{launches:?}");
        assert_eq!(launches.iter().filter(|launch| launch.origin == LaunchOrigin::Started).count(), 1);
        home.stop(&spec, StopHow::Ask).await.expect("stops");
        assert!(home.ledger().len() <= round + 1, "{:?}", home.ledger());
    }
}

#[tokio::test]
async fn a_program_that_exits_at_once_with_success_is_not_running_and_not_restarted() {
    let home = Home::new();
    let spec = super::restarting(service("a", &["--exit", "0"]), 3);
    home.start(&spec).await.expect("it could be started");
    let observed = home.until(&spec, "failed", |presence| matches!(presence, Presence::Failed { .. })).await;
    let Presence::Failed { reason: FailureReason::Died { ending: Ending::Exited(0), after: Some(_) } } =
        observed.presence
    else {
        panic!("{observed:?}")
    };
    assert_eq!(observed.restarts, 0);
}

#[tokio::test]
async fn what_cannot_be_executed_is_named_with_the_reason() {
    let home = Home::new();
    let check = async |spec: &provisioning::model::ServiceSpec, parts: &[&str]| {
        let error = home.start(spec).await.expect_err("cannot start").message;
        assert!(parts.iter().all(|part| error.contains(part)), "{error:?} lacks one of {parts:?}");
        let observed = home.observe(spec).await;
        assert_eq!(observed.presence, Presence::Failed { reason: FailureReason::CouldNotStart(error) });
        // It can be put down as stopped, and started again when it was repaired.
        home.stop(spec, StopHow::Ask).await.expect("nothing to stop");
        assert_eq!(home.observe(spec).await.presence, Presence::Absent);
    };
    check(&program("missing", "/nonexistent/program".into(), &[]), &["/nonexistent/program", "No such file"]).await;

    let plain = home.path("plain");
    std::fs::write(&plain, "text").expect("write");
    check(&program("plain", plain.clone(), &[]), &["plain", "Permission denied"]).await;

    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    check(&program("garbage", plain.clone(), &[]), &["plain", "Exec format error"]).await;
    std::fs::write(&plain, "#!/nonexistent/sh\n").expect("write");
    check(&program("script", plain, &[]), &["plain", "interpreter /nonexistent/sh"]).await;

    let mut elsewhere = service("elsewhere", &[]);
    binary(&mut elsewhere).working_dir = Some("/nonexistent/directory".into());
    check(&elsewhere, &["working directory /nonexistent/directory", "No such file"]).await;
}

#[tokio::test]
async fn pid_files_decide_nothing() {
    let home = Home::new();
    let spec = service("a", &[]);
    home.start(&spec).await.expect("starts");
    home.stop(&spec, StopHow::Ask).await.expect("stops");

    let bystander = Bystander::new();
    let recycled = bystander.pid().to_string();
    for content in ["999999", recycled.as_str(), "0", "1", "-1", "99999999999999", "text", ""] {
        std::fs::write(home.layout.pid_file(&spec.id), content).expect("write");
        assert_eq!(home.observe(&spec).await.presence, Presence::Absent, "{content:?}");
        home.stop(&spec, StopHow::Kill).await.expect("nothing to stop");
    }
    assert!(is_alive(bystander.pid()), "a bystander was signalled");

    // And one that was removed hides nothing.
    let launch = home.start(&spec).await.expect("starts");
    std::fs::remove_file(home.layout.pid_file(&spec.id)).expect("remove");
    assert_eq!(pid_of(&home.observe(&spec).await.presence), launch.instance.pid());
    assert_eq!(home.start(&spec).await.expect("found").origin, LaunchOrigin::FoundRunning);
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test]
async fn a_record_that_names_a_recycled_pid_is_not_believed() {
    let home = Home::new();
    let spec = service("a", &[]);
    home.start(&spec).await.expect("starts");
    let mut record = home.record(&spec).expect("record");
    home.stop(&spec, StopHow::Ask).await.expect("stops");

    let bystander = Bystander::new();
    let service = record.service.as_mut().expect("service");
    service.pid = bystander.pid();
    // Start times count in ticks of 10 ms, and the bystander may have begun in the very tick in which the service did.
    service.start_ticks -= 1;
    let shim = record.shim.as_mut().expect("shim");
    shim.pid = bystander.pid();
    shim.start_ticks -= 1;
    std::fs::write(home.layout.state_file(&spec.id), record.to_json()).expect("write");
    assert!(!is_present(&home.observe(&spec).await.presence));
    home.stop(&spec, StopHow::Kill).await.expect("nothing to stop");
    assert!(is_alive(bystander.pid()), "a bystander was signalled");

    // The same process in another boot is another process.
    let era = provisioning::host::process::Era::present().expect("era");
    let mut identity = era.identity(&provisioning::host::process::stat(bystander.pid()).expect("stat"));
    identity.boot_id = "another boot".into();
    record.service = Some(identity.clone());
    record.shim = Some(identity);
    std::fs::write(home.layout.state_file(&spec.id), record.to_json()).expect("write");
    let observed = home.observe(&spec).await;
    assert_eq!(observed.presence, Presence::Absent);
    assert!(observed.notes.iter().any(|note| note.contains("restarted")), "{observed:?}");
    home.stop(&spec, StopHow::Kill).await.expect("nothing to stop");
    assert!(is_alive(bystander.pid()), "a bystander was signalled");
}

#[tokio::test]
async fn a_lost_or_corrupt_state_file_hides_nothing_and_is_written_again() {
    let home = Home::new();
    let spec = service("a", &["--ledger", &home.path("ledger").to_string_lossy()]);
    let launch = home.start(&spec).await.expect("starts");
    for content in [None, Some(""), Some("{"), Some("\u{1b}[2J")] {
        let path = home.layout.state_file(&spec.id);
        match content {
            None => std::fs::remove_file(&path).expect("remove"),
            Some(text) => std::fs::write(&path, text).expect("write"),
        }
        let Presence::Present { instance, guardian, .. } = home.observe(&spec).await.presence else {
            panic!("{content:?} hides it")
        };
        // Its shim lives, but has to write it again.
        assert_eq!((&instance, guardian), (&launch.instance, Guardian::Gone), "{content:?}");
        let again = home.start(&spec).await.expect("found");
        assert_eq!((again.instance, again.origin), (instance, LaunchOrigin::FoundRunning), "{content:?}");
        home.until_true("written again", || {
            matches!(
                provisioning::store::state_reader::read(&path),
                Ok(provisioning::store::state_reader::Found::Record(..))
            )
        })
        .await;
    }
    // R179: what could not be read is kept for whoever wants to look at it.
    let kept = std::fs::read_dir(home.layout.state()).expect("state").filter_map(Result::ok);
    assert!(kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("a.json.corrupt-")).count() > 0);
    home.until_true("one line", || home.ledger().len() == 1).await;
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test]
async fn a_directory_that_others_may_write_to_is_refused_with_a_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let spec = service("a", &[]);
    std::fs::create_dir_all(home.layout.state()).expect("mkdir");
    std::fs::set_permissions(home.layout.state(), std::fs::Permissions::from_mode(0o777)).expect("chmod");
    std::fs::set_permissions(home.layout.root(), std::fs::Permissions::from_mode(0o700)).expect("chmod");
    let error = home.start(&spec).await.expect_err("refused");
    assert!(error.message.contains("may be written to by others"), "{error:?}");
    assert!(error.remedy.expect("remedy").contains("chmod go-w"));
}

#[tokio::test]
async fn files_and_directories_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let spec = service("a", &[]);
    home.start(&spec).await.expect("starts");
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    for directory in [home.layout.root().to_owned(), home.layout.state(), home.layout.logs(), home.layout.pids()] {
        assert_eq!(mode(directory.clone()), 0o700, "{}", directory.display());
        for entry in std::fs::read_dir(&directory).expect("entries").map(|entry| entry.expect("entry")) {
            if !entry.file_type().expect("type").is_dir() {
                assert_eq!(mode(entry.path()), 0o600, "{}", entry.path().display());
            }
        }
    }
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_although_the_directory_did_not_exist() {
    let home = Home::new();
    let mut changes = home.backend.changes();
    let spec = service("a", &[]);
    assert_eq!(home.observe(&spec).await.presence, Presence::Absent);
    // Another copy acts, so that nothing but the directory can tell us.
    let other = home.another_backend();
    let launch = other.start(&spec, StartHow::AsItIs).await.expect("starts");
    let told = tokio::time::timeout(super::DEADLINE, changes.recv()).await.expect("told of the start");
    assert_eq!(told.as_ref(), Some(&spec.id));
    home.until(&spec, "present", is_present).await;

    // The guardian's death is told at once, though it writes nothing.
    while changes.try_recv().is_ok() {}
    kill("-9", home.shim_pid(&spec));
    let told = tokio::time::timeout(super::DEADLINE, changes.recv()).await.expect("told of the shim's death");
    assert_eq!(told.as_ref(), Some(&spec.id));
    let observed = home
        .until(&spec, "an orphan", |presence| matches!(presence, Presence::Present { guardian: Guardian::Gone, .. }));
    let Presence::Present { instance, .. } = observed.await.presence else { unreachable!() };
    assert_eq!(Instance::pid(&instance), launch.instance.pid());
    home.stop(&spec, StopHow::Ask).await.expect("stops");
}
