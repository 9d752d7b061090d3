//! `quadrat estimate sobol`: Sobol' indices of an external program, or of runs that were made elsewhere.

mod problem;
mod program;

use crate::args::{Reading, Run};
use crate::commands::work;
use crate::output::{Reply, check_place, count, figure, json, table, wrap};
use crate::report::{Block, Page};
use clap::{Args, ValueEnum};
use program::Program;
use quadrat::data::Missing;
use quadrat::estimate::sobol::{Index, Input, Saltelli, SobolEstimate, SobolIscv, check_design, indices_of_design};
use quadrat::{Error, Progress, Result, Seed, catalogue, find, write_atomic};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Sobol' indices of a model whose inputs are uncertain and independent.
#[derive(Args, Debug)]
#[command(after_help = HELP, group(clap::ArgGroup::new("model").required(true).args(["command", "write_design", "read_results"])))]
pub struct Sobol {
    /// TOML file that lists the inputs in order, each with a name and a law
    #[arg(long, value_name = "FILE")]
    pub problem: PathBuf,
    /// Program to run for each point, with {NAME} where the input NAME goes; it prints one number or more (outputs)
    #[arg(long, value_name = "COMMAND", requires = "calls")]
    pub command: Option<String>,
    /// Write the points at which to run the model, and stop
    #[arg(long, value_name = "FILE.csv", requires = "calls")]
    pub write_design: Option<PathBuf>,
    /// Read such a file with columns of results added, its rows in the same order
    #[arg(long, value_name = "FILE", conflicts_with = "calls")]
    pub read_results: Option<String>,
    /// Runs of the model in all
    #[arg(long, value_name = "N")]
    pub calls: Option<usize>,
    /// `saltelli`: fixed design on scrambled Sobol' points; `adaptive-iscv`: adaptive, in rounds, needs --command
    #[arg(long, value_enum, default_value_t = Method::Saltelli)]
    pub method: Method,
    /// Columns of --read-results that are outputs [default: all numeric columns that are no inputs]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', requires = "read_results")]
    pub outputs: Vec<String>,
    /// Bootstrap resamples behind errors and intervals; 0: the delta method
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub resamples: usize,
    /// Write the indices as a table
    #[arg(long, value_name = "FILE.csv", conflicts_with = "write_design")]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE", conflicts_with = "write_design")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

const HELP: &str = "\
A problem file lists the inputs, one key a line:
  [[input]]
  name = \"x1\"
  law = \"uniform\"
  min = 0
  max = 1
Laws: uniform (min max), normal (mean sd), lognormal (mu sigma, or mean sd), triangular (min mode max),
truncated-normal (mean sd min max), gumbel (location scale), weibull (shape scale [location]),
beta (a b [min max]).

With --command, --threads says how many of your program run at a time.

Examples:
  quadrat estimate sobol --problem problem.toml --command './model {x1} {x2} {x3}' --calls 4000 --seed 1
  quadrat estimate sobol --problem problem.toml --calls 4000 --write-design points.csv
  quadrat estimate sobol --problem problem.toml --read-results points_with_y.csv --json";

/// How indices are estimated.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Saltelli,
    AdaptiveIscv,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Saltelli => "saltelli",
            Method::AdaptiveIscv => "adaptive-iscv",
        }
    }
}

