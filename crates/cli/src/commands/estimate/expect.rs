//! `quadrat estimate expect`: means and probabilities of an external program's outputs, or of runs made elsewhere.

use super::model::{Asked, Evidence};
use super::simulator::Simulator;
use super::{design_file, problem, simulator};
use crate::args::Run;
use crate::output::{Reply, count, figure, table, wrap};
use crate::parameters::Declared;
use clap::{Args, ValueEnum};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use quadrat::estimate::expect::{Expect, ExpectIscv, Means};
use quadrat::estimate::sobol::{Factors, Way};
use quadrat::{Choice, Error, Progress, Result, Seed, write_atomic};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Means and probabilities of a model's outputs when its inputs are uncertain, with 95% intervals.
#[derive(Args, Debug)]
#[command(after_help = help(), group(clap::ArgGroup::new("model").required(true).args(["command", "write_design", "read_results"])))]
pub struct Expectation {
    #[command(flatten)]
    pub model: Asked,
    /// `sobol`: scrambled Sobol' points, or independent ones; `adaptive-iscv`: importance sampling in rounds
    #[arg(long, value_enum, default_value_t = Points::Sobol)]
    pub method: Points,
    #[command(flatten)]
    pub points: Declared<Expect>,
    /// Also the probability of an event, such as "y > 3" or "y2 <= 0.5"; may be given several times
    #[arg(long, value_name = "OUTPUT OP NUMBER")]
    pub event: Vec<String>,
    /// Write the figures as a table
    #[arg(long, value_name = "FILE.csv", conflicts_with = "write_design")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

const HELP: &str = "\
Outputs that are 0 or 1 at every point are events: their intervals are those of Clopper and Pearson, exact on independent
points and on the safe side on Sobol' points. Use powers of two for the calls of a scramble.

Examples:
  quadrat estimate expect --problem problem.toml --command './model {x1} {x2} {x3}' --calls 4096 --event 'y > 10'
  quadrat estimate expect --problem problem.toml --command './model {x1} {x2} {x3}' --calls 4096 --runs runs.jsonl \\
    --method adaptive-iscv --event 'y > 17'
  quadrat estimate expect --problem problem.toml --read-results rows.csv --scrambles 0";

fn help() -> String {
    format!("{}\n\n{}\n\n{HELP}", problem::HELP, simulator::HELP)
}

/// Where the points come from.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    Sobol,
    AdaptiveIscv,
}

/// `y > 3`: an output, how it is compared, and with what.
#[derive(Debug)]
struct Event {
    text: String,
    output: String,
    holds: Holds,
    bound: f64,
}

/// Whether an output is on the event's side of its bound.
type Holds = fn(&f64, &f64) -> bool;

impl Event {
    fn parse(text: &str) -> Result<Event> {
        let wrong = |got: &str| {
            let want = "write an output, one of < <= > >=, and a number, such as \"y > 3\"";
            Error::input("--event", format!("`{got}`"), want)
        };
        let ways: [(&str, Holds); 4] = [("<=", f64::le), (">=", f64::ge), ("<", f64::lt), (">", f64::gt)];
        let found = ways.iter().find_map(|(way, holds)| Some((text.split_once(way)?, *holds)));
        let ((output, bound), holds) = found.ok_or_else(|| wrong(text))?;
        let bound: f64 =
            bound.trim().parse().ok().filter(|bound: &f64| bound.is_finite()).ok_or_else(|| wrong(text))?;
        match output.trim() {
            "" => Err(wrong(text)),
            output => Ok(Event { text: text.trim().to_owned(), output: output.to_owned(), holds, bound }),
        }
    }
}

/// The outputs with a column more for each event: 1 where it happened, 0 where not, NaN where the output is missing.
fn with_events(y: Array2<f64>, names: &[String], events: &[Event]) -> Result<Array2<f64>> {
    let mut all = y;
    for event in events {
        let at = names.iter().position(|name| *name == event.output).ok_or_else(|| {
            let want = format!("the outputs are {}", names.join(", "));
            Error::input(format!("--event {}", event.text), format!("output `{}`", event.output), want)
        })?;
        let happened =
            |y: &f64| if y.is_finite() { f64::from(u8::from((event.holds)(y, &event.bound))) } else { f64::NAN };
        let column = all.column(at).map(happened).insert_axis(Axis(1));
        let joined = concatenate(Axis(1), &[all.view(), column.view()]);
        all = joined.map_err(|e| Error::numeric("events", e.to_string()))?;
    }
    Ok(all)
}

