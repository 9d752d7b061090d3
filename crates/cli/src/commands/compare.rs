//! `quadrat compare`: the selectors against each other and against random, on the user's data.

use super::held_back::times;
use super::{roles, work};
use crate::args::{Columns, Run};
use crate::output::{Reply, check_place, count, json, operations as operations_of, seconds, table, wrap, write_json};
use crate::reading::Reading;
use crate::report::{Block, Page, svg};
use clap::Args;
use quadrat::data::Table;
use quadrat::select::court::{FRESH, RANDOM};
use quadrat::select::{Apart, Case, Court, Needs, Ruling, Selector, Standing, Trial, build, selectors};
use quadrat::stats::{Interval, mean};
use quadrat::{ColumnUse, Error, Params, Plot, PoolColumns, Progress, Result, Seed, Series};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Compare {
    /// Input, as for `select`
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    #[command(flatten)]
    pub columns: Columns,
    /// Numeric columns to use [default: all numeric columns without another role]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// Rows to choose, each a number or a share such as 2% of the rows that are not kept for testing
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "1%,2%,5%")]
    pub budgets: Vec<String>,
    /// Repetitions, each with a split of its own
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub seeds: usize,
    /// Selectors to compare [default: all]; random and rs2 are always there
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// Share of the rows that only measure
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub test_share: f64,
    /// Column of groups, such as patients, of which none is on both sides of a split
    #[arg(long, value_name = "COLUMN", conflicts_with = "time")]
    pub groups: Option<String>,
    /// Column of times: the latest rows measure, in every repetition
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Rows that each training run sees, counted with repetition
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub visits: usize,
    /// A gain of accuracy that is not worth having: selectors shown to gain no more are called no better than random
    #[arg(long, value_name = "POINTS", default_value_t = 1.0)]
    pub margin: f64,
    #[command(flatten)]
    pub run: Run,
    /// Keep what was heard in this file; if it exists, go on from there
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// Operations beyond which a selector is heard only if it is named: minutes for every choice, of which there are
/// budgets times seeds.
const PATIENCE: f64 = 3e10;

/// Curves that a picture of accuracy against budget can carry.
const CURVES: usize = 6;

/// What a court's answer depends on, and the trials heard so far.
#[derive(Serialize, Deserialize)]
struct State {
    settings: Value,
    trials: Vec<Trial>,
}

