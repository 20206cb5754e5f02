//! Real files, real events. Each test waits for what it expects, with a deadline.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Watch, start, watch};
use crate::config::{Environment, Found, Naming};
use crate::model::{Registry, RegistrySource};

/// Far more than any of it takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// A file of one service, whose description tells versions apart.
fn text(version: &str) -> String {
    format!(
        "[services.a]\ntype='platform'\ncategory='api'\ndescription='{version}'\ndeployment={{mode='kubernetes'}}\n"
    )
}

struct World {
    home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { home: tempfile::tempdir().unwrap() };
        std::fs::write(world.file(), text("first")).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("services.toml")
    }

    fn watch(&self) -> Watch {
        let found = Found { source: RegistrySource::File(self.file()), naming: Naming::Named };
        let environment = Environment::default();
        let (_, seen) = found.load_with_fingerprint(&environment);
        watch(found, seen, environment)
    }
}

async fn next(watch: &mut Watch) -> Registry {
    tokio::time::timeout(DEADLINE, watch.next()).await.expect("no load came").expect("the watch ended")
}

/// Loads until one has this version; the others are bad or on the way.
async fn until(watch: &mut Watch, version: &str) -> Registry {
    loop {
        let registry = next(watch).await;
        if registry.services.first().is_some_and(|spec| spec.description == version) {
            return registry;
        }
    }
}

/// Lets the watch begin: it reads once more when it listens, so an edit after that is an event.
async fn listening(world: &World, watch: &mut Watch) {
    std::fs::write(world.path("aside"), text("listening")).unwrap();
    std::fs::rename(world.path("aside"), world.file()).unwrap();
    until(watch, "listening").await;
}

async fn assert_silent(watch: &mut Watch) {
    let came = tokio::time::timeout(Duration::from_millis(400), watch.next()).await;
    assert!(came.is_err(), "nothing was to come: {:?}", came.map(|load| load.map(|it| it.diagnostics)));
}

#[tokio::test]
async fn every_way_of_saving_a_file_is_one_load() {
    type Save = fn(&World, &str);
    let ways: [(&str, Save); 5] = [
        ("written in place", |world, text| std::fs::write(world.file(), text).unwrap()),
        ("renamed over", |world, text| {
            std::fs::write(world.path(".services.toml.swp"), text).unwrap();
            std::fs::rename(world.path(".services.toml.swp"), world.file()).unwrap();
        }),
        ("deleted and made again", |world, text| {
            std::fs::remove_file(world.file()).unwrap();
            std::fs::write(world.file(), text).unwrap();
        }),
        ("kept as a backup and written anew", |world, text| {
            std::fs::rename(world.file(), world.path("services.toml~")).unwrap();
            std::fs::write(world.file(), text).unwrap();
        }),
        ("linked", |world, text| {
            std::fs::write(world.path("elsewhere"), text).unwrap();
            std::fs::remove_file(world.file()).unwrap();
            std::fs::hard_link(world.path("elsewhere"), world.file()).unwrap();
            std::fs::remove_file(world.path("elsewhere")).unwrap();
        }),
    ];
    let world = World::new();
    let mut watch = world.watch();
    listening(&world, &mut watch).await;
    for (way, save) in ways {
        let began = Instant::now();
        save(&world, &text(way));
        let registry = next(&mut watch).await;
        assert_eq!(registry.services[0].description, way, "the first load is the whole file");
        assert!(began.elapsed() < Duration::from_secs(5), "{way}: {:?}", began.elapsed());
        assert_silent(&mut watch).await;
    }
}

