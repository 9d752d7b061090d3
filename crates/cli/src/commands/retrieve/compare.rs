//! `quadrat retrieve compare`: two or more runs on the same judged queries -> which differ by more than chance.

use super::eval::four;
use super::judging::{Figures, Judge, Judging};
use crate::args::Run;
use crate::output::{Reply, check_place, count, table};
use crate::report::{Block, Page, svg};
use clap::Args;
use quadrat::stats::{Interval, bootstrap_test, mean};
use quadrat::{Error, Progress, Result, Seed, checkpoint};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Compare {
    /// Two runs or more, in TREC's format; the others are compared to the first
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', required = true)]
    pub runs: Vec<PathBuf>,
    #[command(flatten)]
    pub judging: Judging,
    /// How many times the queries are drawn anew for the intervals
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub resamples: usize,
    /// Write a self-contained HTML page about the differences, query by query
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Confidence of the intervals.
const LEVEL: f64 = 0.95;

/// A run against the first, by one measure.
struct Against {
    /// The run less the first, query by query.
    differences: Vec<f64>,
    interval: Interval,
    p: f64,
}

pub fn run(args: &Compare, progress: &dyn Progress) -> Result<Reply> {
    if args.runs.len() < 2 {
        return Err(Error::input("--runs", args.runs.len(), "name two runs or more, as in bm25.trec,dense.trec"));
    }
    if args.resamples < 100 {
        return Err(Error::input("--resamples", args.resamples, "use 100 or more"));
    }
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let judge = Judge::read(&args.judging, progress)?;
    let runs = args.runs.iter().map(|path| judge.measure(path, progress)).collect::<Result<Vec<_>>>()?;
    let mut notes: Vec<String> = runs.iter().flat_map(|run| run.notes.clone()).chain(judge.hopeless()).collect();
    if judge.queries() < 2 {
        notes.push("one judged query alone says nothing about others: there are no intervals".to_owned());
    }
    for note in &notes {
        eprintln!("quadrat: note: {note}");
    }
    // The same draws of queries for all measures and runs.
    let seed = Seed(args.run.seed).stream("queries");
    progress.begin("resampling", Some(((runs.len() - 1) * judge.measures.len()) as u64));
    let against = |run: &Figures, at: usize| {
        checkpoint(progress)?;
        let differences: Vec<f64> = run.values[at].iter().zip(&runs[0].values[at]).map(|(a, b)| a - b).collect();
        let (interval, p) = bootstrap_test(&differences, LEVEL, args.resamples, seed);
        progress.advance(1);
        Ok(Against { differences, interval, p })
    };
    let others: Vec<Vec<Against>> = runs[1..]
        .par_iter()
        .map(|run| (0..judge.measures.len()).into_par_iter().map(|at| against(run, at)).collect())
        .collect::<Result<_>>()?;
    Finished { args, judge, runs, others, notes }.reply()
}

impl Against {
    /// Queries on which the run is better, is worse, and equals the first.
    fn outcomes(&self) -> [usize; 3] {
        let of = |wanted: fn(&f64) -> bool| self.differences.iter().filter(|d| wanted(d)).count();
        [of(|d| *d > 0.0), of(|d| *d < 0.0), of(|d| *d == 0.0)]
    }

    fn json(&self) -> Value {
        let [wins, losses, ties] = self.outcomes();
        let Interval { mean, low, high, .. } = self.interval;
        json!({
            "difference": mean, "low": low, "high": high, "p": self.p, "wins": wins, "losses": losses, "ties": ties,
        })
    }

    fn cells(&self) -> Vec<String> {
        let Interval { mean, low, high, .. } = self.interval;
        let (interval, p) = match self.p.is_nan() {
            true => ("-".to_owned(), "-".to_owned()),
            false => (format!("{low:+.4} to {high:+.4}"), four(self.p)),
        };
        let outcomes = self.outcomes().map(count);
        [format!("{mean:+.4}"), interval, p].into_iter().chain(outcomes).collect()
    }
}

/// A finished comparison.
struct Finished<'a> {
    args: &'a Compare,
    judge: Judge,
    runs: Vec<Figures>,
    /// Runs but the first x measures.
    others: Vec<Vec<Against>>,
    notes: Vec<String>,
}