/// Writes the points, or estimates the means.
pub fn run(args: &Expectation, progress: &dyn Progress) -> Result<Reply> {
    let factors = args.model.problem(args.out.as_deref())?;
    let events: Vec<Event> = args.event.iter().map(|event| Event::parse(event)).collect::<Result<_>>()?;
    if args.method == Points::AdaptiveIscv && args.model.external.command.is_none() {
        let want = "it asks for its points in rounds and so needs --command; use --method sobol with files";
        return Err(Error::input("--method", Way::AdaptiveIscv.name(), want));
    }
    let expect = Expect { calls: args.model.calls()?, ..args.points.settings()? };
    if let Some(path) = &args.model.write_design {
        return write_design(args, path, expect, &factors);
    }
    let (means, mut evidence) = match (&args.model.external.command, &args.model.read_results) {
        (Some(command), _) => run_program(args, command, expect, &factors, &events, progress)?,
        (None, Some(file)) => read_results(args, file, expect, &factors, &events)?,
        (None, None) => return Err(args.model.no_runs()),
    };
    evidence.names.extend(events.into_iter().map(|event| event.text));
    for warning in &means.warnings {
        eprintln!("quadrat: warning: {warning}");
    }
    if let Some(path) = &args.out {
        write_table(path, &evidence.names, &means)?;
    }
    reply(args, expect.scrambles, &means, evidence)
}

/// The points, one run a row.
fn write_design(args: &Expectation, path: &Path, expect: Expect, factors: &Factors) -> Result<Reply> {
    let design = expect.design(factors.joint(), Seed(args.run.seed))?;
    design_file::write(path, factors.inputs(), design.view())?;
    let text = format!(
        "wrote {} points to {} ({} scrambles, seed {})\nrun the model at each, add its results as columns, keep the order \
         of the rows, and give the file to --read-results with the same --scrambles and --seed",
        count(design.nrows()),
        path.display(),
        expect.scrambles,
        args.run.seed
    );
    let value = json!({ "design": path, "rows": design.nrows(), "scrambles": expect.scrambles, "seed": args.run.seed });
    Ok(Reply::new(text, value))
}

/// Means of a program's outputs.
fn run_program(
    args: &Expectation,
    command: &str,
    expect: Expect,
    factors: &Factors,
    events: &[Event],
    progress: &dyn Progress,
) -> Result<(Means, Evidence)> {
    let simulator = Simulator::open(&args.model.external, command, factors.inputs(), progress)?;
    let names = OnceLock::new();
    let model = |x: ArrayView2<f64>| {
        let y = simulator.run(x)?;
        let names = names.get_or_init(|| design_file::names(y.ncols()));
        with_events(y, names, events)
    };
    let seed = Seed(args.run.seed);
    let means = match args.method {
        Points::Sobol => expect.estimate(factors.joint(), &model, seed, progress),
        Points::AdaptiveIscv => {
            let iscv = ExpectIscv { calls: expect.calls, ..ExpectIscv::default() };
            iscv.estimate(factors.joint(), &model, seed, progress)
        }
    };
    let mut means = means.inspect_err(|_| simulator.rescue(&args.model.problem))?;
    means.warnings.splice(0..0, simulator.warning());
    Ok((means, Evidence::of_program(&simulator, names.into_inner().unwrap_or_default())))
}

/// Means from a file: of the design that these options make, or of independent rows.
fn read_results(
    args: &Expectation,
    file: &str,
    expect: Expect,
    factors: &Factors,
    events: &[Event],
) -> Result<(Means, Evidence)> {
    let results = design_file::read(file, &args.model.outputs, factors.inputs())?;
    let rows = results.x.nrows();
    let expect = Expect { calls: rows, ..expect };
    if expect.scrambles > 0 {
        let design = expect.design(factors.joint(), Seed(args.run.seed))?;
        if design != results.x {
            let why = format!(
                "its {rows} rows are not the points of this problem for --scrambles {} --seed {}, in their order; for rows \
                 that were drawn independently from the laws give --scrambles 0",
                expect.scrambles, args.run.seed
            );
            return Err(Error::data(file, None, why));
        }
    }
    for (row, x) in results.x.rows().into_iter().enumerate() {
        for (input, x) in factors.inputs().iter().zip(x) {
            if input.law.ln_pdf(*x) == f64::NEG_INFINITY {
                let why = format!("input `{}` is {x}, which is impossible under its law", input.name);
                return Err(Error::data(file, row as u64 + 1, why));
            }
        }
    }
    let y = with_events(results.y.clone(), &results.names, events)?;
    let means = expect.means(y.view()).map_err(|e| Error::data(file, None, e.to_string()))?;
    Ok((means, Evidence::of_file(results)))
}

