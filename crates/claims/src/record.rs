//! What a run leaves behind: one JSON file a method and scale, a summary of them all, and the table people read.

use quadrat_core::{Environment, Error, Evidence, Finding, Relation, Result, Scale, Verdict, write_atomic_bytes};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;

/// A claim's run: where, what was measured, what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The method.
    pub slug: String,
    /// How large the run was.
    pub scale: Scale,
    /// The seed it started from.
    pub seed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The machine and the build.
    pub environment: Environment,
    /// What follows; `None` at smoke scale, which gives no verdict.
    pub verdict: Option<Verdict>,
    /// Each expectation with what was measured.
    pub findings: Vec<Finding>,
    /// All figures.
    pub evidence: Evidence,
}

impl Record {
    /// Judges `evidence` and puts it on record.
    pub fn new(slug: &str, scale: Scale, seed: u64, seconds: f64, evidence: Evidence) -> Self {
        let (verdict, findings) = evidence.judge();
        let verdict = (scale != Scale::Smoke).then_some(verdict);
        let environment = Environment::here();
        Record { slug: slug.to_owned(), scale, seed, seconds, environment, verdict, findings, evidence }
    }

    /// Writes `DIR/<slug>.<scale>.json` and brings `DIR/summary.json` and `DIR/CLAIMS.md` up to date with all records
    /// in the folder, which must exist.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(format!("{}.{}.json", self.slug, self.scale));
        // Tens of thousands of measurements: without white space a third less.
        let text = serde_json::to_vec(self).map_err(|e| Error::numeric("writing JSON", e.to_string()))?;
        write_atomic_bytes(&path, &text)?;
        let records = read_all(dir)?;
        let summaries: Vec<Summary> = records.iter().map(Summary::of).collect();
        write_atomic_bytes(&dir.join("summary.json"), &to_json(&summaries)?)?;
        write_atomic_bytes(&dir.join("CLAIMS.md"), claims_markdown(&records).as_bytes())
    }
}

/// The few words of a record that travel with the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The method.
    pub slug: String,
    /// How large the run was.
    pub scale: Scale,
    /// What follows.
    pub verdict: Option<Verdict>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// One line for each expectation: what was expected, what was measured.
    pub findings: Vec<String>,
    /// The machine and the build.
    pub environment: String,
}

impl Summary {
    fn of(record: &Record) -> Self {
        Summary {
            slug: record.slug.clone(),
            scale: record.scale,
            verdict: record.verdict,
            seconds: record.seconds.round(),
            findings: record
                .findings
                .iter()
                .map(|f| format!("{}: {} ({})", f.expectation.says, measured(f), f.verdict))
                .collect(),
            environment: record.environment.to_string(),
        }
    }
}

/// The recorded runs of a method that this build knows of, the largest scale first.
///
/// # Errors
/// The summary that was built in is damaged.
pub fn recorded(slug: &str) -> Result<Vec<Summary>> {
    let wrong = |e: serde_json::Error| Error::data("results/summary.json", None, e.to_string());
    let all: Vec<Summary> = serde_json::from_str(quadrat_results::SUMMARY).map_err(wrong)?;
    let mut found: Vec<Summary> = all.into_iter().filter(|s| s.slug == slug).collect();
    found.sort_by_key(|s| std::cmp::Reverse(s.scale));
    Ok(found)
}

/// All records of a folder, by method and scale.
pub fn read_all(dir: &Path) -> Result<Vec<Record>> {
    let at = |e| Error::io(dir, e);
    let mut records = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(at)? {
        let path = entry.map_err(at)?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.ends_with(".json") || name == "summary.json" {
            continue;
        }
        let text = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let record: Record = serde_json::from_slice(&text).map_err(|e| {
            Error::data(path.display().to_string(), e.line() as u64, format!("not a claim's record: {e}"))
        })?;
        records.push(record);
    }
    records.sort_by(|a, b| (&a.slug, a.scale).cmp(&(&b.slug, b.scale)));
    Ok(records)
}

