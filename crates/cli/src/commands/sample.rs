//! `quadrat sample`: rows of numbers -> new rows from the law that a method learns of them.

use super::{roles, work};
use crate::args::Work;
use crate::output::{Reply, count, figure, seconds, table, wrap};
use crate::report::{Block, Page, map};
use clap::Args;
use ndarray::Array2;
use quadrat::data::{Table, Values, write_made};
use quadrat::estimate::Generated;
use quadrat::{Card, ColumnUse, Error, Nominal, Part, Progress, Result, Seed, Wish, checkpoint};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Sample {
    #[command(flatten)]
    pub work: Work,
    /// Rows to draw
    #[arg(long, value_name = "N")]
    pub rows: usize,
}

/// Learns, draws, writes the rows and says what they are.
pub fn run(args: &Sample, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let card = work::method::<Sample>("sample", &args.work.method, parameters)?;
    let generator = quadrat::estimate::build_generator(card.slug, &work::params(parameters))?;
    if args.rows == 0 {
        return Err(Error::input("--rows", 0, "draw at least 1"));
    }
    let input = work::open(&args.work)?;
    let features = work::listed("--features", &args.work.features, &input)?;
    let nominal = Nominal::Named(Vec::new());
    let wish = Wish { features: &features, numbers: true, rows_made: true, nominal, ..Wish::default() };
    let mut uses = ColumnUse::choose(&input, &wish)?;
    let columns: Vec<String> = uses.names(Part::Number).into_iter().map(str::to_owned).collect();
    if columns.is_empty() {
        return Err(Error::input(input.name(), "no numeric column", "there must be at least one to learn from"));
    }
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    work::check_output(&input, args.work.out.as_deref(), &names)?;
    let input = uses.settle(&input, args.work.reading.on_missing_in_made()?)?;
    let x = uses.numbers(&[&input], Part::Number, progress)?.remove(0);
    let started = Instant::now();
    let made = generator
        .draw(x.view(), args.rows, Seed(args.work.run.seed), progress)
        .map_err(|error| named(error, &columns))?;
    let took = started.elapsed().as_secs_f64();
    checkpoint(progress)?;
    if let Some(out) = &args.work.out {
        progress.begin("writing", None);
        let values = columns.iter().zip(made.rows.columns());
        let values = values.map(|(name, values)| (name.clone(), Values::Float(values.to_vec())));
        write_made(&input, &values.collect::<Vec<_>>(), &[], out)?;
    }
    for warning in &made.warnings {
        eprintln!("quadrat: note: {warning}");
    }
    let (columns, x, made) = (&columns, &x, &made);
    Run { args, card, parameters, input: &input, uses: &uses, columns, x, made, took }.reply()
}

/// A method counts columns; the user knows their names.
fn named(error: Error, columns: &[String]) -> Error {
    match error {
        Error::Input { what, got, want } => {
            let place = what.strip_prefix("column ").and_then(|number| number.parse::<usize>().ok());
            let name = place.and_then(|place| columns.get(place)).map(|name| format!("column `{name}`"));
            Error::Input { what: name.unwrap_or(what), got, want }
        }
        other => other,
    }
}

/// A finished run.
struct Run<'a> {
    args: &'a Sample,
    card: &'static Card,
    parameters: &'a [(String, String)],
    input: &'a Table,
    uses: &'a ColumnUse,
    columns: &'a [String],
    x: &'a Array2<f64>,
    made: &'a Generated,
    took: f64,
}

impl Run<'_> {
    fn reply(&self) -> Result<Reply> {
        let Run { args, card, made, .. } = self;
        let mut text = format!(
            "{}: {} new rows after {} of {} in {} (seed {})\n",
            card.slug,
            count(made.rows.nrows()),
            count(self.x.nrows()),
            self.input.name(),
            seconds(self.took),
            args.work.run.seed
        );
        text.push_str(&wrap(&format!("drawn from {}", made.law), 2, 100));
        let figures: Vec<Vec<String>> =
            made.figures.iter().map(|(name, value)| vec![name.clone(), figure(*value)]).collect();
        text.push_str(&table(&figures, &[1]));
        text.push_str(&table(&self.summary(), &[1, 2, 3, 4]));
        if let Some(path) = &args.work.report {
            self.page()?.finish(path, Some(card))?;
        }
        for path in [&args.work.out, &args.work.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        if args.work.out.is_none() && args.work.report.is_none() {
            text.push_str("nothing was written: add --out FILE\n");
        }
        let mut value = json!({
            "method": card.slug,
            "parameters": work::in_force(card, self.parameters).into_iter().collect::<BTreeMap<_, _>>(),
            "seed": args.work.run.seed,
            "input": self.input.name(),
            "input_rows": self.x.nrows(),
            "rows": made.rows.nrows(),
            "law": made.law,
            "warnings": made.warnings,
            "seconds": self.took,
            "out": args.work.out,
            "report": args.work.report,
        });
        let key = |name: &str| name.to_lowercase().replace([' ', '-'], "_");
        let figures: Map<String, Value> = made.figures.iter().map(|(name, value)| (key(name), json!(value))).collect();
        value["figures"] = figures.into();
        roles::tell(self.input, self.uses, &mut text, &mut value);
        Ok(Reply::new(text, value))
    }

    /// Mean and standard deviation of each column, among the rows and among the new ones.
    fn summary(&self) -> Vec<Vec<String>> {
        let head = ["column", "mean", "new mean", "deviation", "new deviation"].map(str::to_owned).to_vec();
        let of = |x: &Array2<f64>, column: usize| {
            let values = x.column(column).to_vec();
            (quadrat::stats::mean(&values), quadrat::stats::standard_deviation(&values))
        };
        let row = |(column, name): (usize, &String)| {
            let ((mean, deviation), (new_mean, new_deviation)) = (of(self.x, column), of(&self.made.rows, column));
            let numbers = [mean, new_mean, deviation, new_deviation].map(figure);
            std::iter::once(name.clone()).chain(numbers).collect()
        };
        std::iter::once(head).chain(self.columns.iter().enumerate().map(row)).collect()
    }

    fn page(&self) -> Result<Page> {
        let Run { args, card, made, .. } = self;
        let mut page =
            Page::new(format!("{} new rows after {}", count(made.rows.nrows()), self.input.name()), card.summary);
        let mut facts = vec![
            ("Method".to_owned(), format!("{} ({})", card.title, card.slug)),
            ("Rows learnt from".to_owned(), count(self.x.nrows())),
            ("New rows".to_owned(), count(made.rows.nrows())),
            ("Drawn from".to_owned(), made.law.clone()),
            ("Seed".to_owned(), args.work.run.seed.to_string()),
            ("Time".to_owned(), seconds(self.took)),
        ];
        facts.extend(made.figures.iter().map(|(name, value)| (name.clone(), figure(*value))));
        page.blocks.push(Block::Facts(facts));
        page.section("Mind", made.warnings.iter().cloned().map(Block::Text));
        page.section("Columns used", roles::blocks(self.uses));
        page.section("Parameters", work::parameters(card, self.parameters));
        page.section("Columns", [Block::Table { rows: self.summary(), right: vec![1, 2, 3, 4] }]);
        page.section("Map", map::of_new(self.x, &made.rows, Seed(args.work.run.seed))?);
        Ok(page)
    }
}
