//! Who plays in the demo: the services of the guide, and how each behaves.

use std::time::Duration;

use super::chatter::{Level, Line};

/// One of the seven.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) category: &'static str,
    pub(super) description: &'static str,
    pub(super) required_for: &'static [&'static str],
    pub(super) dependencies: &'static [&'static str],
    pub(super) start_order: u16,
    pub(super) auto_start: bool,
    pub(super) protocol: Protocol,
    pub(super) temper: Temper,
    /// What it says while it is well. `#` stands for a number.
    pub(super) lines: &'static [Line],
}

/// How its health is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `GET` of this path.
    Http(&'static str),
    /// A connection.
    Tcp,
}

/// Whether it is always well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    /// It is.
    Steady,
    /// It answers 503 for a while now and then.
    Moody,
}

/// How long a moody service is well between two bad spells.
const GOOD_SPELL: Duration = Duration::from_secs(30);

/// How long a bad spell lasts: longer than it takes the checks of the registry to notice.
const BAD_SPELL: Duration = Duration::from_secs(10);

impl Temper {
    /// Whether it is well that long after it became ready.
    pub(super) fn is_well(self, up: Duration) -> bool {
        match self {
            Self::Steady => true,
            Self::Moody => into_cycle(up) < GOOD_SPELL,
        }
    }

    /// How long from `up` until that changes; `None`: never.
    pub(super) fn changes_in(self, up: Duration) -> Option<Duration> {
        match self {
            Self::Steady => None,
            Self::Moody => {
                let into = into_cycle(up);
                let until = if into < GOOD_SPELL { GOOD_SPELL } else { GOOD_SPELL + BAD_SPELL };
                Some(until.saturating_sub(into))
            }
        }
    }
}

/// How far into its present pair of spells a moody service is.
fn into_cycle(up: Duration) -> Duration {
    let cycle = GOOD_SPELL + BAD_SPELL;
    let n_cycles = up.as_nanos() / cycle.as_nanos().max(1);
    up.saturating_sub(cycle.saturating_mul(u32::try_from(n_cycles).unwrap_or(u32::MAX)))
}

/// The part of that name.
pub(super) fn part(name: &str) -> Option<&'static Part> {
    CAST.iter().find(|part| part.name == name)
}

const fn info(text: &'static str) -> Line {
    Line { level: Level::Info, text }
}

const fn debug(text: &'static str) -> Line {
    Line { level: Level::Debug, text }
}

const fn warn(text: &'static str) -> Line {
    Line { level: Level::Warn, text }
}

const fn error(text: &'static str) -> Line {
    Line { level: Level::Error, text }
}

/// What a moody service says while it is not well.
pub(super) static COMPLAINTS: [Line; 4] = [
    warn("POST /platform/infra.git/git-upload-pack 503 # ms"),
    warn("GET /platform/infra/commits/branch/main 503 # ms"),
    warn("cron: repository check waits for the database"),
    error("database is locked (attempt # of 10)"),
];