/// The table people read: for each method what the paper says, what was expected, what was measured, what follows.
pub fn claims_markdown(records: &[Record]) -> String {
    let mut out = String::from(
        "# Claims\n\nWritten by `quadrat check --record`; do not edit. A verdict comes from the interval of the measured \
         difference over repetitions (95% t interval; 90% for an equivalence): *holds* when the interval lies inside what \
         was expected beforehand, *does not hold* when it lies outside, *inconclusive* when it has both. Expectations in \
         brackets are reported but do not decide.\n\n| method | scale | verdict | seconds |\n|---|---|---|---|\n",
    );
    for r in records {
        let verdict = r.verdict.map_or_else(|| "-".to_owned(), |v| v.to_string());
        let _ = writeln!(out, "| [{0}](#{0}) | {1} | **{verdict}** | {2:.0} |", r.slug, r.scale, r.seconds);
    }
    let mut last = "";
    for r in records {
        if r.slug != last {
            let _ = write!(out, "\n## {}\n\n**The paper.** {}\n", r.slug, r.evidence.paper);
            last = &r.slug;
        }
        let _ = write!(out, "\n### {} scale\n\n**Here.** {}\n\n", r.scale, r.evidence.experiment);
        out.push_str("| expected | metric | measured | pairs | verdict |\n|---|---|---|---|---|\n");
        for f in &r.findings {
            let says =
                if f.expectation.decides { f.expectation.says.clone() } else { format!("({})", f.expectation.says) };
            let _ =
                writeln!(out, "| {says} | {} | {} | {} | {} |", f.expectation.metric, measured(f), f.pairs, f.verdict);
        }
        let held = r.evidence.exact.iter().filter(|e| e.holds()).count();
        if !r.evidence.exact.is_empty() {
            let _ = writeln!(out, "\nIdentities: {held} of {} hold.", r.evidence.exact.len());
            for e in r.evidence.exact.iter().filter(|e| !e.holds()) {
                let _ =
                    writeln!(out, "- broken: {}: {} against {} (tolerance {})", e.name, e.left, e.right, e.tolerance);
            }
        }
        for note in &r.evidence.notes {
            let _ = write!(out, "\n{note}\n");
        }
        let _ = write!(out, "\nSeed {}, {:.0} s on {}.\n", r.seed, r.seconds, r.environment);
    }
    out
}

/// A finding's figures, with what was expected of them.
fn measured(f: &Finding) -> String {
    let wanted = match f.expectation.relation {
        Relation::Above(margin) => format!("> {margin}"),
        Relation::Below(margin) => format!("< {margin}"),
        Relation::Within(margin) => format!("within ±{margin}"),
    };
    format!("{} [{}, {}], expected {wanted}", figure(f.measured.mean), figure(f.measured.low), figure(f.measured.high))
}

/// Four significant digits.
fn figure(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    let decimals = (3 - v.abs().log10().floor() as i32).clamp(0, 12);
    format!("{v:.*}", decimals as usize)
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| Error::numeric("writing JSON", e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        let mut e = Evidence { paper: "Better by 2 points.".into(), ..Evidence::default() };
        for seed in 0..4 {
            e.measure("ours", "accuracy", seed, 0.9 + seed as f64 * 0.001);
            e.measure("random", "accuracy", seed, 0.8);
        }
        e.expect("ours beats random", "accuracy", "ours", Some("random"), Relation::Above(0.0));
        e.identity("one is one", 1.0, 1.0, 0.0);
        Record::new("sample", Scale::Quick, 1, 2.0, e)
    }

    #[test]
    fn records_survive_the_round_trip() {
        let dir = std::env::temp_dir().join(format!("quadrat-record-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        sample().write(&dir).unwrap();
        assert_eq!(read_all(&dir).unwrap(), [sample()]);
        let table = std::fs::read_to_string(dir.join("CLAIMS.md")).unwrap();
        assert!(table.contains("| [sample](#sample) | quick | **holds** | 2 |"), "{table}");
        assert!(table.contains("0.1015 [0.09945, 0.1036], expected > 0"), "{table}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn unmeasured_intervals_survive_too() {
        let mut e = Evidence::default();
        e.measure("ours", "accuracy", 0, 1.0);
        e.expect("one pair", "accuracy", "ours", None, Relation::Above(0.0));
        let record = Record::new("one", Scale::Smoke, 0, 0.0, e);
        let back: Record = serde_json::from_slice(&to_json(&record).unwrap()).unwrap();
        assert_eq!((back.verdict, back.findings[0].pairs), (None, 1));
    }

    /// What is committed was judged by this code and not by hand.
    #[test]
    fn committed_records_agree_with_their_own_evidence() {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../results"));
        let records = read_all(dir).unwrap();
        for r in &records {
            let (verdict, _) = r.evidence.judge();
            assert_eq!(r.verdict, (r.scale != Scale::Smoke).then_some(verdict), "{}", r.slug);
        }
        assert_eq!(std::fs::read_to_string(dir.join("CLAIMS.md")).unwrap(), claims_markdown(&records));
    }
}