/// Writes a design, or estimates the indices.
pub fn run(args: &Sobol, progress: &dyn Progress) -> Result<Reply> {
    for path in [&args.write_design, &args.out, &args.report].into_iter().flatten() {
        check_place(path)?;
    }
    for (option, path) in [("--write-design", &args.write_design), ("--out", &args.out)] {
        if let Some(path) = path.as_deref().filter(|path| path.extension().is_none_or(|ending| ending != "csv")) {
            return Err(Error::input(option, path.display(), "tables are written as .csv"));
        }
    }
    let inputs = problem::read(&args.problem)?;
    if args.method == Method::AdaptiveIscv && args.command.is_none() {
        let want = "it asks for its points in rounds and so needs --command; use --method saltelli with files";
        return Err(Error::input("--method", "adaptive-iscv", want));
    }
    let calls = args.calls.unwrap_or(0);
    let saltelli = Saltelli { calls, resamples: args.resamples, ..Saltelli::default() };
    if let Some(path) = &args.write_design {
        return write_design(args, path, &saltelli, &inputs);
    }
    let (estimate, names) = match (&args.command, &args.read_results) {
        (Some(command), _) => {
            let program = Program::parse(command, &inputs)?;
            let model = |x: ndarray::ArrayView2<f64>| program.run(x, progress);
            let seed = Seed(args.run.seed);
            let estimate = match args.method {
                Method::Saltelli => saltelli.estimate(&inputs, &model, seed, progress)?,
                Method::AdaptiveIscv => {
                    let iscv = SobolIscv { calls, resamples: args.resamples, ..SobolIscv::default() };
                    iscv.estimate(&inputs, &model, seed, progress)?
                }
            };
            let names = match estimate.outputs.len() {
                1 => vec!["y".to_owned()],
                more => (1..=more).map(|k| format!("y{k}")).collect(),
            };
            (estimate, names)
        }
        (None, results) => read_results(args, results.as_deref().unwrap_or_default(), &inputs, progress)?,
    };
    for warning in &estimate.warnings {
        eprintln!("quadrat: warning: {warning}");
    }
    if let Some(path) = &args.out {
        write_table(path, &names, &estimate)?;
    }
    if let Some(path) = &args.report {
        page(args, &names, &estimate).finish(path, Some(find(&catalogue(), Method::AdaptiveIscv.name())?))?;
    }
    reply(args, &names, &estimate)
}

/// The design, one run a row.
fn write_design(args: &Sobol, path: &Path, saltelli: &Saltelli, inputs: &[Input]) -> Result<Reply> {
    let design = saltelli.design(inputs, Seed(args.run.seed))?;
    write_atomic(path, |out| {
        let names: Vec<String> = inputs.iter().map(|input| field(&input.name)).collect();
        writeln!(out, "{}", names.join(",")).map_err(|e| Error::io(path, e))?;
        for row in design.rows() {
            // Debug prints the shortest text that reads back as the same number.
            let numbers: Vec<String> = row.iter().map(|x| format!("{x:?}")).collect();
            writeln!(out, "{}", numbers.join(",")).map_err(|e| Error::io(path, e))?;
        }
        Ok(())
    })?;
    let rows = design.nrows();
    let text = format!(
        "wrote {} points to {} ({} base points, seed {})\nrun the model at each, add its results as columns, keep the order \
         of the rows, and give the file to --read-results",
        count(rows),
        path.display(),
        count(rows / (inputs.len() + 2)),
        args.run.seed
    );
    let value = json!({
        "design": path, "rows": rows, "base_points": rows / (inputs.len() + 2), "seed": args.run.seed,
        "inputs": inputs.iter().map(|input| &input.name).collect::<Vec<_>>(),
    });
    Ok(Reply::new(text, value))
}

/// Indices from a file with the design's columns and those of the results, and the results' names.
fn read_results(
    args: &Sobol,
    file: &str,
    inputs: &[Input],
    progress: &dyn Progress,
) -> Result<(SobolEstimate, Vec<String>)> {
    let results = work::read(file, &Reading::default())?;
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let mut outputs = args.outputs.clone();
    if outputs.is_empty() {
        let others = results.numeric_columns().into_iter().filter(|column| !names.contains(column));
        outputs = others.map(str::to_owned).collect();
    }
    if outputs.is_empty() {
        let want = "add the model's results as numeric columns, or name them with --outputs";
        return Err(Error::data(file, None, format!("no column of results beside the inputs; {want}")));
    }
    let design = results.numeric(&names, Missing::Error)?;
    let in_file = |e: Error| Error::data(file, None, e.to_string());
    check_design(inputs, design.view()).map_err(in_file)?;
    let y = results.numeric(&outputs, Missing::Error)?;
    let seed = Seed(args.run.seed);
    Ok((
        indices_of_design(inputs, y.view(), args.resamples, seed, progress).map_err(|e| match e {
            Error::Cancelled => e,
            other => in_file(other),
        })?,
        outputs,
    ))
}

