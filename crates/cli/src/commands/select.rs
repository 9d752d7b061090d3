//! `quadrat select`: rows of a file -> a subset, with weights where the method defines them.

mod effects;
mod rounds;

use super::language;
use super::roles;
use super::work::{self, Classes};
use crate::args::{Columns, Work};
use crate::output::{Reply, bytes, check_place, count, operations, seconds, wrap, write_json};
use crate::report::{Block, Page, coverage, map, svg};
use clap::{ArgAction, Args, ValueEnum};
use quadrat::data::{Categories, Missing, Table, check_added};
use quadrat::select::{Cost, Mig, Needs, Pool, Selection};
use quadrat::{
    Card, ColumnUse, Error, PoolColumns, Progress, Result, Seed, Settings, WEIGHT, checkpoint, save_selection,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Select {
    #[command(flatten)]
    pub work: Work,
    /// Rows to choose: a number, or a share of the input such as 2%
    #[arg(long, value_name = "ROWS|SHARE%")]
    pub budget: String,
    #[command(flatten)]
    pub columns: Columns,
    /// Score each row's text by a language model, a folder or a .gguf file: the mean log-probability of a token
    #[arg(long, value_name = "FOLDER|FILE", requires = "text", conflicts_with = "score")]
    pub score_model: Option<PathBuf>,
    /// Column with the response of a regression: a column of the matrix for sensitivity-sampling, no feature elsewhere
    #[arg(long, value_name = "COLUMN")]
    pub response: Option<String>,
    /// Standardise numeric columns: `auto` does unless the method's answer is about the raw numbers
    #[arg(long, value_enum, default_value_t = Standardise::Auto)]
    pub standardise: Standardise,
    /// For mig: where the labels lie: a column of vectors (a label lies at the mean of its rows) or a file with a row a
    /// label, its name and its numbers [default: their names, encoded as texts]
    #[arg(long, value_name = "COLUMN|FILE", requires = "labels", conflicts_with = "label_edges")]
    pub label_embedding: Option<String>,
    /// For mig: a file with an edge between two labels a row: label, label and, if it is not 1, weight
    #[arg(long, value_name = "FILE", requires = "labels")]
    pub label_edges: Option<String>,
    /// For mig: rows that you have already, in a file with the same columns: what they cover counts as covered
    #[arg(long, value_name = "FILE")]
    pub owned: Option<String>,
    /// For diversify-conquer: choose in rounds of your own. Keeps the run in this file; each call draws --budget new rows
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Scores of the rows of the last round, or of all rounds, in the order in which they were written: a file with one
    /// new column of numbers
    #[arg(long, value_name = "FILE", requires = "state")]
    pub scores: Option<String>,
    /// Write no column `weight`, by methods that give weights: for a file that has one, or a format without a place for it
    #[arg(long)]
    pub no_weights: bool,
    /// Print the estimated cost first
    #[arg(long, action = ArgAction::SetTrue)]
    pub explain: bool,
}

/// Whether numeric columns get mean 0 and standard deviation 1 before a method sees them.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standardise {
    Auto,
    Yes,
    No,
}