#[tokio::test]
async fn what_changes_no_content_is_no_load() {
    let world = World::new();
    let mut watch = world.watch();
    listening(&world, &mut watch).await;
    std::fs::write(world.file(), text("listening")).unwrap();
    std::fs::set_permissions(world.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(world.path("another-file"), "x").unwrap();
    std::fs::read(world.file()).unwrap();
    assert_silent(&mut watch).await;
}

#[tokio::test]
async fn a_file_that_is_written_slowly_is_read_when_it_is_closed() {
    use std::io::Write as _;
    let world = World::new();
    let mut watch = world.watch();
    listening(&world, &mut watch).await;
    let whole = text("slow");
    let (one, two) = whole.split_at(40);
    let mut file = std::fs::File::create(world.file()).unwrap();
    file.write_all(one.as_bytes()).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    file.write_all(two.as_bytes()).unwrap();
    drop(file);
    let registry = next(&mut watch).await;
    assert_eq!(registry.diagnostics, [], "half of it was never taken for the file");
    assert_eq!(registry.services[0].description, "slow");
}

#[tokio::test]
async fn whatever_takes_the_files_place_is_told_and_the_file_is_taken_up_again() {
    type Break = fn(&Path);
    let breaks: [(&str, Break); 4] = [
        ("no such file", |path| std::fs::remove_file(path).unwrap()),
        ("directory", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
        ("FIFO", |path| {
            std::fs::remove_file(path).unwrap();
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        }),
        ("no such file", |path| {
            std::fs::remove_file(path).unwrap();
            symlink("nowhere", path).unwrap();
        }),
    ];
    let world = World::new();
    let mut watch = world.watch();
    listening(&world, &mut watch).await;
    for (reason, spoil) in breaks {
        spoil(&world.file());
        let bad = next(&mut watch).await;
        assert!(!bad.is_usable() && bad.diagnostics[0].message.contains(reason), "{reason}: {:?}", bad.diagnostics);
        let path = world.file();
        if path.is_dir() { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path).or(Ok(())) }.unwrap();
        std::fs::write(&path, text(reason)).unwrap();
        until(&mut watch, reason).await;
        std::fs::write(&path, text("listening")).unwrap();
        until(&mut watch, "listening").await;
    }
}

#[tokio::test]
async fn a_swapped_link_is_seen_wherever_on_the_way_it_is() {
    let world = World::new();
    for version in ["1", "2"] {
        std::fs::create_dir_all(world.path(&format!("..{version}/deep"))).unwrap();
        std::fs::write(world.path(&format!("..{version}/deep/services.toml")), text(version)).unwrap();
    }
    std::fs::remove_file(world.file()).unwrap();
    symlink("..1", world.path("..data")).unwrap();
    symlink("..data/deep/services.toml", world.file()).unwrap();
    let mut watch = world.watch();
    // As a mounted ConfigMap does it.
    symlink("..2", world.path("..data_tmp")).unwrap();
    std::fs::rename(world.path("..data_tmp"), world.path("..data")).unwrap();
    until(&mut watch, "2").await;
    // The new target's directory is watched now.
    std::fs::write(world.path("..2/deep/services.toml"), text("edited in the new place")).unwrap();
    until(&mut watch, "edited in the new place").await;
    std::fs::write(world.path("plain.toml"), text("another target")).unwrap();
    std::fs::remove_file(world.file()).unwrap();
    symlink(world.path("plain.toml"), world.file()).unwrap();
    until(&mut watch, "another target").await;
}

#[tokio::test]
async fn a_directory_that_is_deleted_or_moved_away_and_comes_back_is_watched_again() {
    let world = World::new();
    let directory = world.path("config");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("services.toml"), text("first")).unwrap();
    let found = Found { source: RegistrySource::File(directory.join("services.toml")), naming: Naming::Named };
    let (_, seen) = found.load_with_fingerprint(&Environment::default());
    let mut watch = watch(found, seen, Environment::default());
    for round in ["one", "two"] {
        std::fs::remove_dir_all(&directory).unwrap();
        while next(&mut watch).await.is_usable() {}
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("services.toml"), text(round)).unwrap();
        until(&mut watch, round).await;
    }
    std::fs::rename(&directory, world.path("away")).unwrap();
    while next(&mut watch).await.is_usable() {}
    std::fs::rename(world.path("away"), &directory).unwrap();
    until(&mut watch, "two").await;
    std::fs::write(directory.join("services.toml"), text("after it came back")).unwrap();
    until(&mut watch, "after it came back").await;
}

#[tokio::test]
async fn a_first_file_is_found_where_the_search_would_find_it() {
    let home = tempfile::tempdir().unwrap();
    let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
    let found = Found::find(None, &environment);
    let (_, seen) = found.load_with_fingerprint(&environment);
    let mut watch = watch(found, seen, environment);
    let directory = home.path().join(".provisioning/config");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(directory.join("services.toml"), text("appeared")).unwrap();
    let registry = until(&mut watch, "appeared").await;
    assert_eq!(registry.source, RegistrySource::File(directory.join("services.toml")));
}

#[tokio::test]
async fn where_the_kernel_tells_nothing_the_file_is_looked_at() {
    let world = World::new();
    let found = Found { source: RegistrySource::File(world.file()), naming: Naming::Named };
    let (_, seen) = found.load_with_fingerprint(&Environment::default());
    let mut watch = start(found, seen, Environment::default(), false);
    std::fs::write(world.file(), text("polled")).unwrap();
    until(&mut watch, "polled").await;
}

#[tokio::test]
async fn a_dropped_watch_ends() {
    let world = World::new();
    let mut watch = world.watch();
    listening(&world, &mut watch).await;
    let mut loads = {
        let Watch { loads, _stop } = watch;
        loads
    };
    assert!(tokio::time::timeout(DEADLINE, loads.recv()).await.expect("it goes on").is_none());
}
