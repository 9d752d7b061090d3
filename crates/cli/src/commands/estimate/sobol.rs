//! `quadrat estimate sobol`: Sobol' indices of an external program, or of runs that were made elsewhere.

use super::design_file::Results;
use super::model::Asked;
use super::simulator::Simulator;
use super::{design_file, problem, simulator};
use crate::args::Run;
use crate::commands::roles;
use crate::output::{Reply, check_place, count, figure, json, table, wrap};
use crate::report::{Block, Page};
use clap::{Args, ValueEnum};
use quadrat::estimate::sobol::{Factors, Index, Orders, OutputIndices, Saltelli, SobolEstimate, SobolIscv};
use quadrat::{Error, Progress, Result, Seed, catalogue, find, write_atomic};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Sobol' indices of a model whose inputs are uncertain: of single inputs or of groups, independent or correlated.
#[derive(Args, Debug)]
#[command(after_help = help(), group(clap::ArgGroup::new("model").required(true).args(["command", "write_design", "read_results"])))]
pub struct Sobol {
    #[command(flatten)]
    pub model: Asked,
    /// `saltelli`: fixed design on scrambled Sobol' points; `adaptive-iscv`: adaptive, in rounds, needs --command
    #[arg(long, value_enum, default_value_t = Method::Saltelli)]
    pub method: Method,
    /// Indices to estimate: a base point takes g + 1 runs for `first` or `total`, g + 2 for `both`, 2 g + 2 for `second`
    /// (pairs as well), with g inputs or groups; 2 g + 2 for `both` where they are correlated
    #[arg(long, value_enum, default_value_t = Order::Both)]
    pub order: Order,
    /// Independent scrambles that the runs are shared out to; from 2 on, intervals come from their scatter
    #[arg(long, value_name = "R", default_value_t = 1)]
    pub scrambles: usize,
    /// Bootstrap resamples behind errors and intervals with one scramble; 0: the delta method
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

/// How indices are estimated.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Saltelli,
    AdaptiveIscv,
}

impl Method {
    /// Its slug.
    pub fn name(self) -> &'static str {
        match self {
            Method::Saltelli => "saltelli",
            Method::AdaptiveIscv => "adaptive-iscv",
        }
    }
}

/// Which indices are estimated.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    First,
    Total,
    Both,
    Second,
}

impl Order {
    fn orders(self) -> Orders {
        match self {
            Order::First => Orders::First,
            Order::Total => Orders::Total,
            Order::Both => Orders::FirstAndTotal,
            Order::Second => Orders::Second,
        }
    }
}

/// Writes a design, or estimates the indices.
pub fn run(args: &Sobol, progress: &dyn Progress) -> Result<Reply> {
    for path in [&args.model.write_design, &args.out, &args.report].into_iter().flatten() {
        check_place(path)?;
    }
    for (option, path) in [("--write-design", &args.model.write_design), ("--out", &args.out)] {
        path.iter().try_for_each(|path| design_file::check_ending(option, path))?;
    }
    let factors = problem::read(&args.model.problem)?;
    if args.method == Method::AdaptiveIscv {
        let refuse = |got: &str, want: &str| Err(Error::input("--method adaptive-iscv", got, want));
        if args.model.external.command.is_none() {
            return refuse(
                "no --command",
                "it asks for its points in rounds and so needs one; use --method saltelli with files",
            );
        }
        if args.order != Order::Both {
            return refuse("--order", "it estimates first and total order together; use --method saltelli");
        }
        if args.scrambles != 1 {
            return refuse("--scrambles", "its points are random and need no scrambles; use --method saltelli");
        }
    }
    let calls = args.model.calls.unwrap_or(0);
    let saltelli = Saltelli {
        calls,
        resamples: args.resamples,
        orders: args.order.orders(),
        scrambles: args.scrambles,
        ..Saltelli::default()
    };
    if let Some(path) = &args.model.write_design {
        return write_design(args, path, &saltelli, &factors);
    }
    let seed = Seed(args.run.seed);
    let (estimate, names, runs, read) = match (&args.model.external.command, &args.model.read_results) {
        (Some(command), _) => {
            let simulator = Simulator::open(&args.model.external, command, factors.inputs(), progress)?;
            let model = |x: ndarray::ArrayView2<f64>| simulator.run(x);
            let estimate = match args.method {
                Method::Saltelli => saltelli.estimate(&factors, &model, seed, progress),
                Method::AdaptiveIscv => {
                    let iscv = SobolIscv { calls, resamples: args.resamples, ..SobolIscv::default() };
                    iscv.estimate(&factors, &model, seed, progress)
                }
            };
            let mut estimate = estimate.inspect_err(|_| simulator.rescue(&args.model.problem))?;
            estimate.warnings.splice(0..0, simulator.warning());
            let names = design_file::names(estimate.outputs.len());
            (estimate, names, Some((simulator.summary(), simulator.json())), None)
        }
        (None, results) => {
            let (estimate, results) =
                read_results(&saltelli, results.as_deref().unwrap_or_default(), args, &factors, progress)?;
            (estimate, results.names.clone(), None, Some(results))
        }
    };
    for warning in &estimate.warnings {
        eprintln!("quadrat: warning: {warning}");
    }
    if let Some(path) = &args.out {
        write_table(path, &names, &estimate)?;
    }
    if let Some(path) = &args.report {
        let mut page = page(args, &factors, &names, &estimate);
        page.section("Columns", read.iter().flat_map(|read| roles::blocks(&read.uses)));
        page.finish(path, Some(find(&catalogue(), Method::AdaptiveIscv.name())?))?;
    }
    reply(args, &factors, &names, &estimate, runs, read.as_ref())
}