/// A text as a field of a CSV file.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn write_table(path: &Path, names: &[String], estimate: &SobolEstimate) -> Result<()> {
    write_atomic(path, |out| {
        let mut line = |text: String| writeln!(out, "{text}").map_err(|e| Error::io(path, e));
        line("output,input,order,value,se,low,high".to_owned())?;
        for (name, output) in names.iter().zip(&estimate.outputs) {
            for (order, indices) in [("first", &output.first), ("total", &output.total)] {
                for Index { name: input, value, se, low, high } in indices {
                    let (name, input) = (field(name), field(input));
                    line(format!("{name},{input},{order},{value:?},{se:?},{low:?},{high:?}"))?;
                }
            }
        }
        Ok(())
    })
}

/// The table of one output.
fn rows(first: &[Index], total: &[Index]) -> Vec<Vec<String>> {
    let head = ["input", "first", "se", "95% interval", "total", "se", "95% interval"].map(str::to_owned).to_vec();
    let cells = |index: &Index| {
        let number = |value: f64| format!("{value:.4}");
        [number(index.value), number(index.se), format!("{} .. {}", number(index.low), number(index.high))]
    };
    let row = |(first, total): (&Index, &Index)| {
        std::iter::once(first.name.clone()).chain(cells(first)).chain(cells(total)).collect()
    };
    std::iter::once(head).chain(first.iter().zip(total).map(row)).collect()
}

const RIGHT: [usize; 6] = [1, 2, 3, 4, 5, 6];

const LEGEND: &str = "first: share of the output's variance that the input explains on its own; total: share in which it \
                      has any part. Estimates near 0 can be negative by chance.";

fn heading(args: &Sobol, estimate: &SobolEstimate) -> String {
    format!("{} runs, {}, seed {}", count(estimate.calls), args.method.name(), args.run.seed)
}

fn reply(args: &Sobol, names: &[String], estimate: &SobolEstimate) -> Result<Reply> {
    let mut text = format!("{}\n", heading(args, estimate));
    for (name, output) in names.iter().zip(&estimate.outputs) {
        text.push_str(&format!("\n{name}: mean {}, variance {}\n", figure(output.mean), figure(output.variance)));
        text.push_str(&table(&rows(&output.first, &output.total), &RIGHT));
    }
    text.push_str(&format!("\n{}", wrap(LEGEND, 0, 100)));
    for path in [&args.out, &args.report].into_iter().flatten() {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    let outputs: Vec<Value> = names
        .iter()
        .zip(&estimate.outputs)
        .map(|(name, output)| {
            let mut value = json(output)?;
            value["name"] = json!(name);
            Ok(value)
        })
        .collect::<Result<_>>()?;
    let value = json!({
        "method": args.method.name(), "problem": args.problem, "calls": estimate.calls, "seed": args.run.seed,
        "outputs": outputs, "warnings": estimate.warnings, "out": args.out,
    });
    Ok(Reply::new(text, value))
}

fn page(args: &Sobol, names: &[String], estimate: &SobolEstimate) -> Page {
    let mut page = Page::new(format!("Sobol' indices of {}", args.problem.display()), LEGEND);
    page.blocks.push(Block::Text(heading(args, estimate)));
    for (name, output) in names.iter().zip(&estimate.outputs) {
        let bar = |index: &Index| (index.value.max(0.0), format!("{:.3} ± {:.3}", index.value, index.se));
        let bars = output.first.iter().zip(&output.total);
        let bars = bars.map(|(first, total)| (first.name.clone(), vec![bar(first), bar(total)])).collect();
        let series = vec!["first order".to_owned(), "total order".to_owned()];
        let figures = Block::Table { rows: rows(&output.first, &output.total), right: RIGHT.to_vec() };
        page.section(name, [Block::Bars { series, rows: bars }, figures]);
    }
    page.section("Warnings", estimate.warnings.iter().map(|warning| Block::Text(warning.clone())));
    page
}
