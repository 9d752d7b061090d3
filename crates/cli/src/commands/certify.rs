//! `quadrat check --certify`: a program of the user's, put through the laws of its kind.

use super::line_program::{Program, Said};
use crate::args::Run;
use crate::output::{self, Reply, count, figure, json, seconds, table, wrap};
use crate::process::{self, CommandLine};
use crate::report::{Block, Page};
use clap::{Args, ValueEnum};
use quadrat::{Error, Progress, Result, Seed};
use quadrat_claims::certify::{self, Certificate, Item, Kind, Outcome, Request, Status, Subject};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Certify {
    /// Put a program of yours through the laws of its kind: it reads a JSON request a line and prints an answer a line
    #[arg(long, value_name = "COMMAND", requires = "kind", conflicts_with_all = ["method", "all", "scale", "record", "checkpoint"])]
    pub certify: Option<String>,
    /// What the program of --certify is
    #[arg(long = "as", value_enum, value_name = "KIND", requires = "certify", conflicts_with_all = ["method", "all"])]
    pub kind: Option<As>,
    /// How long one answer of the program of --certify may take
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["method", "all"], default_value_t = 30.0)]
    pub timeout: f64,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
pub enum As {
    /// Chooses k different rows
    Selector,
    /// Chooses k rows with weights that make weighted sums unbiased
    Weighted,
    /// Chooses different rows with stated inclusion probabilities
    Design,
    /// Adds rows to the smaller classes until all are equally large
    Resampler,
}

impl From<As> for Kind {
    fn from(kind: As) -> Self {
        match kind {
            As::Selector => Kind::Selector,
            As::Weighted => Kind::Weighted,
            As::Design => Kind::Design,
            As::Resampler => Kind::Resampler,
        }
    }
}

/// Certifies `command`. The exit code is 0 when all laws hold and 1 when one does not.
pub fn run(
    args: &Certify,
    command: &str,
    kind: As,
    run: &Run,
    [out, report]: [Option<&Path>; 2],
    progress: &dyn Progress,
) -> Result<Reply> {
    let limit = process::limit("--timeout", args.timeout)?;
    let mut program = Program::new("--certify", CommandLine::parse("--certify", command)?, limit, progress);
    let started = Instant::now();
    let certificate = certify::certify(&mut program, kind.into(), Seed(run.seed), progress)?;
    drop(program);
    let took = started.elapsed().as_secs_f64();
    let mut value = json(&certificate)?;
    value["certified"] = certificate.certified().into();
    value["command"] = command.into();
    value["seconds"] = took.into();
    if let Some(path) = out {
        output::write_json(path, &value)?;
    }
    if let Some(path) = report {
        page(&certificate, command, took).finish(path, None)?;
    }
    Ok(Reply { text: describe(&certificate, took), json: value, code: u8::from(!certificate.certified()) })
}

fn verdict(certificate: &Certificate) -> String {
    let kind = certificate.kind;
    match certificate.broken().map(|item| item.name.as_str()).collect::<Vec<_>>().as_slice() {
        [] => format!("certified as {kind}: all {} laws hold", certificate.items.len()),
        broken => format!("refused as {kind}; broken: {}", broken.join("; ")),
    }
}

/// What the figures under "p" and "finds" are.
fn promise(certificate: &Certificate) -> String {
    format!(
        "A sound program is refused at most once in {} certificates. A row, place or total that deviates by as much as \
         stands under \"finds\", relative to what is due, is found {} times in 100; where it is blank, a single bad answer \
         is. \"nothing\" is where none of these could be promised.",
        count((1.0 / certificate.false_alarms).round() as usize),
        figure(100.0 * certificate.power)
    )
}

fn holds(item: &Item) -> &'static str {
    match item.status {
        Status::Holds => "yes",
        Status::Broken => "NO",
        Status::NotReached => "not judged",
    }
}

/// Law, whether it holds, answers, p and what would have been found.
fn row(item: &Item) -> Vec<String> {
    let finds = match (item.finds, item.p) {
        (Some(by), _) => format!("{:.1}%", 100.0 * by),
        (None, Some(_)) => "nothing".to_owned(),
        (None, None) => String::new(),
    };
    let p = item.p.map_or_else(String::new, figure);
    let answers = if item.repetitions > 0 { count(item.repetitions as usize) } else { String::new() };
    vec![item.name.clone(), holds(item).to_owned(), answers, p, finds]
}

const HEAD: [&str; 5] = ["law", "holds", "answers", "p", "finds"];

fn describe(certificate: &Certificate, took: f64) -> String {
    let asked = count(certificate.requests as usize);
    let mut text =
        format!("{}\nseed {}, {asked} requests in {}\n\n", verdict(certificate), certificate.seed, seconds(took));
    let rows = std::iter::once(HEAD.map(str::to_owned).to_vec()).chain(certificate.items.iter().map(row));
    text.push_str(&table(&rows.collect::<Vec<_>>(), &[2, 3, 4]));
    for item in certificate.broken() {
        let _ = write!(text, "\n{}\n", item.name);
        for (what, words) in broken(item) {
            text.push_str(&wrap(&format!("{what}: {words}"), 2, 100));
        }
    }
    let _ = write!(text, "\n{}", wrap(&promise(certificate), 2, 100));
    text
}

/// What was found of a broken law, what is allowed, and where to look.
fn broken(item: &Item) -> [(&'static str, String); 3] {
    let look = item.look.clone().unwrap_or_default();
    [("found", item.measured.clone()), ("allowed", item.allowed.clone()), ("look at", look)]
}

fn page(certificate: &Certificate, command: &str, took: f64) -> Page {
    let lead = format!(
        "Put through the laws of a {}, seed {}: {} requests in {}.",
        match certificate.kind {
            Kind::Weighted => "weighted selector".to_owned(),
            kind => kind.to_string(),
        },
        certificate.seed,
        count(certificate.requests as usize),
        seconds(took)
    );
    let mut page = Page::new("Certificate of a program", lead);
    let good = Some(certificate.certified());
    page.blocks.extend([Block::Verdict { word: verdict(certificate), good }, Block::Code(command.to_owned())]);
    for item in certificate.broken() {
        let sides = broken(item).map(|(what, words)| (what.to_owned(), words)).to_vec();
        page.section(&item.name, [Block::Beside(sides)]);
    }
    let head: Vec<String> = HEAD.iter().chain(&["found", "allowed"]).map(|word| (*word).to_owned()).collect();
    let rows = certificate.items.iter().map(|item| {
        let mut cells = row(item);
        cells.extend([item.measured.clone(), item.allowed.clone()]);
        cells
    });
    let rows = std::iter::once(head).chain(rows).collect();
    page.section("Laws", [Block::Table { rows, right: vec![2, 3, 4] }, Block::Text(promise(certificate))]);
    page
}

impl Subject for Program<'_> {
    fn ask(&mut self, request: &Request) -> Result<Outcome> {
        let line = serde_json::to_string(request).map_err(|e| Error::numeric("a request", e.to_string()))? + "\n";
        Ok(match self.say(&line)? {
            Said::Line(text) => Outcome::parse(&text, request),
            Said::Fault(why) => Outcome::Fault(why),
        })
    }

    fn restart(&mut self) {
        Program::restart(self);
    }
}
