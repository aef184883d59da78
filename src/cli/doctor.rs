//! `flockd doctor`: everything that can be looked at, each with a verdict and the remedy. Nothing is changed; a daemon may run.

use std::cell::Cell as Shared;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use super::{check, output};
use crate::clock::{Clock, SystemClock};
use crate::config::complaint::{Complaint, Severity};
use crate::daemon::doctor::{self, Finding, Step, Verdict};

/// What is left out, and how the rest is shown.
#[derive(Debug, Args)]
pub(super) struct Scope {
    /// Ask no other machine.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    json: super::Json,
}

#[derive(Serialize)]
struct Report {
    /// Whether nothing was found that keeps the flock from doing what it should.
    healthy: bool,
    findings: Vec<Finding>,
}

pub(super) async fn doctor(config: &Path, scope: &Scope) -> Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (flock, complaints) = check::complaints(config).await;
    let mut findings = summarised(&complaints);
    match flock {
        Some(flock) => {
            let mut progress = Progress::new();
            let mut tell = |step| progress.tell(step);
            findings.extend(doctor::examine(&flock, config, scope.offline, &clock, &mut tell).await);
        }
        None => findings.push(Finding::problem(
            "flock",
            "the rest can't be looked at before flock.toml says where the ledger is",
        )),
    }
    let healthy = !findings.iter().any(|finding| finding.verdict == Verdict::Problem);
    if scope.json.json {
        output::print_json(&Report { healthy, findings })?;
    } else {
        print(&findings)?;
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `flockd check` says, in a line or two.
fn summarised(complaints: &[Complaint]) -> Vec<Finding> {
    let subject = "configuration";
    let of = |severity| complaints.iter().filter(move |complaint| complaint.severity == severity);
    let remedy = "`flockd check` shows all";
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
        table.add_row([output::word(verdict.as_str()), Cell::new(subject), Cell::new(message)]);
    }
    output::keep_whole(&mut table, &["", "what"]);
    output::print(&table)?;
    let of = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    output::say("")?;
    let (problems, warnings) = (of(Verdict::Problem), of(Verdict::Warning));
    output::say(&format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning")))
}

/// The width where no terminal says another.
const NARROW: u16 = 80;

/// How far the look into the ledger has got, on a terminal.
struct Progress {
    shown: bool,
    width: Shared<usize>,
}

impl Progress {
    fn new() -> Self {
        Self { shown: stderr().is_terminal(), width: Shared::new(0) }
    }

    fn tell(&mut self, step: Step) {
        let text = match step {
            Step::Structure => "looking at the ledger's structure…".to_owned(),
            Step::Posts(read, of) => format!("{read} of {of} posts read"),
        };
        self.write(&text);
    }

    fn write(&self, text: &str) {
        if self.shown {
            let width = self.width.replace(text.chars().count());
            eprint!("\r{text:<width$}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.write("");
        if self.shown {
            eprint!("\r");
        }
    }
}
