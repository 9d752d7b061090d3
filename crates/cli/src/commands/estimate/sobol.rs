//! `quadrat estimate sobol`: Sobol' indices of an external program, or of runs that were made elsewhere.

use super::model::{Asked, Evidence};
use super::simulator::Simulator;
use super::{design_file, problem, simulator};
use crate::args::Run;
use crate::commands::roles;
use crate::output::{Reply, check_place, count, figure, table, wrap};
use crate::parameters::Declared;
use crate::report::{Block, Page};
use clap::Args;
use quadrat::estimate::sobol::{
    Factors, Index, Orders, OutputIndices, Saltelli, SobolEstimate, SobolIscv, SobolSettings, Way,
};
use quadrat::{Choice, Error, Progress, Result, Seed, catalogue, find, write_atomic};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Sobol' indices of a model whose inputs are uncertain: of single inputs or of groups, independent or correlated.
#[derive(Args, Debug)]
#[command(after_help = help(), group(clap::ArgGroup::new("model").required(true).args(["command", "write_design", "read_results"])))]
pub struct Sobol {
    #[command(flatten)]
    pub model: Asked,
    #[command(flatten)]
    pub settings: Declared<SobolSettings>,
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
Intervals: one scramble gives the least error, but cannot tell how small it is; its 95% intervals, which take base points
for independent, are too wide (they cover in 99 to 100% of cases on smooth models). With --scrambles 8 they come from the
scatter of 8 replicates and are as wide as they should be, but for as many runs the error itself is larger.

Examples:
  quadrat estimate sobol --problem problem.toml --command './model {x1} {x2} {x3}' --calls 4000 --seed 1
  quadrat estimate sobol --problem problem.toml --command './model {x1} {x2} {x3}' --calls 4096 --scrambles 8 \\
    --runs runs.jsonl --timeout 60 --retries 1
  quadrat estimate sobol --problem problem.toml --calls 4000 --order second --write-design points.csv
  quadrat estimate sobol --problem problem.toml --order second --read-results points_with_y.csv --json";

fn help() -> String {
    format!("{}\n\n{}\n\n{HELP}", problem::HELP, simulator::HELP)
}

/// Writes a design, or estimates the indices.
pub fn run(args: &Sobol, progress: &dyn Progress) -> Result<Reply> {
    let factors = args.model.problem(args.out.as_deref())?;
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let SobolSettings { method, saltelli } = args.settings.settings()?;
    let saltelli = Saltelli { calls: args.model.calls()?, ..saltelli };
    let job = Job { args, factors, method, saltelli };
    match &args.model.write_design {
        _ if method == Way::AdaptiveIscv => job.check_adaptive()?,
        Some(path) => return job.write_design(path),
        None => {}
    }
    let (estimate, evidence) = match (&args.model.external.command, &args.model.read_results) {
        (Some(command), _) => job.run(command, progress)?,
        (None, Some(results)) => job.read_results(results, progress)?,
        (None, None) => return Err(args.model.no_runs()),
    };
    for warning in &estimate.warnings {
        eprintln!("quadrat: warning: {warning}");
    }
    if let Some(path) = &args.out {
        write_table(path, &evidence.names, &estimate)?;
    }
    if let Some(path) = &args.report {
        let mut page = job.page(&evidence.names, &estimate);
        page.section("Columns", evidence.read().into_iter().flat_map(|read| roles::blocks(&read.uses)));
        page.finish(path, Some(find(&catalogue(), Way::AdaptiveIscv.name())?))?;
    }
    job.reply(evidence, &estimate)
}

/// What is to be done.
struct Job<'a> {
    args: &'a Sobol,
    factors: Factors,
    method: Way,
    saltelli: Saltelli,
}