/// Chooses rows, writes them and says what was done.
pub fn run(args: &Select, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let card = work::method::<Select>("select", &args.work.method, parameters)?;
    let mut selector = quadrat::select::build(card.slug, &work::params(parameters))?;
    let needs = selector.needs();
    if let Some(path) = &args.state {
        check_place(path)?;
    }
    if args.owned.is_some() && card.slug != "mig" {
        let want = "only mig counts what rows elsewhere cover: leave it out or use --method mig";
        return Err(Error::input("--owned", format!("--method {}", card.slug), want));
    }
    let table = work::open(&args.work)?;
    let table = match &args.columns.target {
        Some(target) => table.with_target(target)?,
        None => table,
    };
    work::check_output(&table, args.work.out.as_deref(), &[])?;
    let weighs = selector.weighs() && !args.no_weights;
    if let Some(out) = args.work.out.as_ref().filter(|_| weighs) {
        check_added(&table, WEIGHT, out).map_err(|error| match error {
            Error::Input { what, got, want } => {
                Error::input(what, got, format!("{want}; or choose with --no-weights, which writes none"))
            }
            other => other,
        })?;
    }
    let standardise = match args.standardise {
        Standardise::Auto => !needs.raw,
        Standardise::Yes => true,
        Standardise::No => false,
    };
    let seed = Seed(args.work.run.seed);
    let columns = PoolColumns {
        response: args.response.clone(),
        label_embedding: args.label_embedding.clone(),
        label_edges: args.label_edges.clone(),
        ..work::pool_columns(&table, &args.columns, &args.work.features, standardise)?
    };
    let mut warnings = effects::warnings(args, card, parameters, needs);
    if args.no_weights && !selector.weighs() {
        warnings.push(format!("--no-weights changes nothing: {} gives no weights", card.slug));
    }
    if !weighs && args.work.out.is_some() && table.column(WEIGHT).is_ok() {
        warnings.push(format!(
            "the rows keep their `{WEIGHT}` from {}: if it says how much each counts, it does not count this choice",
            table.name()
        ));
    }
    for warning in &warnings {
        eprintln!("quadrat: note: {warning}");
    }
    let owned = args.owned.as_ref().map(|path| work::read(path, &args.work.reading)).transpose()?;
    // A model's scores need no column.
    let asked = match args.score_model {
        Some(_) => Needs { scores: false, scores_help: false, ..needs },
        None => needs,
    };
    let mut uses = columns.choose(&table, asked)?;
    let on_missing = args.work.reading.on_missing()?;
    let table = uses.settle(&table, on_missing)?;
    let budget = work::budget("--budget", &args.budget, table.rows())?;
    let owned = owned.map(|owned| uses.settle(&owned, on_missing)).transpose()?;
    let tables: Vec<&Table> = std::iter::once(&table).chain(&owned).collect();
    let mut pool = columns.joint_pool(&tables, &mut uses, asked, seed, progress)?;
    if let Some(path) = &args.score_model {
        let scored: Result<Vec<_>> = tables.iter().map(|table| table.paragraphs(&columns.text)).collect();
        pool.scores = Some(language::quality(path, &scored?.concat(), progress)?);
    }
    if owned.is_some() {
        let mig = Mig::from_params(&work::params(parameters))?;
        selector = Box::new(Mig { initial: (table.rows()..pool.rows).collect(), ..mig });
    }
    let cost = selector.cost(pool.rows, pool.points.as_ref().map_or(0, |p| p.cols()), budget);
    if args.explain {
        eprintln!("{}", explain(card, &table, &pool, cost));
    }
    let started = Instant::now();
    let (mut chosen, run) = match &args.state {
        Some(path) => {
            let (chosen, run) = rounds::next(args, parameters, path, &table, &pool, budget, progress)?;
            (chosen, Some((path, run)))
        }
        None => (selector.select(&pool, budget, seed, progress)?, None),
    };
    let took = started.elapsed().as_secs_f64();
    if args.no_weights && chosen.weights.take().is_some() {
        chosen.notes.push(("weights".to_owned(), "left out".to_owned()));
    }
    if let Some(response) = columns.response(&table).filter(|_| needs.response) {
        chosen.notes.push(("response".to_owned(), format!("`{response}` is a column of the matrix")));
    }
    if owned.is_some() {
        // What follows is about the rows of the input.
        let own: Vec<usize> = (0..table.rows()).collect();
        pool = pool.take(&own);
    }
    checkpoint(progress)?;
    if let Some(out) = &args.work.out {
        progress.begin("writing", None);
        save_selection(&table, &chosen, out)?;
    }
    // Only now: whoever did not get the rows gets the same ones again.
    if let Some((path, run)) = run {
        write_json(path, &run)?;
    }
    let (table, columns, uses, pool, chosen) = (&table, &columns, &uses, &pool, &chosen);
    Run { args, card, parameters, table, columns, uses, pool, chosen, cost, took, warnings }.reply(progress)
}

fn explain(card: &Card, table: &Table, pool: &Pool, cost: Cost) -> String {
    let points = pool.points.as_ref().map_or_else(String::new, |p| format!(" x {} features", count(p.cols())));
    format!(
        "{} on {} ({} rows{points}): about {} and {} of memory beyond the pool\n{}",
        card.slug,
        table.name(),
        count(table.rows()),
        operations(cost.operations),
        bytes(cost.bytes),
        wrap(card.cost, 2, 100)
    )
}

/// A finished run.
struct Run<'a> {
    args: &'a Select,
    card: &'static Card,
    parameters: &'a [(String, String)],
    table: &'a Table,
    columns: &'a PoolColumns,
    uses: &'a ColumnUse,
    pool: &'a Pool,
    chosen: &'a Selection,
    cost: Cost,
    took: f64,
    warnings: Vec<String>,
}

