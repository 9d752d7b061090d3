//! `quadrat allocate`: labelled rows of many tasks, or their heads -> how many rows to buy of each source task.

use super::{roles, work};
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, table};
use crate::parameters::Declared;
use crate::reading::Reading;
use clap::Args;
use ndarray::{Array2, Axis};
use quadrat::data::{Categories, ColumnType, Format, Missing, Table, Values, write_selection};
use quadrat::select::{LinearMtl, Needs, Penalty, Relevance, Rule, Task, TaskAllocator};
use quadrat::{Card, Choice, ColumnUse, Error, PoolColumns, Progress, Result, Seed, catalogue, find};
use serde_json::json;
use std::path::PathBuf;

/// Above this part of the target's head unexplained, the plan rests on little.
const UNEXPLAINED: f64 = 0.5;
/// Folds of the target's rows that choose the penalty.
const FOLDS: usize = 5;

#[derive(Args, Debug)]
#[command(after_help = "\
Example: four boroughs sold flats, the fifth only a few; 2,000 more sales can be looked up.
  quadrat allocate --in sales.csv --task borough --target-task harbour --target price --rank 3 --budget 2000 --out plan.csv

The rows of --in are those labelled so far: an equal number of every source task (a quarter of what will be spent in all
is a good start) and all there are of the target task. Each task gets an intercept; columns are standardised. Labels of
all tasks should be in one unit. The l1 rule needs heads that are known well: with about as many rows a source as
--rank, l2 did better in our runs, with five times as many, l1. When no source is found relevant (--lambda 1, or a target
that nothing predicts), the plan is the same number of rows for all, and says so.")]
pub struct Allocate {
    /// Labelled rows of all tasks: .csv, .tsv, .json, .jsonl, .parquet, .arrow, .npy, .npz, .arff or .libsvm, also compressed
    #[arg(long = "in", value_name = "FILE", required_unless_present = "heads", requires = "target")]
    pub input: Option<String>,
    /// In place of rows: a row a task with its head, one numeric column a dimension (from your own network, features
    /// whitened)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "target", "rank", "ridge"])]
    pub heads: Option<String>,
    /// Column that says which task a row belongs to
    #[arg(long, value_name = "COLUMN")]
    pub task: String,
    /// The task to be helped, as the column names it; all others are sources
    #[arg(long, value_name = "NAME")]
    pub target_task: String,
    /// Column with the label: a number, or two classes
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
    /// Numeric columns to use [default: all numeric columns without another role]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// In place of numeric columns: a column of fixed-size lists, or an .npy file with one row for each row of the input
    #[arg(long, value_name = "COLUMN|FILE.npy", conflicts_with_all = ["features", "heads"])]
    pub embedding: Option<String>,
    /// Rows to buy in all; with --costs, what they may cost in all
    #[arg(long, value_name = "N")]
    pub budget: usize,
    #[command(flatten)]
    pub allocator: Declared<TaskAllocator>,
    #[command(flatten)]
    pub fit: Declared<LinearMtl>,
    /// A file with the task column and a column `cost`: the price of a row of each source
    #[arg(long, value_name = "FILE")]
    pub costs: Option<String>,
    /// Output file: a row a source with what to buy; its ending chooses the format
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// The name of the penalty.
const LAMBDA: &str = "lambda";

impl Allocate {
    /// Whether the target's rows choose the penalty.
    fn cross_validated(&self) -> bool {
        self.allocator.given(LAMBDA) == Some("cv")
    }
}

/// Measures relevance and plans the purchase.
pub fn run(args: &Allocate, progress: &dyn Progress) -> Result<Reply> {
    let card = find(&catalogue(), "lasso-mtrl")?;
    let allocator = args.allocator.settings_without(if args.cross_validated() { LAMBDA } else { "" })?;
    if let Some(out) = &args.out {
        Format::of_path(out)?;
        check_place(out)?;
    }
    let known = match &args.heads {
        Some(heads) => from_heads(args, heads, allocator.penalty)?,
        None => from_rows(args, allocator.penalty, progress)?,
    };
    let costs = args.costs.as_ref().map(|file| costs(args, file, &known.sources)).transpose()?;
    let allocator = TaskAllocator { penalty: known.penalty, costs: costs.clone(), ..allocator };
    let relevance = allocator.relevance(known.heads.view(), &known.target)?;
    let buy = allocator.allocate(&relevance, args.budget)?;
    Plan { card, args, rule: allocator.rule, known, relevance, costs, buy }.reply()
}

/// What is known of the tasks.
struct Known {
    /// What it comes from.
    uses: ColumnUse,
    file: Table,
    /// The sources' names, in their order.
    sources: Vec<String>,
    /// Labelled rows of each source and of the target.
    rows: Option<(Vec<usize>, usize)>,
    /// One column a source.
    heads: Array2<f64>,
    target: Vec<f64>,
    penalty: Penalty,
}

fn from_rows(args: &Allocate, penalty: Penalty, progress: &dyn Progress) -> Result<Known> {
    let (Some(input), Some(target)) = (&args.input, &args.target) else {
        return Err(Error::input("--in", "nothing", "name a file of labelled rows with --target, or give --heads"));
    };
    let file = work::read(input, &args.reading)?;
    let columns = PoolColumns {
        target: Some(target.clone()),
        // So that a task's number is no feature.
        labels: Some(args.task.clone()),
        features: work::listed("--features", &args.features, &file)?,
        embedding: args.embedding.clone(),
        standardise: true,
        ..PoolColumns::default()
    };
    let (mut uses, file) = chosen(&columns, &file, args)?;
    let tasks = uses.categories(&file, &args.task)?;
    let ours = code_of(&args.target_task, &file, &args.task, &tasks)?;
    let x = columns.joint_points(&[&file], &mut uses, Seed(args.run.seed), progress)?.to_f64().into_owned();
    let y = labels(&file, target)?;
    let mut rows = vec![Vec::new(); tasks.names.len()];
    tasks.codes.iter().enumerate().for_each(|(row, task)| rows[*task as usize].push(row));
    let part = |rows: &Vec<usize>| Task { x: x.select(Axis(0), rows), y: rows.iter().map(|row| y[*row]).collect() };
    let target = part(&rows[ours]);
    let others = |code: &usize| *code != ours;
    let sources: Vec<Task> = (0..rows.len()).filter(others).map(|code| part(&rows[code])).collect();
    if sources.is_empty() {
        let want = format!("the column `{}` names no other task to buy from", args.task);
        return Err(Error::input(input, format!("only rows of `{}`", args.target_task), want));
    }
    let most = sources.len().min(x.ncols());
    let mut mtl = args.fit.settings()?;
    if args.fit.given("rank").is_none() {
        mtl.rank = mtl.rank.min(most);
    }
    let representation = mtl.fit(&sources, progress)?;
    let head = representation.head(&target)?;
    let penalty = match args.cross_validated() {
        true => {
            Penalty::Relative(representation.choose_penalty(&target, FOLDS.min(target.y.len()), Seed(args.run.seed))?)
        }
        false => penalty,
    };
    Ok(Known {
        uses,
        file,
        rows: Some((sources.iter().map(|task| task.y.len()).collect(), target.y.len())),
        sources: (0..rows.len()).filter(others).map(|code| tasks.names[code].clone()).collect(),
        heads: representation.heads,
        target: head.w,
        penalty,
    })
}

/// All that is read of the rows.
fn points() -> Needs {
    Needs { points: true, ..Needs::default() }
}

/// The columns, and the rows to work on.
fn chosen(columns: &PoolColumns, file: &Table, args: &Allocate) -> Result<(ColumnUse, Table)> {
    let mut uses = columns.choose(file, points())?;
    let file = uses.settle(file, args.reading.on_missing()?)?;
    Ok((uses, file))
}

fn from_heads(args: &Allocate, heads: &str, penalty: Penalty) -> Result<Known> {
    let file = work::read(heads, &args.reading)?;
    let tasks = file.categories(&args.task, Missing::Error)?;
    if tasks.names.len() < file.rows() {
        let want = "the file of heads must have one row a task";
        return Err(Error::input(format!("{heads}, column `{}`", args.task), "a task twice", want));
    }
    let ours = code_of(&args.target_task, &file, &args.task, &tasks)?;
    let columns = PoolColumns {
        labels: Some(args.task.clone()),
        features: work::listed("--features", &args.features, &file)?,
        standardise: false,
        ..PoolColumns::default()
    };
    let mut uses = columns.choose(&file, points())?;
    let x = columns.joint_points(&[&file], &mut uses, Seed(args.run.seed), &quadrat::Silent)?.to_f64().into_owned();
    let row_of = |code: usize| {
        let row = tasks.codes.iter().position(|found| *found as usize == code);
        row.ok_or_else(|| Error::data(heads, None, format!("no row of task `{}`", tasks.names[code])))
    };
    let others: Vec<usize> = (0..tasks.names.len()).filter(|code| *code != ours).collect();
    let rows: Vec<usize> = others.iter().map(|code| row_of(*code)).collect::<Result<_>>()?;
    if args.cross_validated() {
        return Err(Error::input("--lambda", "`cv`", "heads have no rows to cross-validate on: give a share"));
    }
    Ok(Known {
        uses,
        sources: others.iter().map(|code| tasks.names[*code].clone()).collect(),
        rows: None,
        file,
        heads: x.select(Axis(0), &rows).reversed_axes(),
        target: x.row(row_of(ours)?).to_vec(),
        penalty,
    })
}

/// The number of a task among the categories.
fn code_of(name: &str, file: &Table, column: &str, tasks: &Categories) -> Result<usize> {
    tasks.names.iter().position(|task| task == name).ok_or_else(|| {
        let near = quadrat::nearest(name, tasks.names.iter().map(String::as_str));
        let want = format!("the nearest tasks in column `{column}` of {} are {}", file.name(), near.join(", "));
        Error::input("--target-task", format!("`{name}`"), want)
    })
}

/// The labels as numbers: of two classes the first is -1 and the second 1.
fn labels(file: &Table, target: &str) -> Result<Vec<f64>> {
    let kind = file.column(target)?.kind;
    if kind.is_numeric() && kind != ColumnType::Boolean {
        return Ok(file.numeric(&[target], Missing::Error)?.into_raw_vec_and_offset().0);
    }
    let classes = file.categories(target, Missing::Error)?;
    if classes.names.len() != 2 {
        let want = "a label is a number or one of two classes: make a task of each class against the rest";
        return Err(Error::input(format!("column `{target}`"), format!("{} classes", classes.names.len()), want));
    }
    Ok(classes.codes.iter().map(|code| if *code == 0 { -1.0 } else { 1.0 }).collect())
}

/// The cost of a row of each source.
fn costs(args: &Allocate, file: &str, sources: &[String]) -> Result<Vec<f64>> {
    let listed = work::read(file, &Reading::default())?;
    let names = listed.strings(&args.task)?;
    let costs = listed.numeric(&["cost"], Missing::Error)?;
    let cost_of = |source: &String| {
        let mut rows = names.iter().zip(&costs).filter(|(name, _)| *name == source).map(|(_, cost)| *cost);
        match (rows.next(), rows.next()) {
            (Some(cost), None) => Ok(cost),
            (found, _) => {
                let got = if found.is_some() { "two costs" } else { "no cost" };
                Err(Error::input(format!("{file}, task `{source}`"), got, "give one cost for each source task"))
            }
        }
    };
    sources.iter().map(cost_of).collect()
}

/// All there is to say.
struct Plan<'a> {
    card: &'static Card,
    args: &'a Allocate,
    rule: Rule,
    known: Known,
    relevance: Relevance,
    costs: Option<Vec<f64>>,
    buy: Vec<usize>,
}

