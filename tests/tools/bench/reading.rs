//! Commands that only look, with a hundred services running.

use super::platform::{Platform, Service};
use super::{Figure, median};

/// `services list`, and `--once` with its hundred probes.
pub(crate) fn list_and_once() -> Vec<Figure> {
    let services: Vec<Service> = (0..100).map(|index| Service::new(index, Vec::new(), 0)).collect();
    let platform = Platform::new(&services);
    platform.must(&["platform", "start"]);
    let list = median((0..9).map(|_| platform.must(&["services", "list"]).as_secs_f64() * 1e3).collect());
    let (_, board) = platform.run(&["--once"]);
    let board = String::from_utf8_lossy(&board.stdout).into_owned();
    assert_eq!(board.matches('✅').count(), 100, "not all were probed:\n{board}");
    let once = median((0..9).map(|_| platform.must(&["--once"]).as_secs_f64()).collect());
    vec![
        Figure::at_most("services list, 100 running", list, "ms", 20.0),
        Figure::at_most("--once, 100 probes", once, "s", 0.5),
    ]
}
