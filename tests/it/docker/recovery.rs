//! An unhealthy container: its engine restarts what dies, and whoever leads what is unhealthy.

use super::Fixture;
use crate::supervise::Supervise;
use crate::support::home::{Home, wait_until};

#[test]
fn an_unhealthy_container_is_restarted_by_whoever_leads_within_its_budget_and_stays_stopped_when_it_is_stopped() {
    let Some(it) = Fixture::new(&["--end-on-term", "--print", "ready"]) else { return };
    let home = Home::empty();
    let well = home.path("well");
    let falls_ill = || std::fs::remove_file(&well).expect("it was well");
    let gets_well = || std::fs::write(&well, "").expect("a file");
    home.write(&format!(
        "[services.web]\ntype = \"utility\"\ncategory = \"ui\"\n[services.web.deployment]\nmode = \"docker\"\n\
         [services.web.deployment.docker]\nimage = {name:?}\ncontainer_name = {name:?}\n\
         [services.web.health_check]\ntype = \"file\"\ninterval = 1\nretries = 1\n[services.web.health_check.file]\npath = {well:?}\n\
         [services.web.startup]\nrestart_on_failure = true\nmax_restarts = 1\nstart_timeout = 1\n",
        name = it.name
    ));
    gets_well();
    home.must("services start web");
    let run = || it.inspect("{{.State.StartedAt}} {{.State.Running}}");
    let health = || home.status("web")["health"].as_str().map(str::to_owned);
    let first = run();
    it.until_it_has_said("ready");
    let supervise = Supervise::leading(&home, "");

    falls_ill();
    wait_until("it is run again", || run() != first && run().ends_with("true"));
    gets_well();
    wait_until("it is well", || health().as_deref() == Some("healthy"));
    let events = home.must("events");
    let line = events.lines().find(|line| line.contains("restart")).unwrap_or_default();
    assert!(line.contains("recovery"), "{events}");

    // The one restart of its budget is used up.
    falls_ill();
    wait_until("it is given up", || home.must("events").contains("given up after 1 restart"));
    wait_until("it has failed", || home.must("services status web").contains("Status: failed"));
    assert!(run().ends_with("false"), "{}", run());

    gets_well();
    home.must("services start web");
    home.must("services stop web");
    let (status, said) = supervise.ended();
    assert!(status.success(), "nothing is wanted up, so nobody leads any more: {said}");
    assert!(run().ends_with("false"), "{}", run());
}
