//! `quadrat balance`: a labelled file -> a file whose classes are balanced.

use super::roles;
use super::work::{self, Classes};
use crate::args::Work;
use crate::output::{Reply, count, figure, seconds};
use crate::report::{Block, Page, map};
use clap::{Args, ValueEnum};
use quadrat::data::Table;
use quadrat::robust::{Labelled, Origin, Reads, Resampled, Resampler, Scaled};
use quadrat::{
    Card, ColumnUse, LabelledColumns, Nominal, Progress, Result, Seed, Target, Unseen, checkpoint, save_resampled,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Balance {
    #[command(flatten)]
    pub work: Work,
    /// Column with each row's class
    #[arg(long, value_name = "COLUMN")]
    pub target: String,
    /// Take each value of the target as a class [default: names, truth values, at most 20 different whole numbers]
    #[arg(long)]
    pub classes: bool,
    /// Nominal columns: their names, `none`, or `auto` for columns of text, truth values and categories in which a
    /// value is shared by two rows on average (left out if the method takes numbers only)
    #[arg(long, value_name = "auto|none|A,B,C", default_value = "auto")]
    pub categorical: Vec<String>,
    /// A column of lists of numbers, in the place of numeric columns
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["categorical", "features"])]
    pub embedding: Option<String>,
    /// Scale of the numeric columns while neighbours are looked for: as they are, mean 0 and deviation 1, or median 0 and
    /// distance 1 between the quartiles
    #[arg(long, value_enum, default_value_t = ColumnScale::None)]
    pub scale: ColumnScale,
}

/// The scale of columns while neighbours are looked for.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnScale {
    None,
    Standard,
    Robust,
}

impl From<ColumnScale> for quadrat::robust::Scale {
    fn from(scale: ColumnScale) -> Self {
        match scale {
            ColumnScale::None => quadrat::robust::Scale::None,
            ColumnScale::Standard => quadrat::robust::Scale::Standard,
            ColumnScale::Robust => quadrat::robust::Scale::Robust,
        }
    }
}

/// Resamples, writes kept rows and synthetic ones, and says what was done.
pub fn run(args: &Balance, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    let card = work::method::<Balance>("balance", &args.work.method, parameters)?;
    let resampler = quadrat::robust::build(card.slug, &work::params(parameters))?;
    let resampler: Box<dyn Resampler> = Box::new(Scaled { resampler, scale: args.scale.into() });
    let table = work::open(&args.work)?.with_target(&args.target)?;
    work::check_output(&table, args.work.out.as_deref(), &[])?;
    let columns = columns(args, &table)?;
    let mut uses = columns.choose(&table, resampler.reads())?;
    let table = uses.settle(&table, args.work.reading.on_missing_in_made()?)?;
    let target = Target::classes(&table, &args.target, args.classes).map_err(|e| uses.explained(&table, e))?;
    let data = columns.read(&table, &mut uses, resampler.reads())?;
    let started = Instant::now();
    let made = resampler.resample(&data, Seed(args.work.run.seed), progress)?;
    let took = started.elapsed().as_secs_f64();
    checkpoint(progress)?;
    if let Some(out) = &args.work.out {
        progress.begin("writing", None);
        save_resampled(&table, &uses, &data, &made, out)?;
    }
    let warnings = warnings(args, resampler.reads(), &table, &uses, &data, &made)?;
    for warning in &warnings {
        eprintln!("quadrat: note: {warning}");
    }
    Run { args, card, parameters, table: &table, uses: &uses, data: &data, made: &made, took, said: &target.said }
        .reply(&warnings)
}

fn columns(args: &Balance, table: &Table) -> Result<LabelledColumns> {
    let nominal = match args.categorical.as_slice() {
        [word] if word == "auto" => Nominal::Auto,
        [word] if word == "none" => Nominal::Named(Vec::new()),
        names => Nominal::Named(work::listed("--categorical", names, table)?),
    };
    let features = work::listed("--features", &args.work.features, table)?;
    Ok(LabelledColumns { target: args.target.clone(), features, nominal, embedding: args.embedding.clone() })
}