impl Finished<'_> {
    fn reply(&self) -> Result<Reply> {
        let Finished { args, judge, runs, others, notes } = self;
        let mut text = format!("{} runs by {} on {} queries\n", runs.len(), judge.file, count(judge.queries()));
        text.push_str(&table(&self.overview(), RIGHT));
        if let Some(path) = &args.report {
            self.page()?.finish(path, None)?;
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        let names = || judge.measures.iter().map(|(name, _)| name.clone());
        let mut told: Vec<Value> = runs.iter().map(|run| run.json(judge)).collect();
        for (run, against) in told[1..].iter_mut().zip(others) {
            run["against_first"] =
                names().zip(against.iter().map(Against::json)).collect::<Map<String, Value>>().into();
        }
        let per_query = judge.judgements.queries().iter().enumerate().map(|(query, name)| {
            let of = |at: usize| runs.iter().map(|run| run.values[at][query]).collect::<Vec<f64>>();
            let values: Map<String, Value> = names().enumerate().map(|(at, name)| (name, json!(of(at)))).collect();
            (name.to_owned(), values.into())
        });
        let value = json!({
            "qrels": judge.file,
            "queries": judge.queries(),
            "runs": told,
            "per_query": per_query.collect::<Map<String, Value>>(),
            "resamples": args.resamples,
            "seed": args.run.seed,
            "warnings": notes,
            "report": args.report,
        });
        Ok(Reply::new(text, value))
    }

    fn overview(&self) -> Vec<Vec<String>> {
        let head = ["measure", "run", "mean", "difference", "95% interval", "p", "better", "worse", "equal"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (at, (measure, _)) in self.judge.measures.iter().enumerate() {
            for (run, figures) in self.runs.iter().enumerate() {
                let mut row = vec![measure.clone(), figures.run.clone(), four(mean(&figures.values[at]))];
                row.extend(run.checked_sub(1).map(|other| self.others[other][at].cells()).unwrap_or_default());
                rows.push(row);
            }
        }
        rows
    }

    fn page(&self) -> Result<Page> {
        let Finished { args, judge, runs, others, notes } = self;
        let first = &runs[0];
        let names = runs.iter().map(|run| run.run.as_str()).collect::<Vec<_>>().join(", ");
        let lead =
            format!("{} judged queries of {}; differences are to {}.", count(judge.queries()), judge.file, first.run);
        let mut page = Page::new(names, lead);
        page.section("Notes", notes.iter().cloned().map(Block::Text));
        let legend = format!(
            "The interval is where the mean difference lies in 95% of {} draws of as many queries, with replacement; p is how \
             often so large a difference comes from queries on which there is none in the mean. better, worse and equal count \
             queries. Each line is judged alone: of many comparisons some are below 0.05 by chance.",
            count(args.resamples)
        );
        let all = Block::Table { rows: self.overview(), right: RIGHT.to_vec() };
        page.section("Means and differences", [all, Block::Text(legend)]);
        for (run, against) in runs[1..].iter().zip(others) {
            for (at, (measure, _)) in judge.measures.iter().enumerate() {
                let differences = &against[at].differences;
                let caption = format!("{} less {}, each query a bar, in order.", run.run, first.run);
                let drawing = svg::sorted_bars(differences, measure)?;
                let largest = Block::Table { rows: self.largest(run, at, differences), right: vec![1, 2, 3] };
                let heading = format!("{measure}: {} against {}", run.run, first.run);
                page.section(&heading, [Block::Figure { drawing, caption }, largest]);
            }
        }
        Ok(page)
    }

    /// The queries with the largest differences.
    fn largest(&self, run: &Figures, at: usize, differences: &[f64]) -> Vec<Vec<String>> {
        const SHOWN: usize = 20;
        let mut order: Vec<usize> = (0..differences.len()).filter(|query| differences[*query] != 0.0).collect();
        order.sort_by(|a, b| differences[*b].abs().total_cmp(&differences[*a].abs()));
        let head = ["query with a large difference", &self.runs[0].run, &run.run, "difference"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(order.into_iter().take(SHOWN).map(|query| {
            let value = |run: &Figures| four(run.values[at][query]);
            let name = self.judge.judgements.queries().get(query as u32).to_owned();
            vec![name, value(&self.runs[0]), value(run), format!("{:+.4}", differences[query])]
        }));
        rows
    }
}

/// Columns of numbers in the overview.
const RIGHT: &[usize] = &[2, 3, 4, 5, 6, 7, 8];