impl Run<'_> {
    fn reply(&self, progress: &dyn Progress) -> Result<Reply> {
        let Run { args, card, chosen, .. } = self;
        let classes = self.classes()?;
        let mut text = format!(
            "{}: {} of {} rows of {} in {} (seed {})\n",
            card.slug,
            count(chosen.indices.len()),
            count(self.table.rows()),
            self.table.name(),
            seconds(self.took),
            args.work.run.seed
        );
        let notes: Vec<Vec<String>> =
            chosen.notes.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
        text.push_str(&crate::output::table(&notes, &[]));
        let mut value = json!({
            "method": card.slug,
            "parameters": work::in_force(card, self.parameters).into_iter().collect::<BTreeMap<_, _>>(),
            "seed": args.work.run.seed,
            "input": self.table.name(),
            "rows": self.table.rows(),
            "chosen": chosen.indices.len(),
            "weighted": chosen.weights.is_some(),
            "seconds": self.took,
            "estimate": { "operations": self.cost.operations, "bytes": self.cost.bytes },
            "notes": chosen.notes.iter().cloned().collect::<BTreeMap<_, _>>(),
            "warnings": self.warnings,
            "out": args.work.out,
            "report": args.work.report,
        });
        roles::tell(self.table, self.uses, &mut text, &mut value);
        if let Some(classes) = &classes {
            text.push_str(&classes.table("in the file", "chosen"));
            value["classes"] = classes.json();
        }
        if args.work.out.is_none() {
            value["indices"] = chosen.indices.iter().map(|row| self.table.row(*row)).collect();
            value["weights"] = json!(chosen.weights);
        }
        if let Some(path) = &args.work.report {
            self.page(classes.as_ref(), progress)?.finish(path, Some(card))?;
        }
        for path in [&args.work.out, &args.work.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        if args.work.out.is_none() && args.work.report.is_none() {
            text.push_str("nothing was written: add --out FILE (or --json for the row numbers)\n");
        }
        Ok(Reply::new(text, value))
    }

    /// How often each class occurs in the file and among the chosen rows, where classes are named.
    fn classes(&self) -> Result<Option<Classes>> {
        let Some(target) = &self.args.columns.target else { return Ok(None) };
        let Categories { codes, names } = self.table.categories(target, Missing::Error)?;
        let after = work::counts(self.chosen.indices.iter().map(|row| codes[*row]), names.len());
        let before = work::counts(codes.iter().copied(), names.len());
        Ok(Some(Classes { names, before, after }))
    }

    fn page(&self, classes: Option<&Classes>, progress: &dyn Progress) -> Result<Page> {
        let Run { args, card, chosen, table, pool, .. } = self;
        let rows = (count(chosen.indices.len()), count(table.rows()));
        let mut page = Page::new(format!("{} of {} rows of {}", rows.0, rows.1, table.name()), card.summary);
        let mut facts = vec![
            ("Method".to_owned(), format!("{} ({})", card.title, card.slug)),
            ("Rows in the file".to_owned(), rows.1),
            ("Rows chosen".to_owned(), rows.0),
            ("Seed".to_owned(), args.work.run.seed.to_string()),
            ("Time".to_owned(), seconds(self.took)),
        ];
        facts.extend(chosen.notes.iter().cloned());
        page.blocks.push(Block::Facts(facts));
        page.section("Columns", roles::blocks(self.uses));
        page.section("Parameters", work::parameters(card, self.parameters));
        if let Some(classes) = classes {
            let bar = |rows: usize, all: &[usize]| {
                let share = rows as f64 / all.iter().sum::<usize>().max(1) as f64;
                (share, format!("{} ({:.1}%)", count(rows), 100.0 * share))
            };
            let rows = classes.rows().map(|(name, before, after)| {
                (name.clone(), vec![bar(before, &classes.before), bar(after, &classes.after)])
            });
            let series = vec!["share of the file".to_owned(), "share of the chosen rows".to_owned()];
            page.section("Classes before and after", [Block::Bars { series, rows: rows.collect() }]);
        }
        // A method that needs no points gets a map all the same, if the file has any.
        let seed = Seed(args.work.run.seed);
        let read;
        let points = match &pool.points {
            Some(points) => Some(points),
            None => {
                read = self.columns.points(table, seed, progress).ok().filter(|p| p.check_finite("points").is_ok());
                read.as_ref()
            }
        };
        if let Some(points) = points.filter(|points| points.cols() > 0) {
            page.section("Map of the pool", map::of_selection(points, &chosen.indices, seed)?);
            page.section("Coverage against random", coverage::of(points, &chosen.indices, seed, progress)?);
        }
        if let Some(weights) = &chosen.weights {
            let sum: f64 = weights.iter().sum();
            let caption = format!(
                "Weight of each chosen row. They sum to {}: the number of rows that the subset stands for.",
                crate::output::figure(sum)
            );
            page.section("Weights", [Block::Figure { drawing: svg::histogram(weights, "weight")?, caption }]);
        }
        Ok(page)
    }
}
