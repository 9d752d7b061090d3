//! The pages people read: a table of all claims, and one page a method.

use crate::Record;
use crate::record::agreement;
use quadrat_core::{By, Expectation, Finding, Plan, Relation, Result, Role, Verdict, write_atomic_bytes};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Writes the table and all pages.
pub(crate) fn write(dir: &Path, records: &[Record]) -> Result<()> {
    let pages = dir.join("claims");
    std::fs::create_dir_all(&pages).map_err(|e| quadrat_core::Error::io(&pages, e))?;
    for record in records {
        write_atomic_bytes(&dir.join(place(&record.slug)), page(records, &record.slug).as_bytes())?;
    }
    write_atomic_bytes(&dir.join("CLAIMS.md"), table(records).as_bytes())
}

/// Where a method's page is, from the table.
pub(crate) fn place(slug: &str) -> PathBuf {
    Path::new("claims").join(format!("{slug}.md"))
}

/// All claims in one table: what is claimed, what was measured, what follows.
pub(crate) fn table(records: &[Record]) -> String {
    let mut out = String::from(
        "# Claims\n\nWritten by `quadrat check --record`; do not edit. Each method's page says what its paper reports, what was \
         done here, what was planned, and all that was measured. A verdict comes from the interval of what was expected \
         beforehand: *holds*, *does not hold*, *inconclusive* (the interval has both), *not testable here* (what the claim \
         stands on was not shown to work). Intervals are at 95%, of an equivalence at 90%, and wider where several decide (Holm). The \
         last columns: repetitions, how many runs from other seeds say the same, and \
         seconds on two cores.\n\n\
         | method | scale | verdict | claimed | measured | runs | other seeds | s |\n|---|---|---|---|---|---|---|---|\n",
    );
    for r in records {
        let verdict = r.verdict.map_or_else(|| "-".to_owned(), |v| v.to_string());
        let (runs, same) = agreement(r);
        let others = if runs == 0 { "-".to_owned() } else { format!("{same} of {runs}") };
        let head = format!("| [{0}](claims/{0}.md) | {1} | **{verdict}** |", r.slug, r.scale);
        let tail = format!("{others} | {:.0} |", r.seconds);
        let shown: Vec<&Finding> = r.findings.iter().filter(|f| shows(r.verdict, f)).collect();
        if shown.is_empty() {
            let _ = writeln!(out, "{head} identities only | - | - | {tail}");
        }
        for (i, f) in shown.iter().enumerate() {
            let cells = format!("{} | {} | {} |", f.expectation.says, measured(f), f.pairs);
            let (head, tail) = if i == 0 { (head.as_str(), tail.as_str()) } else { ("| | | |", "| |") };
            let _ = writeln!(out, "{head} {cells} {tail}");
        }
    }
    out
}

/// Whether a finding stands in the table: the ones that decide, and the gates that left nothing to test.
fn shows(verdict: Option<Verdict>, f: &Finding) -> bool {
    match f.expectation.role {
        Role::Primary => true,
        Role::Gate => verdict == Some(Verdict::NotTestable) && f.verdict != Verdict::Holds,
        Role::Reported => false,
    }
}

/// All that is on record of a method.
pub(crate) fn page(records: &[Record], slug: &str) -> String {
    let mut out = format!("# {slug}\n\nWritten by `quadrat check --record`; do not edit. [All claims](../CLAIMS.md)\n");
    for (i, r) in records.iter().filter(|r| r.slug == slug).enumerate() {
        if i == 0 {
            let _ = write!(out, "\n**The paper.** {}\n", r.evidence.paper);
        }
        run(&mut out, r);
    }
    out
}