impl Job<'_> {
    /// That the adaptive way is asked for nothing that it does not do.
    fn check_adaptive(&self) -> Result<()> {
        let refuse = |got: &str, want: &str| Err(Error::input("--method adaptive-iscv", got, want));
        if self.args.model.external.command.is_none() {
            let want = "it asks for its points in rounds and so needs one; use --method saltelli with files";
            return refuse("no --command", want);
        }
        if self.saltelli.orders != Orders::FirstAndTotal {
            return refuse("--order", "it estimates first and total order together; use --method saltelli");
        }
        if self.saltelli.scrambles != 1 {
            return refuse("--scrambles", "its points are random and need no scrambles; use --method saltelli");
        }
        Ok(())
    }

    /// The indices of a program.
    fn run(&self, command: &str, progress: &dyn Progress) -> Result<(SobolEstimate, Evidence)> {
        let Job { args, factors, saltelli, .. } = self;
        let simulator = Simulator::open(&args.model.external, command, factors.inputs(), progress)?;
        let model = |x: ndarray::ArrayView2<f64>| simulator.run(x);
        let seed = Seed(args.run.seed);
        let estimate = match self.method {
            Way::Saltelli => saltelli.estimate(factors, &model, seed, progress),
            Way::AdaptiveIscv => {
                let Saltelli { calls, resamples, .. } = *saltelli;
                SobolIscv { calls, resamples, ..SobolIscv::default() }.estimate(factors, &model, seed, progress)
            }
        };
        let mut estimate = estimate.inspect_err(|_| simulator.rescue(&args.model.problem))?;
        estimate.warnings.splice(0..0, simulator.warning());
        let names = design_file::names(estimate.outputs.len());
        Ok((estimate, Evidence::of_program(&simulator, names)))
    }

    /// The design, one run a row.
    fn write_design(&self, path: &Path) -> Result<Reply> {
        let Job { args, factors, saltelli, .. } = self;
        let design = saltelli.design(factors, Seed(args.run.seed))?;
        design_file::write(path, factors.inputs(), design.view())?;
        let rows = design.nrows();
        let base_points = rows / saltelli.runs_of_a_point(factors)?;
        let order = saltelli.orders.name();
        let same: Vec<String> = [(saltelli.orders != Orders::FirstAndTotal).then(|| format!("--order {order}"))]
            .into_iter()
            .chain([(saltelli.scrambles > 1).then(|| format!("--scrambles {}", saltelli.scrambles))])
            .flatten()
            .collect();
        let same = if same.is_empty() { String::new() } else { format!(" with the same {}", same.join(" and ")) };
        let text = format!(
            "wrote {} points to {} ({} base points, seed {})\nrun the model at each, add its results as columns, keep the \
             order of the rows, and give the file to --read-results{same}",
            count(rows),
            path.display(),
            count(base_points),
            args.run.seed
        );
        let value = json!({
            "design": path, "rows": rows, "base_points": base_points, "seed": args.run.seed, "order": order,
            "scrambles": saltelli.scrambles,
            "inputs": factors.inputs().iter().map(|input| &input.name).collect::<Vec<_>>(),
        });
        Ok(Reply::new(text, value))
    }

    /// Indices from a file with the design's columns and those of the results.
    fn read_results(&self, file: &str, progress: &dyn Progress) -> Result<(SobolEstimate, Evidence)> {
        let Job { args, factors, saltelli, .. } = self;
        let results = design_file::read(file, &args.model.outputs, factors.inputs())?;
        let in_file = |e: Error| Error::data(file, None, e.to_string());
        saltelli.check_design(factors, results.x.view()).map_err(|e| {
            // Its order may be another one than was asked for.
            let fits = |orders: &Orders| {
                let other = Saltelli { orders: *orders, ..*saltelli };
                other.check_design(factors, results.x.view()).is_ok()
            };
            let all = [Orders::FirstAndTotal, Orders::Second, Orders::First, Orders::Total];
            match all.into_iter().filter(|orders| *orders != saltelli.orders).find(fits) {
                Some(orders) => {
                    let want = format!("this design is of --order {}", orders.name());
                    in_file(Error::input("--order", saltelli.orders.name(), want))
                }
                None => in_file(e),
            }
        })?;
        let found =
            saltelli.indices(factors, results.y.view(), Seed(args.run.seed), progress).map_err(|e| match e {
                Error::Cancelled => e,
                other => in_file(other),
            })?;
        Ok((found, Evidence::of_file(results)))
    }

    fn legend(&self) -> &'static str {
        if self.factors.dependent() { DEPENDENT } else { LEGEND }
    }

    fn heading(&self, estimate: &SobolEstimate) -> String {
        let scrambles = match self.saltelli.scrambles {
            scrambles if scrambles > 1 => format!(" in {scrambles} scrambles"),
            _ => String::new(),
        };
        format!("{} runs{scrambles}, {}, seed {}", count(estimate.calls), self.method.name(), self.args.run.seed)
    }

    fn reply(&self, evidence: Evidence, estimate: &SobolEstimate) -> Result<Reply> {
        let Job { args, saltelli, .. } = self;
        let mut text = format!("{}\n{}", self.heading(estimate), evidence.summary());
        for (name, output) in evidence.names.iter().zip(&estimate.outputs) {
            text.push_str(&format!("\n{name}: mean {}, variance {}\n", figure(output.mean), figure(output.variance)));
            let tables: Vec<String> = rows(output).iter().map(|rows| table(rows, &RIGHT)).collect();
            text.push_str(&tables.join("\n"));
        }
        text.push_str(&format!("\n{}", wrap(self.legend(), 0, 100)));
        for path in [&args.out, &args.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        let value = json!({
            "method": self.method.name(), "order": saltelli.orders.name(), "scrambles": saltelli.scrambles,
            "problem": args.model.problem, "calls": estimate.calls, "base_points_left_out": estimate.left_out,
            "dependent": self.factors.dependent(), "seed": args.run.seed, "warnings": estimate.warnings,
            "out": args.out,
        });
        evidence.reply(text, value, &estimate.outputs)
    }

    fn page(&self, names: &[String], estimate: &SobolEstimate) -> Page {
        let mut page = Page::new(format!("Sobol' indices of {}", self.args.model.problem.display()), self.legend());
        page.blocks.push(Block::Text(self.heading(estimate)));
        for (name, output) in names.iter().zip(&estimate.outputs) {
            let bar = |index: &Index| (index.value.max(0.0), format!("{:.3} ± {:.3}", index.value, index.se));
            let asked: Vec<(&str, &[Index])> = orders(output)[..2]
                .iter()
                .filter(|(_, all)| !all.is_empty())
                .map(|(order, all)| (*order, *all))
                .collect();
            let bars = (0..self.factors.count())
                .map(|i| (self.factors.names()[i].clone(), asked.iter().map(|(_, all)| bar(&all[i])).collect()))
                .collect();
            let series = asked.iter().map(|(order, _)| format!("{order} order")).collect();
            let tables = rows(output).into_iter().map(|rows| Block::Table { rows, right: RIGHT.to_vec() });
            page.section(name, std::iter::once(Block::Bars { series, rows: bars }).chain(tables));
        }
        page.section("Warnings", estimate.warnings.iter().map(|warning| Block::Text(warning.clone())));
        page
    }
}

