//! Stops and restarts where something runs elsewhere: it is left alone, and everything else goes on in order.

use super::server::{Reply, Server};
use super::{Remote, fails, home_with, said};
use crate::support::home::{Service, wait_until};

fn service<'a>(name: &'a str, needs: &'a [&'a str]) -> Service<'a> {
    Service { name, needs, arguments: Vec::new() }
}

#[test]
fn a_stop_or_restart_of_it_is_refused_and_names_the_endpoint() {
    let server = Server::plain(|_| Reply::Status(200));
    let home = home_with(&[service("web", &["auth"])], &[("auth", &Remote::at(server.url("/")))]);
    home.must("platform start");
    let place = server.url("/");
    for verb in ["stop", "restart"] {
        for line in
            [format!("services {verb} auth"), format!("platform {verb} auth"), format!("platform {verb} web auth")]
        {
            fails(&home, &line, &[&format!("Cannot {verb} auth:"), &place, &format!("{verb} it there")]);
        }
    }
    fails(&home, "services stop auth --force", &[&place]);
    let json = fails(&home, "services stop auth --json", &["\"runs_elsewhere\"", &place]);
    assert!(json.contains("\"success\": false"), "{json}");
    assert_eq!(home.living("web").len(), 1, "nothing was stopped beside it");
    let told = home.must("platform start --force auth");
    assert!(told.contains("auth is already running"), "a start that restarts only looks at it: {told}");
}

#[test]
fn everything_stops_and_restarts_around_it() {
    let server = Server::plain(|_| Reply::Status(200));
    // Something elsewhere may also need something here.
    let gate = Remote { needs: vec!["web".to_owned()], ..Remote::at(server.url("/gate")) };
    let home = home_with(
        &[service("web", &["auth"]), service("api", &["web"])],
        &[("auth", &Remote::at(server.url("/"))), ("gate", &gate)],
    );
    home.must("platform start");
    let first = (home.living("web"), home.living("api"));
    let told = home.must("platform restart");
    assert!(told.contains(&format!("auth is left alone: it runs at {}", server.url("/"))), "{told}");
    assert!(home.living("web") != first.0 && home.living("api") != first.1);
    let told = home.must("platform stop --dry-run");
    assert!(told.contains("auth is left alone"), "{told}");
    fails(&home, "services stop web", &["Dependent services running: api, gate"]);
    home.must("services stop api");
    let json = home.must("platform stop --json");
    assert!(json.contains("\"success\": true") && json.contains("\"runs_elsewhere\""), "{json}");
    assert_eq!((home.living("web"), home.living("api")), (Vec::new(), Vec::new()));
    assert!(home.must("platform stop").contains("auth is left alone"));
    let list = home.must("services list --running");
    assert!(list.contains("auth") && !list.contains("web"), "{list}");
}

#[test]
fn a_stop_of_everything_that_has_nothing_to_stop_names_what_runs_elsewhere() {
    let server = Server::plain(|_| Reply::Status(200));
    let endpoint = server.url("/");
    let home = home_with(&[service("web", &[])], &[("auth", &Remote::at(endpoint.clone()))]);
    for line in ["platform stop", "platform stop --dry-run"] {
        let told = home.must(line);
        assert_eq!(told.matches("auth").count(), 1, "{told}");
        assert!(told.contains(&format!("auth is left alone: it runs at {endpoint}")), "{told}");
    }
    // Whether it answers or not, it is not ours.
    drop(server);
    for line in ["platform stop", "platform stop --dry-run", "platform restart"] {
        let told = home.must(line);
        assert!(
            told.contains("no services are running\nLeft alone, since it runs elsewhere: auth\n"),
            "{line}: {told}"
        );
    }
}

#[test]
fn what_needs_something_that_cannot_be_reached_is_not_started() {
    let server = Server::plain(|_| Reply::Status(200));
    let (endpoint, address) = (server.url("/"), server.address);
    drop(server);
    let home = home_with(&[service("web", &["auth"])], &[("auth", &Remote::at(endpoint))]);
    fails(&home, "services start web", &["Dependency not available: auth", "connection refused"]);
    assert_eq!(home.living("web"), Vec::<u32>::new());
    let told = said(&home.types("services readiness --verbose"));
    assert!(told.contains("Endpoint cannot be reached"), "{told}");
    let _server = Server::plain_at(address, |_| Reply::Status(200));
    home.must("services start web");
    wait_until("web runs", || home.living("web").len() == 1);
}
