//! Pre-flight checks: facts about the host in, an ordered list of findings out. Gathers nothing itself.

mod facts;
mod finding;
mod judge;

pub use facts::{Conflict, ConflictKind, DependencyFact, Facts, FileFact, PortFact, PortHolder, Requirement};
pub use finding::{CheckKind, Finding, Verdict};
pub use judge::{judge, judge_circumstances, judge_requirements};