/// In the guide's order.
pub(super) static CAST: [Part; 7] = [
    Part {
        name: "orchestrator",
        kind: "platform",
        category: "orchestration",
        description: "Rust-based workflow coordinator",
        required_for: &["server", "taskserv", "cluster", "workflow", "batch"],
        dependencies: &[],
        start_order: 10,
        auto_start: true,
        protocol: Protocol::Http("/health"),
        temper: Temper::Steady,
        lines: &[
            info("workflow #### queued: create server web-##"),
            info("workflow #### started, 3 tasks"),
            info("task ##### finished in ### ms"),
            info("task ##### finished in ## ms"),
            info("workflow #### completed, 3 of 3 tasks ok"),
            debug("checkpoint written, ## workflows, ### kB"),
            debug("queue depth #, ## workers idle"),
            warn("task ##### is slow: #### ms so far"),
            warn("retrying task ##### (attempt 2 of 3): host web-## does not answer"),
            error("task ##### failed: ssh to web-##: connection reset by peer"),
        ],
    },
    Part {
        name: "control-center",
        kind: "platform",
        category: "ui",
        description: "Web-based management interface",
        required_for: &[],
        dependencies: &["orchestrator"],
        start_order: 20,
        auto_start: true,
        protocol: Protocol::Http("/health"),
        temper: Temper::Steady,
        lines: &[
            info("GET /dashboard 200 ## ms"),
            info("GET /api/workflows?page=# 200 ## ms"),
            info("GET /api/services 200 # ms"),
            info("POST /api/workflows 201 ## ms"),
            info("session #### opened for user admin"),
            debug("pushed ## events to # browsers"),
            warn("GET /api/reports 200 #### ms: slow query"),
            warn("session #### expired"),
        ],
    },
    Part {
        name: "coredns",
        kind: "infrastructure",
        category: "dns",
        description: "Local DNS resolution",
        required_for: &[],
        dependencies: &[],
        start_order: 15,
        auto_start: true,
        protocol: Protocol::Tcp,
        temper: Temper::Steady,
        lines: &[
            info("127.0.0.1:4#### \"A IN web-##.prov.local. udp 44\" NOERROR 0.000#s"),
            info("127.0.0.1:4#### \"AAAA IN git.prov.local. udp 42\" NOERROR 0.000#s"),
            info("127.0.0.1:5#### \"A IN registry.prov.local. udp 47\" NOERROR 0.000#s"),
            info("127.0.0.1:5#### \"A IN db-#.prov.local. udp 43\" NXDOMAIN 0.000#s"),
            debug("plugin/cache: ### entries, ## % hits"),
            debug("plugin/reload: zone prov.local is unchanged"),
            warn("plugin/forward: upstream 192.0.2.## took ### ms"),
        ],
    },
    Part {
        name: "gitea",
        kind: "infrastructure",
        category: "git",
        description: "Self-hosted Git service",
        required_for: &[],
        dependencies: &[],
        start_order: 30,
        auto_start: true,
        protocol: Protocol::Http("/api/healthz"),
        temper: Temper::Moody,
        lines: &[
            info("POST /platform/infra.git/git-upload-pack 200 ### ms"),
            info("POST /platform/infra.git/git-receive-pack 200 ## ms"),
            info("GET /platform/infra/commits/branch/main 200 ## ms"),
            info("push by admin to platform/infra main: # commits"),
            debug("mirror of platform/charts is up to date"),
            info("webhook ### delivered in ## ms"),
            warn("webhook ### answered 502, will be tried again"),
        ],
    },
    Part {
        name: "oci-registry",
        kind: "infrastructure",
        category: "registry",
        description: "OCI-compliant container registry",
        required_for: &[],
        dependencies: &[],
        start_order: 35,
        auto_start: true,
        protocol: Protocol::Http("/v2/"),
        temper: Temper::Steady,
        lines: &[
            info("GET /v2/platform/orchestrator/manifests/1.##.# 200"),
            info("HEAD /v2/platform/web/blobs/sha256:9f#### 200"),
            info("PUT /v2/platform/web/manifests/1.##.# 201"),
            info("blob uploaded: ## MiB in ### ms"),
            debug("gc: ## blobs seen, # removed"),
            warn("upload #### was given up by the client"),
        ],
    },
    Part {
        name: "mcp-server",
        kind: "platform",
        category: "api",
        description: "Model Context Protocol server",
        required_for: &[],
        dependencies: &["orchestrator"],
        start_order: 40,
        auto_start: true,
        protocol: Protocol::Tcp,
        temper: Temper::Steady,
        lines: &[
            info("client #### connected, protocol 2025-06-18"),
            info("tools/call list_workflows finished in ## ms"),
            info("tools/call read_service_log finished in ## ms"),
            info("resources/read provisioning://services finished in # ms"),
            debug("client #### sent ping"),
            warn("tools/call create_server waits for an approval"),
            error("tools/call create_server refused: not approved"),
        ],
    },
    Part {
        name: "api-gateway",
        kind: "platform",
        category: "api",
        description: "Unified REST API gateway",
        required_for: &[],
        dependencies: &["orchestrator", "control-center", "mcp-server"],
        start_order: 45,
        auto_start: true,
        protocol: Protocol::Http("/health"),
        temper: Temper::Steady,
        lines: &[
            info("GET /v1/servers 200 -> orchestrator ## ms"),
            info("GET /v1/workflows/#### 200 -> orchestrator ## ms"),
            info("POST /v1/workflows 202 -> orchestrator ## ms"),
            info("GET /v1/tools 200 -> mcp-server ## ms"),
            info("GET /v1/ui/config 304 -> control-center # ms"),
            debug("connection pool: # of 32 in use"),
            warn("429 for key ci-####: ### requests a minute"),
            error("POST /v1/workflows 504 -> orchestrator 5000 ms"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BAD_SPELL, CAST, COMPLAINTS, GOOD_SPELL, Temper, part};

    #[test]
    fn everybody_needs_somebody_who_plays_too_and_starts_earlier() {
        for player in &CAST {
            for dependency in player.dependencies {
                assert!(
                    part(dependency).unwrap().start_order < player.start_order,
                    "{} needs {dependency}",
                    player.name
                );
            }
        }
    }

    #[test]
    fn what_is_said_can_be_drawn_by_any_terminal() {
        for line in CAST.iter().flat_map(|player| player.lines).chain(&COMPLAINTS) {
            assert!(line.text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{}", line.text);
        }
    }

    #[test]
    fn a_moody_service_changes_exactly_when_it_says() {
        let mut up = Duration::ZERO;
        let mut moods = Vec::new();
        for _ in 0..4 {
            moods.push((up, Temper::Moody.is_well(up)));
            up += Temper::Moody.changes_in(up).unwrap();
        }
        let cycle = GOOD_SPELL + BAD_SPELL;
        assert_eq!(moods, [(Duration::ZERO, true), (GOOD_SPELL, false), (cycle, true), (cycle + GOOD_SPELL, false)]);
    }

    #[test]
    fn a_steady_service_is_well_at_any_age() {
        for seconds in 0..200 {
            let up = Duration::from_secs(seconds);
            assert!(Temper::Steady.is_well(up) && Temper::Steady.changes_in(up).is_none());
        }
    }
}
