//! `quadrat audit`: a labelled file -> which trouble it has, and what mends it.

mod mend;

use super::{roles, work};
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, seconds, wrap};
use crate::reading::Reading;
use crate::report::{Block, Page};
use clap::Args;
use mend::Mends;
use quadrat::robust::{Audit as Found, Finding, Suspect, audit};
use quadrat::{Audited, Progress, Result, Seed, write_atomic_bytes};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Audit {
    /// Input: .csv, .tsv, .json, .jsonl, .parquet, .arrow, .feather, .npy, .npz, .arff, .dat (KEEL) or .libsvm, also
    /// compressed; a folder or a pattern of Parquet files; or builtin:NAME. It is never changed
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Column with each row's class
    #[arg(long, value_name = "COLUMN")]
    pub target: String,
    /// Take each value of the target as a class [default: names, truth values, at most 20 different whole numbers]
    #[arg(long)]
    pub classes: bool,
    /// Columns to look at [default: all but the target]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// Write the rows whose label looks wrong, the surest first: row (from 0), line, label given, class proposed, how sure it is
    /// that the label is wrong
    #[arg(long, value_name = "FILE.csv")]
    pub suspects: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
    /// Write a self-contained HTML page about the file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// Looks at the file, and says what was found.
pub fn run(args: &Audit, progress: &dyn Progress) -> Result<Reply> {
    for path in [&args.suspects, &args.report].into_iter().flatten() {
        check_place(path)?;
    }
    let table = work::read(&args.input, &args.reading)?;
    let features = work::listed("--features", &args.features, &table)?;
    let audited = Audited::read(&table, &args.target, &features, args.classes)?;
    let started = Instant::now();
    let found = audit(&audited.records, Seed(args.run.seed), progress)?;
    let took = started.elapsed().as_secs_f64();
    let said = Said { args, audited: &audited, found: &found, took };
    if let Some(path) = &args.suspects {
        write_atomic_bytes(path, said.suspects().as_bytes())?;
    }
    if let Some(path) = &args.report {
        said.page().finish(path, None)?;
    }
    Ok(said.reply())
}

/// Rows that a line of text has room for.
const SHOWN: usize = 5;

/// Rows that a list for programs has room for; its total is told beside it.
const LISTED: usize = 1000;

/// A finished audit.
struct Said<'a> {
    args: &'a Audit,
    audited: &'a Audited,
    found: &'a Found,
    took: f64,
}

