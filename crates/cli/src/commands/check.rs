//! `quadrat check`: runs the claims of papers again.

use crate::args::Run;
use crate::output::{self, Reply, figure, json, seconds, table, wrap};
use crate::report::{Block, Page, svg};
use clap::{Args, ValueEnum};
use quadrat::{Error, Finding, Progress, Relation, Result, Seed, Trial, Verdict, catalogue, find};
use quadrat_claims::{CLAIMS, Claim, Record};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Check {
    /// The method whose claim to run
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub method: Option<String>,
    /// Run every claim
    #[arg(long)]
    pub all: bool,
    /// How large: `smoke` takes seconds and gives no verdict, `quick` up to 2 minutes, `full` up to 15
    #[arg(long, value_enum, default_value_t = Scale::Quick)]
    pub scale: Scale,
    #[command(flatten)]
    pub run: Run,
    /// Write the records as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Keep each record as FOLDER/METHOD.SCALE.json and rewrite FOLDER/CLAIMS.md
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Smoke,
    Quick,
    Full,
}

impl From<Scale> for quadrat::Scale {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Smoke => quadrat::Scale::Smoke,
            Scale::Quick => quadrat::Scale::Quick,
            Scale::Full => quadrat::Scale::Full,
        }
    }
}

/// Runs one claim, or all of them. The exit code is 0 when all hold, 1 when one does not or stays open.
pub fn run(args: &Check, progress: &dyn Progress) -> Result<Reply> {
    for path in [&args.out, &args.report].into_iter().flatten() {
        output::check_place(path)?;
    }
    if let Some(folder) = &args.record {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    let claims: Vec<Claim> = match &args.method {
        Some(method) => vec![quadrat_claims::find(find(&catalogue(), method)?.slug)?],
        None => CLAIMS.to_vec(),
    };
    let mut records = Vec::with_capacity(claims.len());
    for claim in claims {
        let trial = Trial { seed: Seed(args.run.seed), scale: args.scale.into(), progress };
        let started = Instant::now();
        let evidence = (claim.run)(&trial)?;
        let record = Record::new(claim.slug, trial.scale, args.run.seed, started.elapsed().as_secs_f64(), evidence);
        if let Some(folder) = &args.record {
            record.write(folder)?;
        }
        if !args.run.json {
            output::print(&format!("{}\n", describe(&record)));
        }
        records.push(record);
    }
    let value = serde_json::json!({
        "scale": quadrat::Scale::from(args.scale),
        "seed": args.run.seed,
        "holds": records.iter().all(holds),
        "records": json(&records)?,
    });
    if let Some(path) = &args.out {
        output::write_json(path, &value)?;
    }
    if let Some(path) = &args.report {
        report(&records)?.finish(path, None)?;
    }
    Ok(Reply { text: summary(&records), json: value, code: u8::from(!records.iter().all(holds)) })
}

/// Whether the verdict is "holds"; smoke scale gives none, there only the identities count.
fn holds(record: &Record) -> bool {
    record.verdict.map_or_else(|| record.evidence.exact.iter().all(|e| e.holds()), |v| v == Verdict::Holds)
}

fn verdict(record: &Record) -> String {
    match record.verdict {
        Some(verdict) => verdict.to_string(),
        None if holds(record) => "ran (smoke scale gives no verdict)".to_owned(),
        None => "an identity is broken".to_owned(),
    }
}

/// What was expected, what was measured, what follows: one row a finding.
fn findings(record: &Record) -> Vec<Vec<String>> {
    let head = ["expected", "metric", "wanted", "measured", "interval", "pairs", "verdict"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for f in &record.findings {
        let Finding { expectation, pairs, measured, .. } = f;
        let says = &expectation.says;
        rows.push(vec![
            if expectation.decides { says.clone() } else { format!("({says})") },
            expectation.metric.clone(),
            match expectation.relation {
                Relation::Above(margin) => format!("> {margin}"),
                Relation::Below(margin) => format!("< {margin}"),
                Relation::Within(margin) => format!("within ±{margin}"),
            },
            figure(measured.mean),
            if measured.se.is_finite() {
                format!("{} .. {}", figure(measured.low), figure(measured.high))
            } else {
                "needs two pairs".to_owned()
            },
            pairs.to_string(),
            if record.verdict.is_some() { f.verdict.to_string() } else { "no verdict".to_owned() },
        ]);
    }
    rows
}

/// Identities with both sides.
fn identities(record: &Record) -> Vec<Vec<String>> {
    let head = ["identity", "left", "right", "tolerance", "holds"];
    let rows = record.evidence.exact.iter().map(|e| {
        let holds = if e.holds() { "yes" } else { "NO" };
        vec![e.name.clone(), figure(e.left), figure(e.right), figure(e.tolerance), holds.to_owned()]
    });
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
}

fn describe(record: &Record) -> String {
    let Record { slug, scale, seed, .. } = record;
    let mut text = format!("{slug}: {}\n{scale} scale, seed {seed}, {}\n", verdict(record), seconds(record.seconds));
    for (heading, body) in [("paper", &record.evidence.paper), ("here", &record.evidence.experiment)] {
        let _ = write!(text, "\n{heading}\n{}", wrap(body, 2, 100));
    }
    if !record.findings.is_empty() {
        text.push_str("\nexpected beforehand, and measured");
        text.push_str(if record.findings.iter().all(|f| f.expectation.decides) {
            "\n"
        } else {
            " (in brackets: not part of the verdict)\n"
        });
    }
    for row in findings(record).iter().skip(1) {
        if let [says, metric, wanted, measured, interval, pairs, verdict] = row.as_slice() {
            let found = format!("{metric} {wanted}: {measured} [{interval}], {pairs} pairs: {verdict}");
            let _ = write!(text, "{}{}", wrap(says, 2, 100), wrap(&found, 6, 100));
        }
    }
    if !record.evidence.exact.is_empty() {
        let _ = write!(text, "\n{}", table(&identities(record), &[1, 2, 3]));
    }
    for note in &record.evidence.notes {
        let _ = write!(text, "\n{}", wrap(note, 2, 100));
    }
    text
}

fn summary(records: &[Record]) -> String {
    let head = ["method", "verdict", "time"].map(str::to_owned).to_vec();
    let rows = records.iter().map(|r| vec![r.slug.clone(), verdict(r), seconds(r.seconds)]);
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[2])
}

fn report(records: &[Record]) -> Result<Page> {
    let cards = catalogue();
    let title = match records {
        [only] => format!("Claim of {}", find(&cards, &only.slug)?.title),
        _ => format!("{} claims", records.len()),
    };
    let scale = records.first().map_or_else(String::new, |r| format!("Run at {} scale, seed {}. ", r.scale, r.seed));
    let lead = "Each expectation was written down before it was measured; the verdict follows from the interval alone.";
    let mut page = Page::new(title, scale + lead);
    for record in records {
        let evidence = &record.evidence;
        let card = find(&cards, &record.slug)?;
        let good = record.verdict.and_then(|v| match v {
            Verdict::Holds => Some(true),
            Verdict::DoesNotHold => Some(false),
            Verdict::Inconclusive => None,
        });
        let mut blocks = vec![
            Block::Verdict { word: verdict(record), good },
            Block::Text(card.paper.to_owned()),
            Block::Beside(vec![
                ("The paper says".to_owned(), evidence.paper.clone()),
                (format!("Measured here, in {}", seconds(record.seconds)), evidence.experiment.clone()),
            ]),
        ];
        if !record.findings.is_empty() {
            blocks.push(Block::Table { rows: findings(record), right: vec![2, 3, 4, 5] });
        }
        if !evidence.exact.is_empty() {
            blocks.push(Block::Table { rows: identities(record), right: vec![1, 2, 3] });
        }
        for plot in &evidence.plots {
            blocks.push(Block::Figure { drawing: svg::curves(plot)?, caption: plot.title.clone() });
        }
        blocks.extend(evidence.notes.iter().cloned().map(Block::Text));
        page.section(&format!("{} ({})", card.title, record.slug), blocks);
    }
    Ok(page)
}
