//! Pre-flight checks: facts about the host in, an ordered list of findings out. Gathers nothing itself.

mod facts;
mod finding;
mod host;
mod judge;

pub use facts::{Conflict, ConflictKind, DependencyFact, Facts, FileFact, PortFact, PortHolder, Requirement};
pub use finding::{CheckKind, Finding, Verdict};
pub use host::{
    Clock, FileLimit, HostFinding, Logout, LogoutPolicy, PipeLimit, Platform, Reach, Space, StatePlace, Survey,
    Surveyed, Topic, Trial, Where, judge_host,
};
pub use judge::{judge, judge_circumstances, judge_requirements};
