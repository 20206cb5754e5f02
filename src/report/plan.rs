//! A plan in words: what would happen, in which order, and what waits for what.

use std::fmt::Write as _;

use super::text::pad;
use crate::lifecycle::plan::{Plan, Role, StepAction};

/// One line per step in the plan's order, and a line per service whose dependents are left running. Empty for an empty plan.
pub fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    let widest = plan.steps.iter().map(|step| step.service.as_str().len()).max().unwrap_or(0);
    for (index, step) in plan.steps.iter().enumerate() {
        let action = match step.action {
            StepAction::Start => "start",
            StepAction::Stop => "stop",
            StepAction::Restart => "restart",
        };
        let role = match step.role {
            Role::Target => "",
            Role::Dependency => " (dependency)",
        };
        let after: Vec<&str> = step.after.iter().map(|id| id.as_str()).collect();
        let after = if after.is_empty() { String::new() } else { format!(" after {}", after.join(", ")) };
        let line = format!("{:>2}. {action:<7} {}{role}{after}", index + 1, pad(step.service.as_str(), widest));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for (service, dependents) in &plan.left_running {
        let names: Vec<&str> = dependents.iter().map(|id| id.as_str()).collect();
        let _ = writeln!(text, "    {service} is needed by {}, left running", names.join(", "));
    }
    text
}
