//! `flockd doctor`: checks everything that can be checked, each with a verdict and a remedy. It changes
//! nothing, and a daemon may be running.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use super::progress::Working;
use super::{check, output};
use crate::clock::{Clock, SystemClock};
use crate::config::diagnostics::{Diagnostic, Severity};
use crate::daemon::doctor::{self, Finding, Step, Verdict};
use crate::flock::hint;

/// What to skip, and how to print the rest.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Contact no other machine
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    json: super::Json,
}

#[derive(Serialize)]
struct DoctorReport {
    /// Whether nothing was found that keeps the flock from working.
    healthy: bool,
    findings: Vec<Finding>,
}

pub(super) async fn doctor(config: &Path, scope: &DoctorArgs) -> Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (flock, complaints, zones) = check::complaints(config).await;
    let mut findings = summarised(&complaints);
    findings.extend(zones.map(|rules| Finding::ok("zones", format!("the rules in effect are {rules}"))));
    match flock {
        Some(flock) => {
            let working = Working::at(STRUCTURE);
            let mut tell = |step| working.say(words(step));
            findings.extend(doctor::examine(&flock, config, scope.offline, &clock, &mut tell).await);
            drop(working);
        }
        None => findings.push(Finding::problem(
            "flock",
            "the rest can't be checked until flock.toml says where the ledger is",
        )),
    }
    let healthy = !findings.iter().any(|finding| finding.verdict == Verdict::Problem);
    if scope.json.json {
        output::print_json(&DoctorReport { healthy, findings })?;
    } else {
        print(&findings)?;
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The results of `flockd check`, in a line or two.
fn summarised(complaints: &[Diagnostic]) -> Vec<Finding> {
    let subject = "configuration";
    let of = |severity| complaints.iter().filter(move |complaint| complaint.severity == severity);
    let remedy = "`flockd check` lists all";
    let mut findings = Vec::new();
    if let Some(first) = of(Severity::Error).next() {
        let number = of(Severity::Error).count();
        findings.push(Finding::problem(
            subject,
            format!("{}: {remedy}; the first: {first}", counted(number, "error")),
        ));
    }
    if let Some(first) = of(Severity::Warning).next() {
        let number = of(Severity::Warning).count();
        findings.push(Finding::warning(
            subject,
            format!("{}: {remedy}; the first: {first}", counted(number, "warning")),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(subject, "flock.toml, secrets and poems are in order"));
    }
    findings
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn print(findings: &[Finding]) -> Result<()> {
    let mut table = output::table(&["", "what", "finding"]);
    if table.width().is_none() {
        table.set_width(NARROW);
    }
    for Finding { subject, verdict, message } in findings {
        table.add_row([output::word(verdict.as_str()), Cell::new(subject), Cell::new(hint::typed(message))]);
    }
    output::keep_whole(&mut table, &["", "what"]);
    output::print(&table)?;
    let of = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    output::say("")?;
    let (problems, warnings) = (of(Verdict::Problem), of(Verdict::Warning));
    output::say(&format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning")))
}

/// The width if there is no terminal.
const NARROW: u16 = 80;

/// The first step.
const STRUCTURE: &str = "checking the ledger's structure";

fn words(step: Step) -> String {
    match step {
        Step::Structure => STRUCTURE.to_owned(),
        Step::Posts(read, of) => format!("{read} of {of} posts read"),
    }
}