impl Plan<'_> {
    fn reply(self) -> Result<Reply> {
        let Plan { card, args, known, relevance, .. } = &self;
        let notes = self.notes();
        for note in &notes {
            eprintln!("quadrat: note: {note}");
        }
        if let Some(out) = &args.out {
            self.write(out)?;
        }
        let bought: usize = self.buy.iter().sum();
        let spent: f64 = match &self.costs {
            Some(costs) => self.buy.iter().zip(costs).map(|(rows, cost)| *rows as f64 * cost).sum(),
            None => bought as f64,
        };
        let source = |m: usize| {
            json!({
                "task": known.sources[m],
                "rows": known.rows.as_ref().map(|(rows, _)| rows[m]),
                "relevance": relevance.nu[m],
                "cost": self.costs.as_ref().map(|costs| costs[m]),
                "buy": self.buy[m],
            })
        };
        let lambda = match known.penalty {
            Penalty::Relative(share) | Penalty::Absolute(share) => Some(share),
            Penalty::Pursuit => None,
        };
        let mut value = json!({
            "method": card.slug,
            "rule": self.rule.name(),
            "target_task": args.target_task,
            "target_rows": known.rows.as_ref().map(|(_, rows)| rows),
            "rank": known.heads.nrows(),
            "lambda": lambda,
            "penalty": relevance.lambda,
            "unexplained": relevance.residual,
            "nothing_found": relevance.nothing_found,
            "budget": args.budget,
            "buy": bought,
            "spent": spent,
            "sources": (0..known.sources.len()).map(source).collect::<Vec<_>>(),
            "notes": notes,
            "out": args.out,
        });
        let mut text = format!(
            "{} ({}): {} rows from {} of {} source tasks for `{}`\n",
            card.slug,
            self.rule.name(),
            count(bought),
            self.buy.iter().filter(|rows| **rows > 0).count(),
            known.sources.len(),
            args.target_task
        );
        text += &self.table();
        roles::tell(&known.file, &known.uses, &mut text, &mut value);
        match &args.out {
            Some(out) => text += &format!("wrote {}", out.display()),
            None => text += "nothing was written: name a file with --out",
        }
        Ok(Reply::new(text, value))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.relevance.nothing_found {
            notes.push("no source was found relevant, so all get the same number of rows: lower --lambda".to_owned());
        } else if self.rule != Rule::Uniform && self.relevance.residual > UNEXPLAINED {
            notes.push(format!(
                "the sources explain little of the target ({:.0}% of its head is left over): the plan rests on that little",
                100.0 * self.relevance.residual
            ));
        }
        if let Some((_, rows)) = self.known.rows.as_ref().filter(|(_, rows)| *rows < self.known.heads.nrows()) {
            let rank = self.known.heads.nrows();
            notes
                .push(format!("{rows} rows of the target for {rank} dimensions: its head is little more than a guess"));
        }
        notes
    }

    /// The sources to buy from, most rows first, cut off where nobody reads on.
    fn table(&self) -> String {
        const MOST: usize = 20;
        let mut order: Vec<usize> = (0..self.buy.len()).filter(|m| self.buy[*m] > 0).collect();
        order.sort_by_key(|m| std::cmp::Reverse(self.buy[*m]));
        let head = ["task", "rows so far", "relevance", "rows to buy"].map(str::to_owned).to_vec();
        let row = |m: &usize| {
            let so_far = self.known.rows.as_ref().map_or("-".to_owned(), |(rows, _)| count(rows[*m]));
            vec![self.known.sources[*m].clone(), so_far, figure(self.relevance.nu[*m]), count(self.buy[*m])]
        };
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(order.iter().take(MOST).map(row)).collect();
        let mut text = table(&rows, &[1, 2, 3]);
        if order.len() > MOST {
            text += &format!("  ... and {} more\n", order.len() - MOST);
        }
        text
    }

    fn write(&self, out: &std::path::Path) -> Result<()> {
        let sources = &self.known.sources;
        // A table of the names, as its own reader makes one.
        let names = sources.iter().map(|name| format!("{}\n", json!({ "task": name })));
        let table = Table::from_bytes("plan.jsonl", names.collect::<String>().into_bytes(), &[])?;
        let whole = |rows: &[usize]| Values::Integer(rows.iter().map(|rows| *rows as i64).collect());
        let mut columns = Vec::new();
        if let Some((rows, _)) = &self.known.rows {
            columns.push(("rows".to_owned(), whole(rows)));
        }
        columns.push(("relevance".to_owned(), Values::Float(self.relevance.nu.clone())));
        if let Some(costs) = &self.costs {
            columns.push(("cost".to_owned(), Values::Float(costs.clone())));
        }
        columns.push(("buy".to_owned(), whole(&self.buy)));
        write_selection(&table, &(0..sources.len()).collect::<Vec<_>>(), &columns, out)
    }
}
