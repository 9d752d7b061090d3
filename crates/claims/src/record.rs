//! What a run leaves behind: one JSON file a method and scale, a summary of them all, and the pages people read.

use crate::{Scale, pages};
use quadrat_core::{Environment, Error, Evidence, Finding, Result, Role, Verdict, write_atomic_bytes};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A claim's run: where, what was planned and measured, what follows.
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
    /// The same run from other seeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replications: Vec<Replication>,
}

/// What a run of the same claim from another seed said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replication {
    /// The seed.
    pub seed: u64,
    /// What followed.
    pub verdict: Option<Verdict>,
    /// Each expectation that decides, with what was measured.
    pub findings: Vec<Finding>,
}

impl Record {
    /// Judges `evidence` and puts it on record, its figures to six significant digits.
    pub fn new(slug: &str, scale: Scale, seed: u64, seconds: f64, evidence: Evidence) -> Self {
        let evidence = evidence.rounded();
        let (verdict, findings) = evidence.judge();
        let verdict = (scale != Scale::Smoke).then_some(verdict);
        let (slug, environment, replications) = (slug.to_owned(), Environment::here(), Vec::new());
        Record { slug, scale, seed, seconds, environment, verdict, findings, evidence, replications }
    }

    /// Writes `DIR/<slug>.<scale>.json` and brings `DIR/summary.json`, `DIR/CLAIMS.md` and the method's page up to date
    /// with all records in the folder, which must exist. Where the folder has a run of the same experiment from another
    /// seed, this one is put beside it as a replication.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(format!("{}.{}.json", self.slug, self.scale));
        let before = if path.exists() { read(&path).ok() } else { None };
        let kept = match before {
            Some(before) if before.is_repeated_by(self) => before.beside(self),
            _ => self.clone(),
        };
        write_atomic_bytes(&path, &to_json(&kept)?)?;
        let records = read_all(dir)?;
        let summaries: Vec<Summary> = records.iter().map(Summary::of).collect();
        write_atomic_bytes(&dir.join("summary.json"), &to_json(&summaries)?)?;
        pages::write(dir, &records)
    }

    /// Whether `other` ran the same experiment, expecting the same.
    fn is_repeated_by(&self, other: &Record) -> bool {
        let same = |a: &Evidence, b: &Evidence| a.experiment == b.experiment && a.expectations == b.expectations;
        self.seed != other.seed && same(&self.evidence, &other.evidence)
    }

    fn beside(mut self, other: &Record) -> Self {
        let decides = |f: &&Finding| f.expectation.role != Role::Reported;
        let findings = other.findings.iter().filter(decides).cloned().collect();
        self.replications.retain(|r| r.seed != other.seed);
        self.replications.push(Replication { seed: other.seed, verdict: other.verdict, findings });
        self.replications.sort_by_key(|r| r.seed);
        self
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
    /// How many runs from other seeds there are, and how many of them say the same.
    pub replications: (usize, usize),
    /// Wall-clock seconds.
    pub seconds: f64,
    /// One line for each expectation that decides: what was expected, what was measured.
    pub findings: Vec<String>,
    /// The machine and the build.
    pub environment: String,
}

impl Summary {
    fn of(record: &Record) -> Self {
        let line = |f: &Finding| format!("{}: {} ({})", f.expectation.says, pages::measured(f), f.verdict);
        let decides = |f: &&Finding| f.expectation.role != Role::Reported;
        Summary {
            slug: record.slug.clone(),
            scale: record.scale,
            verdict: record.verdict,
            replications: agreement(record),
            seconds: record.seconds.round(),
            findings: record.findings.iter().filter(decides).map(line).collect(),
            environment: record.environment.to_string(),
        }
    }
}

/// How many runs from other seeds there are, and how many of them say the same.
pub(crate) fn agreement(record: &Record) -> (usize, usize) {
    let same = record.replications.iter().filter(|r| r.verdict == record.verdict).count();
    (record.replications.len(), same)
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
        records.push(read(&path)?);
    }
    records.sort_by(|a, b| (&a.slug, a.scale).cmp(&(&b.slug, b.scale)));
    Ok(records)
}

fn read(path: &Path) -> Result<Record> {
    let text = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let mut record: Record = serde_json::from_slice(&text)
        .map_err(|e| Error::data(path.display().to_string(), e.line() as u64, format!("not a claim's record: {e}")))?;
    record.evidence.expectations = record.findings.iter().map(|f| f.expectation.clone()).collect();
    Ok(record)
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value).map_err(|e| Error::numeric("writing JSON", e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Relation;

    fn sample(seed: u64) -> Record {
        let mut e = Evidence::new("Better by 2 points.", "Four made-up figures.");
        (0..4).for_each(|i| e.measure("ours", "accuracy", i, 0.9 + i as f64 * 0.001 + seed as f64 * 1e-4));
        (0..4).for_each(|i| e.measure("random", "accuracy", i, 0.8));
        e.expect("ours beats random", "accuracy", "ours", Some("random"), Relation::Above(0.0));
        e.identity("one is one", 1.0, 1.0, 0.0);
        Record::new("sample", Scale::Quick, seed, 2.0, e)
    }

    fn folder(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("quadrat-record-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn records_survive_the_round_trip() {
        let dir = folder("round");
        sample(1).write(&dir).unwrap();
        assert_eq!(read_all(&dir).unwrap(), [sample(1)]);
        let table = std::fs::read_to_string(dir.join("CLAIMS.md")).unwrap();
        assert!(table.contains("| [sample](claims/sample.md) | quick | **holds** | ours beats random |"), "{table}");
        let page = std::fs::read_to_string(dir.join("claims/sample.md")).unwrap();
        assert!(page.contains("0.1016 [0.09955, 0.1037], wanted > 0"), "{page}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn runs_from_other_seeds_stand_beside_the_first() {
        let dir = folder("seeds");
        for seed in [1, 3, 2, 3] {
            sample(seed).write(&dir).unwrap();
        }
        let record = read_all(&dir).unwrap().remove(0);
        assert_eq!((record.seed, record.replications.iter().map(|r| r.seed).collect::<Vec<_>>()), (1, vec![2, 3]));
        assert_eq!(agreement(&record), (2, 2));
        // Another design starts anew.
        let mut other = sample(4);
        other.evidence.experiment = "Five.".into();
        other.write(&dir).unwrap();
        assert_eq!(read_all(&dir).unwrap(), [other]);
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
            assert_eq!(
                std::fs::read_to_string(dir.join(pages::place(&r.slug))).unwrap(),
                pages::page(&records, &r.slug)
            );
        }
        assert_eq!(std::fs::read_to_string(dir.join("CLAIMS.md")).unwrap(), pages::table(&records));
    }
}