/// What is no error but a user should know of.
fn warnings(
    args: &Balance,
    reads: Reads,
    table: &Table,
    uses: &ColumnUse,
    data: &Labelled,
    made: &Resampled,
) -> Result<Vec<String>> {
    let mut warnings = made.notes.clone();
    let distances = matches!(reads, Reads::Numeric | Reads::Mixed);
    if args.scale != ColumnScale::None && !distances {
        warnings.push("--scale changes nothing: this method measures no distances between numbers".to_owned());
    }
    if args.embedding.is_some() && reads == Reads::Nothing {
        warnings.push("--embedding changes nothing: this method reads classes only".to_owned());
    }
    if !args.work.features.is_empty() && reads == Reads::Nothing {
        warnings.push("--features changes nothing: this method reads classes only".to_owned());
    }
    let same = made.origin.iter().enumerate().all(|(row, origin)| *origin == Origin::Kept(row));
    if warnings.is_empty() && same && made.origin.len() == table.rows() {
        warnings.push("nothing was changed: the classes have the rows that were asked for".to_owned());
    }
    if made.synthetic.nrows() > 0 {
        let Unseen { copied, empty } = Unseen::of(table, uses, data)?;
        if !copied.is_empty() {
            warnings.push(format!(
                "this method does not see {}: new rows have the value of the nearest row they were made of; \
                 smote-nc lets them count",
                copied.join(", ")
            ));
        }
        if !empty.is_empty() {
            warnings.push(format!("synthetic rows leave these columns empty: {}", empty.join(", ")));
        }
    }
    if args.scale != ColumnScale::None || args.embedding.is_some() {
        return Ok(warnings);
    }
    let spreads =
        data.x.columns().into_iter().enumerate().filter(|(c, _)| !data.categorical.contains(c)).map(|(c, x)| {
            let (low, high) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
            (high - low, c)
        });
    let spreads: Vec<(f64, usize)> = spreads.filter(|(spread, _)| *spread > 0.0).collect();
    let order = |a: &&(f64, usize), b: &&(f64, usize)| a.0.total_cmp(&b.0);
    if let (Some(least), Some(most)) = (spreads.iter().min_by(order), spreads.iter().max_by(order))
        && most.0 > 100.0 * least.0
        && made.synthetic.nrows() > 0
        && distances
    {
        warnings.push(format!(
            "the range of `{}` is {} times that of `{}`, so the former alone decides who is a neighbour: --scale \
             standard (or robust) puts all columns on one scale",
            data.columns[most.1],
            figure(most.0 / least.0),
            data.columns[least.1]
        ));
    }
    Ok(warnings)
}

/// A finished run.
struct Run<'a> {
    args: &'a Balance,
    card: &'static Card,
    parameters: &'a [(String, String)],
    table: &'a Table,
    uses: &'a ColumnUse,
    data: &'a Labelled,
    made: &'a Resampled,
    took: f64,
    /// How the target was taken.
    said: &'a str,
}

impl Run<'_> {
    fn reply(&self, warnings: &[String]) -> Result<Reply> {
        let Run { args, card, data, made, .. } = self;
        let classes = Classes {
            names: data.classes.clone(),
            before: data.counts(),
            after: work::counts(made.y.iter().copied(), data.classes.len()),
        };
        let kept = made.origin.len() - made.synthetic.nrows();
        let mut text = format!(
            "{}: {} rows of {} became {}, {} of them new, in {} (seed {})\n",
            card.slug,
            count(self.table.rows()),
            self.table.name(),
            count(made.origin.len()),
            count(made.synthetic.nrows()),
            seconds(self.took),
            args.work.run.seed
        );
        text.push_str(&format!("{}\n", self.said));
        text.push_str(&classes.table("before", "after"));
        for path in [&args.work.out, &args.work.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        if args.work.out.is_none() && args.work.report.is_none() {
            text.push_str("nothing was written: add --out FILE\n");
        }
        if let Some(path) = &args.work.report {
            self.page(&classes)?.finish(path, Some(card))?;
        }
        let mut value = json!({
            "method": card.slug,
            "parameters": work::in_force(card, self.parameters).into_iter().collect::<BTreeMap<_, _>>(),
            "scale": args.scale,
            "seed": args.work.run.seed,
            "input": self.table.name(),
            "rows": self.table.rows(),
            "kept": kept,
            "synthetic": made.synthetic.nrows(),
            "target": self.said,
            "classes": classes.json(),
            "warnings": warnings,
            "seconds": self.took,
            "out": args.work.out,
            "report": args.work.report,
        });
        roles::tell(self.table, self.uses, &mut text, &mut value);
        Ok(Reply::new(text, value))
    }

    fn page(&self, classes: &Classes) -> Result<Page> {
        let Run { args, card, data, made, table, .. } = self;
        let mut page = Page::new(format!("{} balanced by {}", table.name(), args.target), card.summary);
        let facts = vec![
            ("Method".to_owned(), format!("{} ({})", card.title, card.slug)),
            ("Rows before".to_owned(), count(table.rows())),
            ("Rows after".to_owned(), count(made.origin.len())),
            ("New rows".to_owned(), count(made.synthetic.nrows())),
            ("Seed".to_owned(), args.work.run.seed.to_string()),
            ("Time".to_owned(), seconds(self.took)),
        ];
        page.blocks.push(Block::Facts(facts));
        page.section("Columns", roles::blocks(self.uses));
        page.section("Parameters", work::parameters(card, self.parameters));
        let bar = |n: usize| (n as f64, count(n));
        let rows = classes.rows().map(|(name, before, after)| (name.clone(), vec![bar(before), bar(after)])).collect();
        let series = vec!["before".to_owned(), "after".to_owned()];
        page.section("Classes before and after", [Block::Bars { series, rows }]);
        if !data.columns.is_empty() {
            page.section("Map", map::of_resampled(data, made, Seed(args.work.run.seed))?);
        }
        Ok(page)
    }
}
