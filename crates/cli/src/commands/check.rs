//! `quadrat check`: runs the claims of papers again.

use super::certify::{self, Certify};
use crate::args::Run;
use crate::output::{self, Reply, figure, json, seconds, table, wrap};
use crate::report::{Block, Page, svg};
use clap::{Args, ValueEnum};
use quadrat::{Error, Finding, Plan, Progress, Result, Role, Seed, Verdict, catalogue, find};
use quadrat_claims::{CLAIMS, Checkpoint, Claim, NEED_DATA, Record, Trial, limit};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Check {
    /// The method whose claim to run
    #[arg(required_unless_present_any = ["all", "certify"], conflicts_with = "all")]
    pub method: Option<String>,
    /// Run every claim
    #[arg(long)]
    pub all: bool,
    /// How large: `smoke` takes seconds and gives no verdict, `quick` up to 2 minutes, `full` up to 15, `overnight` hours
    #[arg(long, value_enum, default_value_t = Scale::Quick)]
    pub scale: Scale,
    #[command(flatten)]
    pub certify: Certify,
    #[command(flatten)]
    pub run: Run,
    /// Write the records, or the certificate, as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Keep finished repetitions in FILE, and go on from there if it exists
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub checkpoint: Option<PathBuf>,
    /// Folder of data that a claim is about and that may not be passed on; the claim says what to fetch
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Keep each record as FOLDER/METHOD.SCALE.json and rewrite FOLDER/CLAIMS.md
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Smoke,
    Quick,
    Full,
    Overnight,
}

impl From<Scale> for quadrat_claims::Scale {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Smoke => quadrat_claims::Scale::Smoke,
            Scale::Quick => quadrat_claims::Scale::Quick,
            Scale::Full => quadrat_claims::Scale::Full,
            Scale::Overnight => quadrat_claims::Scale::Overnight,
        }
    }
}

/// Runs one claim, or all of them. The exit code is 0 when all hold, 1 when one does not or stays open.
pub fn run(args: &Check, progress: &dyn Progress) -> Result<Reply> {
    for path in [&args.out, &args.report].into_iter().flatten() {
        output::check_place(path)?;
    }
    if let (Some(command), Some(kind)) = (&args.certify.certify, args.certify.kind) {
        let files = [args.out.as_deref(), args.report.as_deref()];
        return certify::run(&args.certify, command, kind, &args.run, files, progress);
    }
    if let Some(folder) = &args.record {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    let claims: Vec<Claim> = match &args.method {
        Some(method) => vec![quadrat_claims::find(find(&catalogue(), method)?.slug)?],
        None => CLAIMS.to_vec(),
    };
    let scale = args.scale.into();
    let mut records = Vec::with_capacity(claims.len());
    for claim in claims {
        if args.all && args.data.is_none() && args.scale != Scale::Smoke && NEED_DATA.contains(&claim.slug) {
            let slug = claim.slug;
            eprintln!("quadrat: note: {slug} is passed over: it needs --data (`quadrat check {slug}` says which)");
            continue;
        }
        let kept = args.checkpoint.as_ref().map(|path| Checkpoint::new(path, claim.slug, scale, args.run.seed));
        let kept = kept.transpose()?;
        let trial =
            Trial { seed: Seed(args.run.seed), scale, progress, checkpoint: kept.as_ref(), data: args.data.as_deref() };
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
        "scale": scale,
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
    let head = ["expected", "metric", "wanted", "measured", "interval", "sees", "pairs", "verdict"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for f in &record.findings {
        let Finding { expectation, pairs, measured, sees, .. } = f;
        let says = &expectation.says;
        rows.push(vec![
            match expectation.role {
                Role::Primary => says.clone(),
                Role::Gate => format!("first of all: {says}"),
                Role::Reported => format!("({says})"),
            },
            expectation.metric.clone(),
            limit(expectation),
            figure(measured.mean),
            if measured.low.is_finite() && measured.high.is_finite() {
                format!("{} .. {}", figure(measured.low), figure(measured.high))
            } else {
                "too few pairs".to_owned()
            },
            figure(*sees),
            pairs.to_string(),
            if record.verdict.is_some() { f.verdict.to_string() } else { "no verdict".to_owned() },
        ]);
    }
    rows
}

/// How many repetitions were planned, and for what.
fn planned(plan: &Plan) -> String {
    let Plan { name, pilot, most, repetitions, needs } = plan;
    if *pilot == 0 {
        return format!("{name}: {repetitions} repetitions, fixed beforehand without a pilot");
    }
    let mut text = format!("{name}: {repetitions} repetitions, of at most {most}, after a pilot of {pilot}");
    for need in needs {
        let wanted = need.repetitions.map_or_else(|| "over a million".to_owned(), |n| n.to_string());
        let _ = write!(
            text,
            "; to see {} beyond the limit nine times in ten takes {wanted}, these see it in {:.0}% ({})",
            figure(need.matters),
            100.0 * need.power,
            need.says
        );
    }
    text
}

/// What was tuned, and how.
fn tuned(record: &Record) -> Vec<Vec<String>> {
    let head = ["tuned for", "parameter", "chosen", "tried", "at the edge"];
    let rows = record.evidence.tuned.iter().map(|t| {
        let tried: Vec<String> = t.tried.iter().map(|v| figure(*v)).collect();
        let edge = if t.at_edge() { "YES" } else { "no" };
        vec![t.arm.clone(), t.parameter.clone(), figure(t.chosen), tried.join(", "), edge.to_owned()]
    });
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
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
    if !record.evidence.plans.is_empty() {
        text.push_str("\nplanned\n");
    }
    for plan in &record.evidence.plans {
        text.push_str(&wrap(&planned(plan), 2, 100));
    }
    if !record.findings.is_empty() {
        text.push_str("\nexpected beforehand, and measured");
        text.push_str(if record.findings.iter().all(|f| f.expectation.role != Role::Reported) {
            "\n"
        } else {
            " (in brackets: not part of the verdict)\n"
        });
    }
    for row in findings(record).iter().skip(1) {
        if let [says, metric, wanted, measured, interval, sees, pairs, verdict] = row.as_slice() {
            let open = if verdict == "holds" { String::new() } else { format!(" (sees {sees} beyond the limit)") };
            let found = format!("{metric} {wanted}: {measured} [{interval}], {pairs} pairs: {verdict}{open}");
            let _ = write!(text, "{}{}", wrap(says, 2, 100), wrap(&found, 6, 100));
        }
    }
    if !record.evidence.exact.is_empty() {
        let _ = write!(text, "\n{}", table(&identities(record), &[1, 2, 3]));
    }
    if !record.evidence.tuned.is_empty() {
        let _ = write!(text, "\n{}", table(&tuned(record), &[2]));
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
            Verdict::Inconclusive | Verdict::NotTestable => None,
        });
        let mut blocks = vec![
            Block::Verdict { word: verdict(record), good },
            Block::Text(card.paper.to_owned()),
            Block::Beside(vec![
                ("The paper says".to_owned(), evidence.paper.clone()),
                (format!("Measured here, in {}", seconds(record.seconds)), evidence.experiment.clone()),
            ]),
        ];
        blocks.extend(evidence.plans.iter().map(|plan| Block::Text(format!("Planned: {}.", planned(plan)))));
        if !record.findings.is_empty() {
            blocks.push(Block::Table { rows: findings(record), right: vec![2, 3, 4, 5, 6] });
        }
        if !evidence.tuned.is_empty() {
            blocks.push(Block::Table { rows: tuned(record), right: vec![2] });
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