fn write_table(path: &Path, names: &[String], means: &Means) -> Result<()> {
    write_atomic(path, |out| {
        let mut line = |text: String| writeln!(out, "{text}").map_err(|e| Error::io(path, e));
        line("output,value,se,low,high".to_owned())?;
        for (name, mean) in names.iter().zip(&means.outputs) {
            line(format!(
                "{},{:?},{:?},{:?},{:?}",
                design_file::field(name),
                mean.value,
                mean.se,
                mean.low,
                mean.high
            ))?;
        }
        Ok(())
    })
}

fn reply(args: &Expectation, scrambles: usize, means: &Means, evidence: Evidence) -> Result<Reply> {
    let how = match (args.method, scrambles) {
        (Points::AdaptiveIscv, _) => "adaptive importance sampling".to_owned(),
        (Points::Sobol, 0) => "independent points".to_owned(),
        (Points::Sobol, scrambles) => format!("{scrambles} scrambles of Sobol' points"),
    };
    let mut text = format!("{} runs, {how}, seed {}\n{}", count(means.calls), args.run.seed, evidence.summary());
    let head = ["output", "mean", "se", "95% interval", "hits"].map(str::to_owned).to_vec();
    let rows = evidence.names.iter().zip(&means.outputs).map(|(name, mean)| {
        let interval = format!("{} .. {}", figure(mean.low), figure(mean.high));
        let hits = mean.hits.map_or_else(String::new, count);
        vec![name.clone(), figure(mean.value), figure(mean.se), interval, hits]
    });
    text.push_str(&format!("\n{}", table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[1, 2, 3, 4])));
    if means.outputs.iter().any(|mean| mean.hits.is_some()) {
        let legend = "An output that is 0 or 1 at every point is an event: its mean is a probability, its hits the points \
                      where it happened.";
        text.push_str(&format!("\n{}", wrap(legend, 0, 100)));
    }
    if let Some(path) = &args.out {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    let method = if args.method == Points::Sobol { "sobol" } else { Way::AdaptiveIscv.name() };
    let value = json!({
        "method": method, "scrambles": scrambles, "problem": args.model.problem, "calls": means.calls,
        "left_out": means.left_out, "seed": args.run.seed, "warnings": means.warnings, "out": args.out,
    });
    evidence.reply(text, value, &means.outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn events_are_read_and_looked_up() {
        let names = ["y1".to_owned(), "y2".to_owned()];
        let y = array![[1.0, 5.0], [3.0, f64::NAN], [4.0, 7.0]];
        for (text, column) in [
            ("y1 > 3", [0.0, 0.0, 1.0]),
            ("y1>=3", [0.0, 1.0, 1.0]),
            (" y1 <3e0", [1.0, 0.0, 0.0]),
            ("y1 <= -1", [0.0, 0.0, 0.0]),
        ] {
            let all = with_events(y.clone(), &names, &[Event::parse(text).unwrap()]).unwrap();
            assert_eq!(all.column(2).to_vec(), column, "{text}");
        }
        let all = with_events(y.clone(), &names, &[Event::parse("y2 > 6").unwrap()]).unwrap();
        assert!(all[[1, 2]].is_nan() && all[[2, 2]] == 1.0);
        for text in ["y1", "> 3", "y1 > three", "y1 == 3", "y1 > inf", ""] {
            assert!(Event::parse(text).unwrap_err().to_string().contains("such as"), "{text}");
        }
        let error = with_events(y, &names, &[Event::parse("z > 3").unwrap()]).unwrap_err().to_string();
        assert!(error.contains("`z`") && error.contains("y1, y2"), "{error}");
    }
}
