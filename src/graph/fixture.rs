//! Registries for tests of graphs and plans.

use std::time::Duration;

use proptest::prelude::*;

use crate::model::{Check, Registry, RestartOnFailure, ServiceId, ServiceSpec};
use crate::testkit::builders;
pub(crate) use crate::testkit::builders::id;

/// A service that only its place in the graph, and whether it is checked, matter of.
pub(crate) fn service(name: &str, dependencies: &[&str]) -> ServiceSpec {
    let mut spec = builders::service(name, &dependencies.join(" "));
    spec.health_check.check = Check::Tcp { host: "localhost".to_owned(), port: 1 };
    spec.startup.start_timeout = Duration::from_secs(60);
    spec.startup.restart_on_failure = RestartOnFailure::UpTo { max_restarts: 5 };
    spec
}

/// Valid names.
pub(crate) fn ids(names: &[&str]) -> Vec<ServiceId> {
    names.iter().map(|name| id(name)).collect()
}

impl ServiceSpec {
    /// With that `start_order`.
    pub(crate) fn order(mut self, start_order: i64) -> Self {
        self.startup.start_order = start_order;
        self
    }

    /// With `auto_start`.
    pub(crate) fn auto(mut self) -> Self {
        self.startup.auto_start = true;
        self
    }
}

/// A registry of these services.
pub(crate) fn registry(specs: &[ServiceSpec]) -> Registry {
    builders::registry(specs.iter().cloned())
}

/// Up to a dozen services with dependencies in every direction: circles, self-dependencies and unregistered names are rare but there.
pub(crate) fn arbitrary_services() -> impl Strategy<Value = Vec<ServiceSpec>> {
    let edge = prop_oneof![
        30 => (0.0..1.0_f64).prop_map(Needs::Earlier),
        2 => (0.0..1.0_f64).prop_map(Needs::Any),
        1 => Just(Needs::Ghost),
    ];
    let one = (-2_i64..3, any::<bool>(), prop::collection::vec(edge, 0..4));
    prop::collection::vec(one, 0..12).prop_shuffle().prop_map(|drawn| {
        let n_services = drawn.len();
        let name = |n: usize| format!("s{n}");
        // Numbers say nothing about the place in the file, so that registry order and graph order differ.
        let mut specs: Vec<ServiceSpec> = drawn
            .into_iter()
            .enumerate()
            .map(|(n, (order, auto, needs))| {
                let names: Vec<String> = needs
                    .into_iter()
                    .filter_map(|need| match need {
                        Needs::Earlier(share) if n > 0 => Some(name((share * n as f64) as usize)),
                        Needs::Earlier(_) => None,
                        Needs::Any(share) => Some(name((share * n_services as f64) as usize)),
                        Needs::Ghost => Some("ghost".to_owned()),
                    })
                    .collect();
                let mut spec = service(&name(n), &names.iter().map(String::as_str).collect::<Vec<_>>()).order(order);
                spec.startup.auto_start = auto;
                spec
            })
            .collect();
        specs.sort_by_key(|spec| (spec.startup.auto_start, std::cmp::Reverse(spec.startup.start_order)));
        specs
    })
}

#[derive(Debug, Clone)]
enum Needs {
    Earlier(f64),
    Any(f64),
    Ghost,
}