impl Said<'_> {
    fn reply(&self) -> Reply {
        let Said { args, audited, found, .. } = self;
        let rows = audited.records.rows();
        let mut text = format!(
            "{}: {} rows, {} columns beside `{}`, looked at in {} (seed {})\n",
            audited.table.name(),
            count(rows),
            audited.records.fields.len(),
            args.target,
            seconds(self.took),
            args.run.seed
        );
        text.push_str(&format!("{}\n", audited.target.said));
        for note in self.notes() {
            text.push_str(&wrap(&note, 0, 100));
        }
        for (at, finding) in found.findings.iter().enumerate() {
            text.push_str(&format!("\n{}. {}\n", at + 1, finding.trouble.name()));
            text.push_str(&wrap(&finding.said, 3, 100));
            if let Some(lines) = self.lines(finding) {
                text.push_str(&wrap(&lines, 3, 100));
            }
            text.push_str(&wrap(&format!("how sure: {}", finding.sure), 3, 100));
            // A command is one line, whatever its length.
            text.push_str(&match self.mends().of(finding) {
                Some(command) => format!("   {command}\n"),
                None => format!("   {LOOK}\n"),
            });
        }
        if found.findings.is_empty() {
            text.push_str(&format!("\nno trouble found: plain training is fine\n   {}\n", self.mends().nothing()));
        }
        for path in [&args.suspects, &args.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        let mut value = self.json();
        roles::tell(&audited.table, &audited.uses, &mut text, &mut value);
        Reply::new(text, value)
    }

    fn mends(&self) -> Mends<'_> {
        Mends { args: self.args, audited: self.audited }
    }

    /// What is to be known of how it was looked.
    fn notes(&self) -> Vec<String> {
        let Said { args, audited, found, .. } = self;
        let idle = (args.reading.missing.is_some() || args.reading.impute.is_some())
            .then(|| "--missing and --impute have no effect: an audit looks at gaps as they are".to_owned());
        audited.notes.iter().cloned().chain(idle).chain(found.notes.iter().cloned()).collect()
    }

    /// The first rows by the file's lines.
    fn lines(&self, finding: &Finding) -> Option<String> {
        let shown: Vec<String> =
            finding.rows.iter().take(SHOWN).map(|row| self.audited.table.line(*row).to_string()).collect();
        let more = finding.rows.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {} more", count(more)) } else { String::new() };
        (!shown.is_empty()).then(|| format!("lines {}{more}", shown.join(", ")))
    }

    fn class(&self, class: u32) -> &str {
        &self.audited.records.classes[class as usize]
    }

    fn json(&self) -> Value {
        let Said { args, audited, found, .. } = self;
        let finding = |finding: &Finding| {
            let columns: Vec<&str> = finding.columns.iter().map(|c| audited.records.fields[*c].name.as_str()).collect();
            let listed = &finding.rows[..finding.rows.len().min(LISTED)];
            json!({
                "trouble": finding.trouble.name(),
                "said": finding.said,
                "sure": finding.sure,
                "count": finding.count,
                "columns": columns,
                "rows": listed.iter().map(|row| audited.rows[*row]).collect::<Vec<_>>(),
                "lines": listed.iter().map(|row| audited.table.line(*row)).collect::<Vec<_>>(),
                "rows_total": finding.rows.len(),
                "mend": self.mends().of(finding),
            })
        };
        let suspect = |suspect: &Suspect| {
            json!({
                "row": audited.rows[suspect.row],
                "line": audited.table.line(suspect.row),
                "given": self.class(suspect.given),
                "proposed": self.class(suspect.proposed),
                "confidence": 1.0 - suspect.own,
            })
        };
        let counts = audited.records.classes.iter().cloned().zip(audited.records.counts());
        json!({
            "input": audited.table.name(),
            "rows": audited.records.rows(),
            "target": audited.target.said,
            "classes": counts.map(|(name, rows)| (name, json!(rows))).collect::<serde_json::Map<_, _>>(),
            "clean": found.findings.is_empty(),
            "findings": found.findings.iter().map(finding).collect::<Vec<_>>(),
            "labels": {
                "wrong": found.wrong.share,
                "low": found.wrong.low,
                "high": found.wrong.high,
                "suspects_total": found.suspects.len(),
                "suspects": found.suspects.iter().take(LISTED).map(suspect).collect::<Vec<_>>(),
                "learner": found.learner,
                "accuracy": found.accuracy,
            },
            "train": self.mends().nothing(),
            "notes": self.notes(),
            "warnings": [],
            "seconds": self.took,
            "seed": args.run.seed,
            "report": args.report,
            "suspects_file": args.suspects,
        })
    }

    /// The suspects as CSV.
    fn suspects(&self) -> String {
        let cell = |text: &str| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let line = |s: &Suspect| {
            let (given, proposed) = (cell(self.class(s.given)), cell(self.class(s.proposed)));
            let (row, line) = (self.audited.rows[s.row], self.audited.table.line(s.row));
            format!("{row},{line},{given},{proposed},{:.6}\n", 1.0 - s.own)
        };
        let head = "row,line,given,proposed,confidence\n".to_owned();
        self.found.suspects.iter().map(line).fold(head, |text, line| text + &line)
    }

    fn page(&self) -> Page {
        let Said { args, audited, found, .. } = self;
        let lead = match found.findings.len() {
            0 => "No trouble found: plain training is fine.".to_owned(),
            1 => "One trouble was found.".to_owned(),
            n => format!("{n} troubles were found."),
        };
        let mut page = Page::new(format!("Audit of {}", audited.table.name()), lead);
        let facts = [
            ("Rows", count(audited.records.rows())),
            ("Columns beside the target", count(audited.records.fields.len())),
            ("Target", audited.target.said.clone()),
            ("Seed", args.run.seed.to_string()),
            ("Time", seconds(self.took)),
        ];
        page.blocks.push(Block::Facts(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()));
        page.section("Columns", roles::blocks(&audited.uses));
        page.section("To be known", self.notes().into_iter().map(Block::Text));
        for (at, finding) in found.findings.iter().enumerate() {
            let mut blocks = vec![Block::Text(finding.said.clone())];
            blocks.extend(self.lines(finding).map(Block::Text));
            blocks.push(Block::Text(format!("How sure: {}", finding.sure)));
            blocks.push(match self.mends().of(finding) {
                Some(command) => Block::Code(command),
                None => Block::Text(LOOK.to_owned()),
            });
            page.section(&format!("{}. {}", at + 1, finding.trouble.name()), blocks);
        }
        if found.findings.is_empty() {
            page.section("What to do", [Block::Code(self.mends().nothing())]);
        }
        let sizes = audited.records.classes.iter().zip(audited.records.counts());
        let rows = sizes.take(MOST_BARS).map(|(name, n)| (name.clone(), vec![(n as f64, count(n))])).collect();
        page.section("Classes", [Block::Bars { series: vec!["rows".to_owned()], rows }]);
        page.section("Rows that look least like their class", self.least_like());
        page
    }

    /// The first suspects, whether or not labels were found to be wrong.
    fn least_like(&self) -> Vec<Block> {
        let found = self.found;
        if found.suspects.is_empty() {
            return Vec::new();
        }
        let head = ["line", "label", "looks like", "probability of the label"].map(str::to_owned).to_vec();
        let row = |s: &Suspect| {
            let line = self.audited.table.line(s.row).to_string();
            vec![line, self.class(s.given).to_owned(), self.class(s.proposed).to_owned(), figure(s.own)]
        };
        let rows = std::iter::once(head).chain(found.suspects.iter().take(SUSPECTS).map(row)).collect();
        let text = format!(
            "{} rows look more like another class to a {} that did not see them (right in {:.1}%). Near the border of \
             classes that overlap there always are some: labels are said to be wrong only where the share that disagrees \
             everywhere, here {:.1}% (95%: {:.1} to {:.1}%), is clearly above {:.0}%.",
            count(found.suspects.len()),
            found.learner,
            100.0 * found.accuracy,
            100.0 * found.wrong.share,
            100.0 * found.wrong.low,
            100.0 * found.wrong.high,
            100.0 * quadrat::robust::LEAST_WRONG
        );
        vec![Block::Text(text), Block::Table { rows, right: vec![0, 3] }]
    }
}

/// Classes that a page shows.
const MOST_BARS: usize = 30;

/// Suspects that a page shows.
const SUSPECTS: usize = 50;

/// Where no command can decide.
const LOOK: &str = "look at these rows: no command tells a mistake from a rarity";