fn run(out: &mut String, r: &Record) {
    let verdict = r.verdict.map_or_else(|| "no verdict".to_owned(), |v| v.to_string());
    let _ = write!(out, "\n## {} scale: {verdict}\n\n**Here.** {}\n", r.scale, r.evidence.experiment);
    for plan in &r.evidence.plans {
        let Plan { name, pilot, most, repetitions, .. } = plan;
        let _ = match pilot {
            0 => write!(out, "\n**Fixed beforehand** ({name}): {repetitions} repetitions, without a pilot."),
            _ => write!(
                out,
                "\n**Planned** ({name}): {repetitions} repetitions, of at most {most}, from a pilot of {pilot} on seeds of \
                 its own."
            ),
        };
        for need in &plan.needs {
            let wanted = need.repetitions.map_or_else(|| "over a million".to_owned(), |n| n.to_string());
            let _ = write!(
                out,
                " \"{}\": spread at most {}, a departure of {} takes {wanted} for nine in ten; here seen in {:.0}%.",
                need.says,
                figure(need.spread),
                figure(need.matters),
                100.0 * need.power
            );
        }
        out.push('\n');
    }
    for t in &r.evidence.tuned {
        let tried: Vec<String> = t.tried.iter().map(|v| figure(*v)).collect();
        let edge = if t.at_edge() { ", at the edge of what was tried" } else { "" };
        let _ = write!(
            out,
            "\n**Tuned** ({}): {} is {} of {}{edge}.\n",
            t.arm,
            t.parameter,
            figure(t.chosen),
            tried.join(", ")
        );
    }
    if !r.findings.is_empty() {
        out.push_str("\n| expected | metric | measured | sees | pairs | verdict |\n|---|---|---|---|---|---|\n");
    }
    for f in &r.findings {
        let Expectation { says, metric, role, .. } = &f.expectation;
        let says = match role {
            Role::Primary => format!("**{says}**"),
            Role::Gate => format!("first of all: {says}"),
            Role::Reported => format!("({says})"),
        };
        let _ =
            writeln!(out, "| {says} | {metric} | {} | {} | {} | {} |", measured(f), figure(f.sees), f.pairs, f.verdict);
    }
    let held = r.evidence.exact.iter().filter(|e| e.holds()).count();
    if !r.evidence.exact.is_empty() {
        let _ = writeln!(out, "\nIdentities: {held} of {} hold.", r.evidence.exact.len());
        for e in r.evidence.exact.iter().filter(|e| !e.holds()) {
            let _ = writeln!(out, "- broken: {}: {} against {} (tolerance {})", e.name, e.left, e.right, e.tolerance);
        }
    }
    for note in &r.evidence.notes {
        let _ = write!(out, "\n{note}\n");
    }
    let _ = write!(out, "\nSeed {}, {:.0} s on {}.\n", r.seed, r.seconds, r.environment);
    for again in &r.replications {
        let verdict = again.verdict.map_or_else(|| "no verdict".to_owned(), |v| v.to_string());
        let found: Vec<String> =
            again.findings.iter().map(|f| format!("{}: {}", f.expectation.says, measured(f))).collect();
        let _ = write!(out, "\nFrom seed {}: **{verdict}**. {}.\n", again.seed, found.join("; "));
    }
}

/// A finding's figures, with what was wanted of them: "0.0123 [0.01, 0.0146], wanted > 0".
pub fn measured(f: &Finding) -> String {
    let of = match f.expectation.by {
        By::Mean => "",
        By::Ratio if f.expectation.against.is_some() => "ratio ",
        By::Ratio => "geometric mean ",
        By::Median => "median ",
    };
    let (mean, wanted) = (figure(f.measured.mean), limit(&f.expectation));
    if !(f.measured.low.is_finite() && f.measured.high.is_finite()) {
        return format!("{of}{mean} (too few pairs for an interval), wanted {wanted}");
    }
    format!("{of}{mean} [{}, {}], wanted {wanted}", figure(f.measured.low), figure(f.measured.high))
}

/// What is wanted of a figure: "> 0.05", "within ±0.01", "within a factor of 2".
pub fn limit(e: &Expectation) -> String {
    match (e.relation, e.by) {
        (Relation::Above(limit), _) => format!("> {}", short(limit)),
        (Relation::Below(limit), _) => format!("< {}", short(limit)),
        (Relation::Within(limit), By::Ratio) => format!("within a factor of {}", short(limit)),
        (Relation::Within(limit), _) => format!("within ±{}", short(limit)),
    }
}

/// As it was written, but for digits beyond the sixth.
fn short(limit: f64) -> String {
    format!("{limit:.5e}").parse().unwrap_or(limit).to_string()
}

/// Four significant digits.
fn figure(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    let decimals = (3 - v.abs().log10().floor() as i32).clamp(0, 12);
    format!("{v:.*}", decimals as usize)
}