/// The design, one run a row.
fn write_design(args: &Sobol, path: &Path, saltelli: &Saltelli, factors: &Factors) -> Result<Reply> {
    let design = saltelli.design(factors, Seed(args.run.seed))?;
    design_file::write(path, factors.inputs(), design.view())?;
    let rows = design.nrows();
    let base_points = rows / saltelli.runs_of_a_point(factors)?;
    let same: Vec<String> = [(args.order != Order::Both).then(|| format!("--order {}", name(args.order)))]
        .into_iter()
        .chain([(args.scrambles > 1).then(|| format!("--scrambles {}", args.scrambles))])
        .flatten()
        .collect();
    let same = if same.is_empty() { String::new() } else { format!(" with the same {}", same.join(" and ")) };
    let text = format!(
        "wrote {} points to {} ({} base points, seed {})\nrun the model at each, add its results as columns, keep the order \
         of the rows, and give the file to --read-results{same}",
        count(rows),
        path.display(),
        count(base_points),
        args.run.seed
    );
    let value = json!({
        "design": path, "rows": rows, "base_points": base_points, "seed": args.run.seed, "order": name(args.order),
        "scrambles": args.scrambles,
        "inputs": factors.inputs().iter().map(|input| &input.name).collect::<Vec<_>>(),
    });
    Ok(Reply::new(text, value))
}

fn name(order: Order) -> String {
    order.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Indices from a file with the design's columns and those of the results, and the results' names.
fn read_results(
    saltelli: &Saltelli,
    file: &str,
    args: &Sobol,
    factors: &Factors,
    progress: &dyn Progress,
) -> Result<(SobolEstimate, Results)> {
    let results = design_file::read(file, &args.model.outputs, factors.inputs())?;
    let in_file = |e: Error| Error::data(file, None, e.to_string());
    saltelli.check_design(factors, results.x.view()).map_err(|e| {
        // Its order may be another one than was asked for.
        let fits = |order: &&Order| {
            let other = Saltelli { orders: order.orders(), ..*saltelli };
            other.check_design(factors, results.x.view()).is_ok()
        };
        let all = [Order::Both, Order::Second, Order::First, Order::Total];
        match all.iter().filter(|order| **order != args.order).find(fits) {
            Some(order) => in_file(Error::input(
                "--order",
                name(args.order),
                format!("this design is of --order {}", name(*order)),
            )),
            None => in_file(e),
        }
    })?;
    let found = saltelli.indices(factors, results.y.view(), Seed(args.run.seed), progress).map_err(|e| match e {
        Error::Cancelled => e,
        other => in_file(other),
    })?;
    Ok((found, results))
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
            let name = format!("{}, {}", index.name, index.with.as_deref().unwrap_or_default());
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

fn legend(factors: &Factors) -> &'static str {
    if factors.dependent() { DEPENDENT } else { LEGEND }
}

fn heading(args: &Sobol, estimate: &SobolEstimate) -> String {
    let scrambles = if args.scrambles > 1 { format!(" in {} scrambles", args.scrambles) } else { String::new() };
    format!("{} runs{scrambles}, {}, seed {}", count(estimate.calls), args.method.name(), args.run.seed)
}

fn reply(
    args: &Sobol,
    factors: &Factors,
    names: &[String],
    estimate: &SobolEstimate,
    runs: Option<(Option<String>, Value)>,
    read: Option<&Results>,
) -> Result<Reply> {
    let mut text = format!("{}\n", heading(args, estimate));
    if let Some((Some(summary), _)) = &runs {
        text.push_str(&format!("{summary}\n"));
    }
    for (name, output) in names.iter().zip(&estimate.outputs) {
        text.push_str(&format!("\n{name}: mean {}, variance {}\n", figure(output.mean), figure(output.variance)));
        let tables: Vec<String> = rows(output).iter().map(|rows| table(rows, &RIGHT)).collect();
        text.push_str(&tables.join("\n"));
    }
    text.push_str(&format!("\n{}", wrap(legend(factors), 0, 100)));
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
    let mut value = json!({
        "method": args.method.name(), "order": name(args.order), "scrambles": args.scrambles, "problem": args.model.problem,
        "calls": estimate.calls, "base_points_left_out": estimate.left_out, "dependent": factors.dependent(),
        "seed": args.run.seed, "runs": runs.map(|(_, json)| json),
        "outputs": outputs, "warnings": estimate.warnings, "out": args.out,
    });
    if let Some(Results { table, uses, .. }) = read {
        roles::tell(table, uses, &mut text, &mut value);
    }
    Ok(Reply::new(text, value))
}

fn page(args: &Sobol, factors: &Factors, names: &[String], estimate: &SobolEstimate) -> Page {
    let mut page = Page::new(format!("Sobol' indices of {}", args.model.problem.display()), legend(factors));
    page.blocks.push(Block::Text(heading(args, estimate)));
    for (name, output) in names.iter().zip(&estimate.outputs) {
        let bar = |index: &Index| (index.value.max(0.0), format!("{:.3} ± {:.3}", index.value, index.se));
        let asked: Vec<(&str, &[Index])> =
            orders(output)[..2].iter().filter(|(_, all)| !all.is_empty()).map(|(order, all)| (*order, *all)).collect();
        let bars = (0..factors.count())
            .map(|i| (factors.names()[i].clone(), asked.iter().map(|(_, all)| bar(&all[i])).collect()))
            .collect();
        let series = asked.iter().map(|(order, _)| format!("{order} order")).collect();
        let tables = rows(output).into_iter().map(|rows| Block::Table { rows, right: RIGHT.to_vec() });
        page.section(name, std::iter::once(Block::Bars { series, rows: bars }).chain(tables));
    }
    page.section("Warnings", estimate.warnings.iter().map(|warning| Block::Text(warning.clone())));
    page
}