/// Hears the selectors and prints their standings.
pub fn run(args: &Compare, progress: &dyn Progress) -> Result<Reply> {
    for path in [&args.state, &args.report].into_iter().flatten() {
        check_place(path)?;
    }
    if args.columns.target.is_none() {
        return Err(Error::input("--target", "nothing", "name the column with each row's class"));
    }
    let table = work::read(&args.input, &args.reading)?;
    let mut rivals = rivals(&args.methods)?;
    let seed = Seed(args.run.seed);
    let columns = PoolColumns {
        groups: args.groups.clone(),
        time: args.time.clone(),
        // What fills them is learnt in each repetition from the rows to choose from.
        keep_gaps: true,
        ..work::pool_columns(&table, &args.columns, &args.features, true)?
    };
    let needs = Needs { points: true, ..Needs::default() };
    let mut uses = columns.choose(&table, needs)?;
    let on_missing = args.reading.on_missing()?;
    let table = uses.settle(&table, on_missing)?;
    let case = Case { gaps: on_missing.fill(), ..case(columns, &table, &mut uses, needs, &rivals, seed, progress)? };
    let apart = match (&args.groups, &args.time) {
        (Some(groups), _) => Apart::Groups(uses.categories(&table, groups)?.codes),
        (_, Some(time)) => Apart::Times(times(&table, time)?),
        _ => Apart::Any,
    };
    let (repeats, test_share, visits) = (args.seeds, args.test_share, args.visits);
    let mut court = Court { repeats, test_share, visits, margin: args.margin / 100.0, apart, ..Court::default() };
    let left = court.rows_to_choose_from(case.pool.rows, seed)?;
    court.budgets = args.budgets.iter().map(|text| work::budget("--budgets", text, left)).collect::<Result<_>>()?;
    court.budgets.sort_unstable();
    court.budgets.dedup();

    let most = court.budgets.last().copied().unwrap_or(1);
    let columns = case.pool.points.as_ref().map_or(0, |points| points.cols());
    let mut slow = Vec::new();
    if args.methods.is_empty() {
        rivals.retain(|rival| {
            let operations = rival.cost(left, columns, most).operations;
            if operations > PATIENCE {
                slow.push(format!("{} would take about {} a choice", rival.card().slug, operations_of(operations)));
            }
            operations <= PATIENCE
        });
    }
    for note in &slow {
        eprintln!("quadrat: note: {note}: it is left out unless --methods names it");
    }

    let mut settings = json!({
        "input": args.input,
        "rows": case.pool.rows,
        "target": args.columns.target,
        "score": args.columns.score,
        "labels": args.columns.labels,
        "text": args.columns.text,
        "text_dim": args.columns.text_dim,
        "embedding": args.columns.embedding,
        "features": args.features,
        "reading": args.reading,
        "groups": args.groups,
        "time": args.time,
        "test_share": args.test_share,
        "visits": args.visits,
        "seed": args.run.seed,
    });
    if let Some(folder) = &args.columns.encoder {
        settings["encoder"] = json!(folder);
    }
    let before = match args.state.as_deref().filter(|path| path.exists()) {
        Some(path) => resumed(path, &settings)?,
        None => Vec::new(),
    };
    let mut keep = |trials: &[Trial]| match &args.state {
        Some(path) => write_json(path, &json(&State { settings: settings.clone(), trials: trials.to_vec() })?),
        None => Ok(()),
    };
    let trials = court.hear(&case, &rivals, before, seed, &mut keep, progress)?;
    let standings: Vec<(usize, Vec<Standing>)> =
        court.budgets.iter().map(|budget| (*budget, court.judge(&trials, *budget))).collect();

    if let Some(path) = &args.report {
        page(args, &uses, &standings, left)?.finish(path, None)?;
    }
    let mut text = String::new();
    for (budget, standings) in &standings {
        text.push_str(&format!("{}\n{}{}\n", title(*budget, left), table_of(standings), refusals(standings)));
        text.push_str(&wrap(&verdict(standings, args.margin), 0, 100));
        text.push('\n');
    }
    text.push_str(&wrap(&legend(args), 0, 100));
    if let Some(path) = &args.report {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    let budgets: Vec<Value> = standings
        .iter()
        .map(|(budget, standings)| {
            Ok(json!({
                "rows": budget,
                "share": *budget as f64 / left as f64,
                "verdict": verdict(standings, args.margin),
                "methods": json(standings)?,
            }))
        })
        .collect::<Result<_>>()?;
    let mut value = json!({
        "settings": settings,
        "seeds": args.seeds,
        "margin": court.margin,
        "pool": left,
        "left_out": slow,
        "budgets": budgets,
    });
    roles::tell(&table, &uses, &mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// The selectors named, or all; random among them.
fn rivals(named: &[String]) -> Result<Vec<Box<dyn Selector>>> {
    let mut names: Vec<&str> = named.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = selectors().iter().map(|card| card.slug).collect();
    }
    let mut rivals: Vec<Box<dyn Selector>> = Vec::with_capacity(names.len() + 1);
    for name in names {
        let selector = build(name, &Params::none())?;
        // The court trains on fresh random subsets by itself; a name and its short form are one method.
        let slug = selector.card().slug;
        if slug != FRESH && rivals.iter().all(|other| other.card().slug != slug) {
            rivals.push(selector);
        }
    }
    if rivals.iter().all(|rival| rival.card().slug != RANDOM) {
        rivals.push(build(RANDOM, &Params::none())?);
    }
    Ok(rivals)
}

/// The rows with all that any of the rivals reads.
fn case(
    columns: PoolColumns,
    table: &Table,
    uses: &mut ColumnUse,
    needs: Needs,
    rivals: &[Box<dyn Selector>],
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Case> {
    let pool = columns.joint_pool(&[table], uses, needs, seed, progress)?;
    let numeric = columns.text.is_empty() && columns.embedding.is_none();
    let raw = if numeric && rivals.iter().any(|rival| rival.needs().raw) {
        let raw = PoolColumns { standardise: false, ..columns };
        Some(raw.joint_points(&[table], &mut uses.clone(), seed, progress)?)
    } else {
        None
    };
    Ok(Case { pool, raw, gaps: None })
}

/// The trials of an earlier run with the same settings.
fn resumed(path: &Path, settings: &Value) -> Result<Vec<Trial>> {
    let what = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let state: State = serde_json::from_slice(&bytes).map_err(|e| Error::data(&what, None, e.to_string()))?;
    let changed =
        settings.as_object().and_then(|now| now.iter().find(|(name, value)| state.settings[*name] != **value));
    match changed {
        None => Ok(state.trials),
        Some((name, now)) => {
            let got = format!("a run with {name} {}, not {now}", state.settings[name]);
            Err(Error::input(what, got, "repeat that command to go on with it, or name another --state"))
        }
    }
}

fn title(budget: usize, left: usize) -> String {
    format!("{} of {} rows ({:.2}%)", count(budget), count(left), 100.0 * budget as f64 / left as f64)
}

/// Percentage points with their interval.
fn points(interval: &Interval) -> String {
    format!("{:+.1} [{:+.1}, {:+.1}]", 100.0 * interval.mean, 100.0 * interval.low, 100.0 * interval.high)
}

fn rows(standings: &[Standing]) -> Vec<Vec<String>> {
    let head = ["method", "accuracy", "minus random", "minus rs2", "choose", "train", ""].map(str::to_owned).to_vec();
    let heard = standings.iter().filter(|s| s.refused.is_none());
    let row = |s: &Standing| {
        let against = |name: &str, interval| if s.method == name { String::new() } else { points(interval) };
        let word = match s.ruling {
            Some(Ruling::Better) => "better".to_owned(),
            Some(Ruling::Worse) => "worse".to_owned(),
            Some(Ruling::NoBetter) => "no better".to_owned(),
            Some(Ruling::Undecided) => format!("undecided below {:.1}", 100.0 * s.resolution),
            None => String::new(),
        };
        vec![
            s.method.clone(),
            format!("{:.1}%", 100.0 * s.accuracy),
            against(RANDOM, &s.minus_random),
            against(FRESH, &s.minus_rs2),
            seconds(s.select_seconds),
            seconds(s.train_seconds),
            word,
        ]
    };
    std::iter::once(head).chain(heard.map(row)).collect()
}

fn table_of(standings: &[Standing]) -> String {
    table(&rows(standings), &[1, 2, 3, 4, 5])
}

fn refusals(standings: &[Standing]) -> String {
    let refused =
        standings.iter().filter_map(|s| Some(wrap(&format!("{}: {}", s.method, s.refused.as_ref()?), 2, 100)));
    let lines: String = refused.collect();
    if lines.is_empty() { lines } else { format!("not heard\n{lines}") }
}

/// What is shown of the selectors against random, in a sentence; `margin` in percentage points.
fn verdict(standings: &[Standing], margin: f64) -> String {
    let rivals: Vec<&Standing> =
        standings.iter().filter(|s| s.method != RANDOM && s.method != FRESH && s.refused.is_none()).collect();
    let named = |which: &[Ruling]| -> Vec<&str> {
        rivals.iter().filter(|s| s.ruling.is_some_and(|r| which.contains(&r))).map(|s| s.method.as_str()).collect()
    };
    let better = named(&[Ruling::Better]);
    let (no_better, undecided) = (named(&[Ruling::NoBetter, Ruling::Worse]), named(&[Ruling::Undecided]));
    let mut parts = Vec::new();
    if !better.is_empty() {
        parts.push(format!("Better than random: {} ({} of {})", better.join(", "), better.len(), rivals.len()));
    }
    if !no_better.is_empty() {
        let mut part = format!("No better than random by more than {margin} points: {}", no_better.join(", "));
        let worse = named(&[Ruling::Worse]);
        if !worse.is_empty() {
            part.push_str(&format!("; worse than random: {}", worse.join(", ")));
        }
        parts.push(part);
    }
    if !undecided.is_empty() {
        let seen = rivals.iter().filter(|s| s.ruling == Some(Ruling::Undecided)).map(|s| 100.0 * s.resolution);
        let (low, high) = seen.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let size = if high - low < 0.05 { format!("{high:.1}") } else { format!("{low:.1} to {high:.1}") };
        parts.push(format!(
            "Undecided: {}: the smallest differences that this run could have seen are {size} points (four times as many \
             splits halve that)",
            undecided.join(", ")
        ));
    }
    let mut text = parts.join(". ");
    let spent = |s: &Standing| s.select_seconds + s.train_seconds;
    let random = standings.iter().find(|s| s.method == RANDOM).map_or(f64::NAN, spent);
    let times: Vec<f64> =
        rivals.iter().filter(|s| better.contains(&s.method.as_str())).map(|s| spent(s) / random).collect();
    if !times.is_empty() {
        text.push_str(&format!(". Choosing and training took them {:.2} times as long as random", mean(&times)));
    }
    text + "."
}

fn legend(args: &Compare) -> String {
    let rows = match (&args.groups, &args.time) {
        (Some(groups), _) => format!("about {}% of the rows, whole groups of `{groups}`", 100.0 * args.test_share),
        (_, Some(time)) => format!(
            "about {}% of the rows, the latest by `{time}` (intervals tell of chance in choosing and training, not of \
             other rows)",
            100.0 * args.test_share
        ),
        _ => format!("{}% of the rows", 100.0 * args.test_share),
    };
    format!(
        "Accuracy of a network on {rows}, mean of {} splits; every run sees {} rows. Differences in percentage \
         points with 95% intervals, paired by split; the words behind them allow for the number of selectors: better, \
         worse, no better (by more than {} points), or undecided below the difference that the run would have seen in \
         four cases out of five. rs2 trains on a fresh random subset in every pass: it costs the same to train but reads \
         all labels.",
        args.seeds,
        count(args.visits),
        args.margin
    )
}

fn page(args: &Compare, uses: &ColumnUse, standings: &[(usize, Vec<Standing>)], left: usize) -> Result<Page> {
    let mut page = Page::new(format!("Selectors on {}", args.input), legend(args));
    if standings.len() > 1 {
        let drawing = svg::curves(&curves(standings))?;
        let caption = "Accuracy against rows chosen: random, fresh random subsets, and the best selectors at the \
                       largest budget. Bars show 95% intervals of the difference from random."
            .to_owned();
        page.section("Accuracy", [Block::Figure { drawing, caption }]);
    }
    for (budget, standings) in standings {
        let refused = refusals(standings);
        let mut blocks = vec![
            Block::Text(verdict(standings, args.margin)),
            Block::Table { rows: rows(standings), right: vec![1, 2, 3, 4, 5] },
        ];
        blocks.extend((!refused.is_empty()).then_some(Block::Code(refused)));
        page.section(&title(*budget, left), blocks);
    }
    page.section("Columns", roles::blocks(uses));
    Ok(page)
}

fn curves(standings: &[(usize, Vec<Standing>)]) -> Plot {
    let mut names = vec![RANDOM, FRESH];
    let best = standings.last().into_iter().flat_map(|(_, last)| last).map(|s| s.method.as_str());
    names.extend(best.filter(|name| ![RANDOM, FRESH].contains(name)).take(CURVES - 2));
    let point = |budget: usize, s: &Standing| {
        let around = |end: f64| s.accuracy + end - s.minus_random.mean;
        [budget as f64, s.accuracy, around(s.minus_random.low), around(s.minus_random.high)]
    };
    let series = names.into_iter().map(|name| Series {
        name: name.to_owned(),
        points: standings
            .iter()
            .flat_map(|(budget, all)| all.iter().filter(|s| s.method == name).map(|s| point(*budget, s)))
            .collect(),
    });
    Plot {
        title: "Accuracy against rows chosen".to_owned(),
        x: "rows chosen".to_owned(),
        y: "accuracy".to_owned(),
        log_x: true,
        log_y: false,
        series: series.collect(),
    }
}
