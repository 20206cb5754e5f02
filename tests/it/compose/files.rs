//! Compose files and registries that are edited and moved while their services run.

use super::*;

#[tokio::test]
async fn an_edited_file_is_applied_by_the_next_start_and_one_that_is_the_same_changes_nothing() {
    let Some(it) = Fixture::new(GOOD) else { return };
    it.start().await.expect("starts");
    let first = it.running("app");
    it.write(&it.definition("app", GOOD, "    labels: [\"edited=yes\"]\n"));
    assert_eq!(it.start().await.expect("found").origin, LaunchOrigin::FoundRunning);
    assert_eq!(it.running("app"), first, "what runs is left as it is");
    it.until_all_have_said("ready");
    it.stop().await;
    it.start().await.expect("starts");
    let second = it.running("app");
    assert_ne!(first, second);
    assert_eq!(must(&["inspect", "--format", "{{.Config.Labels.edited}}", &second[0]]), "yes");
    it.until_all_have_said("ready");
    it.stop().await;
    it.start().await.expect("starts");
    assert_eq!(it.running("app"), second);

    it.until_all_have_said("ready");
    it.stop().await;
    it.backend.start(&it.spec, StartHow::Anew).await.expect("starts");
    assert_ne!(it.running("app"), second, "made anew when that is asked for");
}

#[tokio::test]
async fn the_project_of_a_moved_file_stays_the_same_so_that_its_containers_are_still_found() {
    let Some(mut it) = Fixture::new(GOOD) else { return };
    // Named by Compose's own rule, after the directory.
    let directory = it.home.path().join(format!("{}.Here", it.name));
    fs::create_dir(&directory).expect("directory");
    let file = directory.join("compose.yaml");
    fs::rename(it.file(), &file).expect("rename");
    it.compose_spec().compose_file = file;
    it.compose_spec().project_name = None;
    let project = format!("{}here", it.name);
    let running = it.start().await.expect("starts").instance;
    assert_eq!(it.containers(&project, "app", &[]).len(), 1);

    let elsewhere = it.home.path().join("elsewhere");
    fs::rename(&directory, &elsewhere).expect("rename");
    it.compose_spec().compose_file = elsewhere.join("compose.yaml");
    let observed = it.observe().await;
    assert!(matches!(&observed.presence, Presence::Present { instance, .. } if *instance == running), "{observed:?}");
    assert_eq!(start_with(&it.another_backend(), &it.spec).await.expect("found").origin, LaunchOrigin::FoundRunning);
    let requirements = it.another_backend().requirements(&it.spec).await;
    let kept = provisioning::preflight::Requirement::ComposeProject { kept: project.clone(), own: "elsewhere".into() };
    assert!(requirements.contains(&kept), "{requirements:?}");
    it.stop().await;
    it.start().await.expect("starts");
    assert_eq!(it.containers(&project, "app", &["--filter", "status=running"]).len(), 1);
    assert!(it.containers("elsewhere", "app", &[]).is_empty());
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
    remove_project(&project);
}

#[tokio::test]
async fn a_project_in_which_nothing_was_ever_made_is_not_kept() {
    let Some(mut it) = Fixture::new(GOOD) else { return };
    it.compose_spec().project_name = None;
    it.write("  app:\n    build: .\n    network_mode: none\n");
    it.start().await.expect_err("there is no image");
    let directory = it.home.path().join(&it.name);
    fs::create_dir(&directory).expect("directory");
    it.compose_spec().compose_file = directory.join("compose.yaml");
    it.write(&it.definition("app", GOOD, ""));
    it.start().await.expect("starts");
    assert_eq!(it.running("app").len(), 1, "in the project of the file as it is now");
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
}

#[tokio::test]
async fn what_runs_in_the_project_of_an_edited_registry_is_seen_and_stopped_before_the_new_one_is_used() {
    let Some(mut it) = Fixture::new(GOOD) else { return };
    it.start().await.expect("starts");
    it.until_all_have_said("ready");
    let other = format!("{}-other", it.name);
    it.compose_spec().project_name = Some(other.clone());
    let observed = it.observe().await;
    assert!(is_present(&observed), "{observed:?}");
    assert!(observed.notes.iter().any(|note| note.contains("a restart applies the registry")), "{observed:?}");
    assert_eq!(it.start().await.expect("found").origin, LaunchOrigin::FoundRunning);
    it.stop().await;
    assert!(it.running("app").is_empty(), "none is left behind");
    it.start().await.expect("starts");
    assert_eq!(it.containers(&other, "app", &["--filter", "status=running"]).len(), 1);
    assert!(it.running("app").is_empty());
    it.backend.stop(&it.spec, StopHow::Kill, DEADLINE).await.expect("stops");
    remove_project(&other);
}