/// The indices of all orders, with their names.
fn orders(output: &OutputIndices) -> [(&'static str, &[Index]); 3] {
    [("first", &output.first), ("total", &output.total), ("second", &output.second)]
}

fn write_table(path: &Path, names: &[String], estimate: &SobolEstimate) -> Result<()> {
    let pairs = estimate.outputs.iter().any(|output| !output.second.is_empty());
    let with = if pairs { ",with" } else { "" };
    write_atomic(path, |out| {
        let mut line = |text: String| writeln!(out, "{text}").map_err(|e| Error::io(path, e));
        line(format!("output,input{with},order,value,se,low,high"))?;
        for (name, output) in names.iter().zip(&estimate.outputs) {
            for (order, index) in
                orders(output).iter().flat_map(|(order, all)| all.iter().map(move |index| (order, index)))
            {
                let Index { name: input, with, value, se, low, high } = index;
                let (name, input) = (design_file::field(name), design_file::field(input));
                let with = if pairs {
                    format!(",{}", design_file::field(with.as_deref().unwrap_or("")))
                } else {
                    String::new()
                };
                line(format!("{name},{input}{with},{order},{value:?},{se:?},{low:?},{high:?}"))?;
            }
        }
        Ok(())
    })
}

/// The tables of one output: of single factors, and of pairs.
fn rows(output: &OutputIndices) -> Vec<Vec<Vec<String>>> {
    let number = |value: f64| format!("{value:.4}");
    let cells = |index: &Index| {
        [number(index.value), number(index.se), format!("{} .. {}", number(index.low), number(index.high))]
    };
    let asked: Vec<(&str, &[Index])> =
        orders(output)[..2].iter().filter(|(_, all)| !all.is_empty()).map(|(order, all)| (*order, *all)).collect();
    let head = |first: &str, orders: &[&str]| {
        let columns = orders.iter().flat_map(|order| [*order, "se", "95% interval"]);
        std::iter::once(first).chain(columns).map(str::to_owned).collect::<Vec<String>>()
    };
    let factors = asked.first().map_or(0, |(_, all)| all.len());
    let row = |i: usize| {
        let name = asked[0].1[i].name.clone();
        std::iter::once(name).chain(asked.iter().flat_map(|(_, all)| cells(&all[i]))).collect::<Vec<String>>()
    };
    let names: Vec<&str> = asked.iter().map(|(order, _)| *order).collect();
    let mut tables = vec![std::iter::once(head("input", &names)).chain((0..factors).map(row)).collect::<Vec<_>>()];
    if !output.second.is_empty() {
        let pair = |index: &Index| {
            let name =
                [Some(index.name.as_str()), index.with.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
            std::iter::once(name).chain(cells(index)).collect()
        };
        tables.push(std::iter::once(head("pair", &["second"])).chain(output.second.iter().map(pair)).collect());
    }
    tables
}

const RIGHT: [usize; 6] = [1, 2, 3, 4, 5, 6];

const LEGEND: &str = "first: share of the output's variance that the input explains on its own; total: share in which it \
                      has any part. Estimates near 0 can be negative by chance.";

const DEPENDENT: &str = "Inputs are correlated across these factors (Kucherenko, Tarantola, Annoni 2012). first: share of \
                         the output's variance that knowing the input explains, what it tells about the others included; \
                         total: share that is left when all others are known. First orders may sum to more than 1, and a \
                         total may be below a first: for shares that add up, put correlated inputs into one group.";
