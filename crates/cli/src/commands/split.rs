//! `quadrat split`: a file -> training sets with test sets near them (interpolation) and far from them (extrapolation).

mod hold_out;

use super::{encoder, roles, work};
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, seconds, table};
use crate::parameters::Declared;
use crate::reading::Reading;
use crate::report::{Block, Page};
use clap::Args;
use ndarray::{ArrayView2, Axis};
use quadrat::data::{Compression, Format, Table};
use quadrat::numeric::Metric;
use quadrat::select::{
    Buckets, Needs, OverlapReport, Qrel, ReSTTest, ReSTrain, Selection, SimilarityKFold, Sizes, SplitProtocol,
    nn_similarity, overlap_report,
};
use quadrat::{
    Card, ColumnUse, Error, Lists, PoolColumns, Progress, Result, Seed, catalogue, check_vacant, checkpoint, find,
    save_selection, stats, write_atomic_folder,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct SplitFile {
    /// The rows to cut, or with --test the training rows; a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// The test rows, with the columns of the first file that are used
    #[arg(long, value_name = "FILE")]
    pub test: Option<String>,
    /// Folder to make: a folder a fold, in each the rows of either file in that file's own format
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Split once, into train and test: this share of the rows to test on, class by class where --target has classes
    #[arg(long, value_name = "SHARE",
          conflicts_with_all = ["test", "protocol", "folds", "balanced", "restarts", "purge", "sizes", "per-query",
                                "far", "text", "embedding", "features", "relevant"])]
    pub hold_out: Option<f64>,
    /// With --hold-out: column of groups, such as patients, of which none is on both sides
    #[arg(long, value_name = "COLUMN", requires = "hold_out", conflicts_with = "time")]
    pub groups: Option<String>,
    /// With --hold-out: column of times; the latest rows are tested on
    #[arg(long, value_name = "COLUMN", requires = "hold_out")]
    pub time: Option<String>,
    #[command(flatten)]
    pub protocol: Declared<SplitProtocol>,
    /// Text columns: joined, and turned into hashed TF-IDF features; compared by cosine
    #[arg(long, value_name = "A,B,C")]
    pub text: Vec<String>,
    /// Dimensions of the features made from text [default: 64]
    #[arg(long, value_name = "N", requires = "text")]
    pub text_dim: Option<usize>,
    /// Make the features from text by a sentence encoder: a folder as sentence-transformers or transformers writes it
    #[arg(long, value_name = "FOLDER", requires = "text", conflicts_with = "text_dim")]
    pub encoder: Option<PathBuf>,
    /// A column of fixed-size lists, or (without --test) an .npy file with a row for each row; compared by cosine
    #[arg(long, value_name = "COLUMN|FILE.npy")]
    pub embedding: Option<String>,
    /// Numeric columns, standardised and compared by Euclidean distance [default: all that are numeric]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// Column with each row's class, which is no feature
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
    /// Column with each row's relevant documents (a list, or text separated by `|`, `;` or `,`): reports how many test
    /// rows share one with the training rows
    #[arg(long, value_name = "COLUMN")]
    pub relevant: Option<String>,
    #[command(flatten)]
    pub run: Run,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// From this similarity on a test row counts as a near-duplicate of a training row.
const NEAR_DUPLICATE: f64 = 0.9;

const PLACEBO: &str = "A lower score on the extrapolation tests means what it says only if folds that mean nothing show \
                       none. Repeat the split with an embedding of random numbers: there the scores on both kinds of \
                       test must agree to within their interval. A gap that remains comes from the folds' sizes or \
                       difficulty, not from distance. And do not split by the embeddings of a model that you compare: \
                       that favours or hurts it.";

/// Splits, writes the user's own rows and says how near the tests are.
pub fn run(args: &SplitFile, progress: &dyn Progress) -> Result<Reply> {
    let card = find(&catalogue(), "interp-extrap-split")?;
    let protocol = protocol(args)?;
    if let Some(out) = &args.out {
        check_vacant(out)?;
    }
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let input = work::read(&args.input, &args.reading)?;
    if let Some(share) = args.hold_out {
        return hold_out::run(args, &input, share, progress);
    }
    let test = args.test.as_ref().map(|file| work::read(file, &args.reading)).transpose()?;
    let columns = columns(args, &input)?;
    let mut uses = columns.choose(&input, Needs { points: true, ..Needs::default() })?;
    let on_missing = args.reading.on_missing()?;
    let input = uses.settle(&input, on_missing)?;
    let test = test.map(|test| uses.settle(&test, on_missing)).transpose()?;
    let started = Instant::now();
    let files = Files { args, protocol, input: &input, test: test.as_ref() };
    let pieces = files.split(&columns, &mut uses, progress)?;
    let took = started.elapsed().as_secs_f64();
    checkpoint(progress)?;
    if let Some(out) = &args.out {
        progress.begin("writing", None);
        write_atomic_folder(out, |folder| files.write(&pieces, folder, progress))?;
    }
    let warnings: Vec<String> = pieces.iter().filter_map(Piece::warning).collect();
    for warning in &warnings {
        eprintln!("quadrat: note: {warning}");
    }
    Finished { card, files, uses, pieces, warnings, took }.reply()
}

/// What rows are compared by.
fn columns(args: &SplitFile, input: &Table) -> Result<PoolColumns> {
    Ok(PoolColumns {
        target: args.target.clone(),
        features: work::listed("--features", &args.features, input)?,
        text: work::listed("--text", &args.text, input)?,
        encoder: encoder::of(args.text_dim, args.encoder.as_deref())?,
        embedding: args.embedding.clone(),
        labels: args.relevant.clone(),
        standardise: true,
        ..PoolColumns::default()
    })
}

/// How to split, once it is clear that the protocol has what it needs and no option of the other one is given.
fn protocol(args: &SplitFile) -> Result<SplitProtocol> {
    args.protocol.check_effect()?;
    if args.protocol.given("sizes").is_some() && args.protocol.given("per-query").is_some() {
        return Err(Error::input("option", "`--per-query` with `--sizes`", "the one takes the place of the other"));
    }
    let protocol = args.protocol.settings()?;
    if matches!(protocol, SplitProtocol::Resample { .. }) && args.test.is_none() {
        let want = "--protocol resample takes training rows near and far from a test set: name its file";
        return Err(Error::input("--test", "nothing", want));
    }
    Ok(protocol)
}

/// The user's files.
struct Files<'a> {
    args: &'a SplitFile,
    protocol: SplitProtocol,
    input: &'a Table,
    test: Option<&'a Table>,
}

/// The numbers of each row's relevant documents.
type Documents = Vec<Vec<u32>>;

/// A fold, or the training sets of one size.
struct Piece {
    /// The name of its folder.
    name: String,
    /// Name, whether of the test file, and rows of each file in it.
    files: Vec<(&'static str, bool, Vec<usize>)>,
    /// Both regimes.
    sides: [Side; 2],
}

/// A training set with a test set.
struct Side {
    regime: &'static str,
    train: usize,
    test: usize,
    /// Of each test row to its nearest training row.
    similarity: Vec<f64>,
    overlap: Option<OverlapReport>,
}

impl Files<'_> {
    fn metric(&self) -> Metric {
        match self.args.text.is_empty() && self.args.embedding.is_none() {
            true => Metric::Euclidean,
            false => Metric::Cosine,
        }
    }

    fn split(&self, columns: &PoolColumns, uses: &mut ColumnUse, progress: &dyn Progress) -> Result<Vec<Piece>> {
        let Files { args, protocol, input, test } = self;
        let tables: Vec<&Table> = std::iter::once(*input).chain(*test).collect();
        let (seed, metric) = (Seed(args.run.seed), self.metric());
        let points = columns.joint_points(&tables, uses, seed, progress)?.to_f32().into_owned();
        let (train_rows, test_rows) = points.view().split_at(Axis(0), input.rows());
        let test_rows = if test.is_some() { test_rows } else { train_rows };
        if metric == Metric::Cosine {
            check_directions(input, train_rows)?;
            if let Some(test) = test {
                check_directions(test, test_rows)?;
            }
        }
        let judged = self.judgements()?;
        let side = |regime, train: &[usize], test: &[usize]| -> Result<Side> {
            let similarity = match test {
                [] => Vec::new(),
                _ => nn_similarity(
                    train_rows.select(Axis(0), train).view(),
                    test_rows.select(Axis(0), test).view(),
                    metric,
                    progress,
                )?,
            };
            let overlap = judged.as_ref().map(|(of_train, of_test)| {
                let of = |documents: &[Vec<u32>], rows: &[usize]| -> Vec<Qrel> {
                    let judged = |&query: &usize| {
                        let documents = documents[query].iter();
                        documents.map(move |document| Qrel { query, document: *document as usize, relevance: 1.0 })
                    };
                    rows.iter().flat_map(judged).collect()
                };
                overlap_report(&of(of_train, train), &of(of_test, test), 1.0, 1)
            });
            Ok(Side { regime, train: train.len(), test: test.len(), similarity, overlap: overlap.transpose()? })
        };
        match protocol {
            SplitProtocol::Extrapolation { folds: SimilarityKFold { buckets, purge } } => {
                let (buckets, purge) = (Buckets { metric, ..*buckets }, *purge);
                let splits = match test {
                    Some(_) => ReSTTest { buckets, purge }.split(train_rows, test_rows, seed, progress)?,
                    None => SimilarityKFold { buckets, purge }.split(train_rows, seed, progress)?,
                };
                let of_test = test.is_some();
                let piece = |split: quadrat::select::Split| {
                    let near = side("interpolation", &split.train, &split.interpolation)?;
                    let far = side("extrapolation", &split.train, &split.extrapolation)?;
                    Ok(Piece {
                        name: format!("fold-{}", split.fold + 1),
                        files: vec![
                            ("train", false, split.train),
                            ("interpolation", of_test, split.interpolation),
                            ("extrapolation", of_test, split.extrapolation),
                        ],
                        sides: [near, far],
                    })
                };
                splits.into_iter().map(piece).collect()
            }
            SplitProtocol::Resample { sets } => {
                let once = |numbers: &[usize]| {
                    let mut numbers = numbers.to_vec();
                    numbers.sort_unstable();
                    numbers.dedup();
                    numbers
                };
                let sizes = match &sets.sizes {
                    Sizes::PerQuery(numbers) => Sizes::PerQuery(once(numbers)),
                    Sizes::Rows(sizes) => Sizes::Rows(once(sizes)),
                };
                let by_size = matches!(sizes, Sizes::Rows(_));
                let method = ReSTrain { sizes, metric, ..sets.clone() };
                let made = method.split(train_rows, test_rows, seed, progress)?;
                let all: Vec<usize> = (0..test_rows.nrows()).collect();
                let piece = |sets: quadrat::select::TrainingSets| {
                    let near = side("interpolation", &sets.interpolation, &all)?;
                    let far = side("extrapolation", &sets.extrapolation, &all)?;
                    let name = match by_size {
                        true => format!("size-{}", sets.interpolation.len()),
                        false => format!("per-query-{}", sets.per_query),
                    };
                    let files = vec![
                        ("train-interpolation", false, sets.interpolation),
                        ("train-extrapolation", false, sets.extrapolation),
                    ];
                    Ok(Piece { name, files, sides: [near, far] })
                };
                made.sets.into_iter().map(piece).collect()
            }
        }
    }

    /// The relevant documents of each row of both files, numbered alike, if a column has them.
    fn judgements(&self) -> Result<Option<(Documents, Documents)>> {
        let Some(column) = &self.args.relevant else { return Ok(None) };
        let train = self.input.labels(column, None)?;
        let lists = |rows: &Lists| rows.iter().map(<[u32]>::to_vec).collect::<Documents>();
        let Some(test) = self.test else { return Ok(Some((lists(&train.rows), lists(&train.rows)))) };
        let mut test = test.labels(column, None)?;
        let known: std::collections::HashMap<&str, u32> = train.names.iter().map(String::as_str).zip(0..).collect();
        let new = train.names.len() as u32;
        let numbers: Vec<u32> =
            test.names.iter().zip(new..).map(|(name, new)| known.get(name.as_str()).copied().unwrap_or(new)).collect();
        test.rows.items_mut().iter_mut().for_each(|document| *document = numbers[*document as usize]);
        Ok(Some((lists(&train.rows), lists(&test.rows))))
    }

    fn write(&self, pieces: &[Piece], folder: &Path, progress: &dyn Progress) -> Result<()> {
        for piece in pieces {
            let place = folder.join(&piece.name);
            std::fs::create_dir(&place).map_err(|e| Error::io(&place, e))?;
            for (name, of_test, rows) in &piece.files {
                checkpoint(progress)?;
                let (table, source) = match (of_test, self.test, &self.args.test) {
                    (true, Some(test), Some(file)) => (test, file),
                    _ => (self.input, &self.args.input),
                };
                let path = place.join(format!("{name}.{}", ending(source, table.format())));
                save_selection(table, &Selection::of(rows.clone()), &path)?;
            }
        }
        Ok(())
    }
}

/// The ending of a file that is written as `source` is: its own, or that of its format.
fn ending(source: &str, format: Format) -> String {
    let name = source.rsplit(['/', '\\']).next().unwrap_or(source);
    let parts = match Format::of_path(Path::new(source)) {
        // Any table may be called .dat.
        Ok((Format::Keel, _)) if format != Format::Keel => 0,
        Ok((_, Compression::Plain)) => 1,
        Ok(_) => 2,
        Err(_) => 0,
    };
    let own: Vec<&str> = name.rsplitn(parts + 1, '.').take(parts).collect();
    match (own.as_slice(), format) {
        ([one], _) => (*one).to_owned(),
        ([outer, inner], _) => format!("{inner}.{outer}"),
        _ => format.ending().to_owned(),
    }
}

/// Cosines need a direction: a text without words, or none that another row has, is named by its line.
fn check_directions(table: &Table, points: ArrayView2<f32>) -> Result<()> {
    match points.outer_iter().position(|row| row.iter().all(|v| *v == 0.0)) {
        None => Ok(()),
        Some(row) => {
            let why = "this row has no direction to compare (no words, no words in common with others, or zeros only): \
                       remove it, or use more --text-dim";
            Err(Error::data(table.name(), table.line(row), why))
        }
    }
}

impl Piece {
    fn warning(&self) -> Option<String> {
        let empty = self.sides.iter().find(|side| side.test == 0)?;
        Some(format!("{} has no {} test rows: leave it out of that average", self.name, empty.regime))
    }

    /// The rows of each file of it, for programs: by the numbers that the files give them.
    fn rows(&self, files: &Files) -> Map<String, Value> {
        let own = |of_test: bool, rows: &[usize]| -> Value {
            let table = if of_test { files.test.unwrap_or(files.input) } else { files.input };
            rows.iter().map(|row| table.row(*row)).collect()
        };
        self.files.iter().map(|(name, of_test, rows)| ((*name).to_owned(), own(*of_test, rows))).collect()
    }
}

impl Side {
    fn quantile(&self, q: f64) -> f64 {
        stats::quantile(&self.similarity, q)
    }

    fn near_duplicates(&self) -> usize {
        self.similarity.iter().filter(|s| **s >= NEAR_DUPLICATE).count()
    }

    fn json(&self) -> Value {
        let quantiles =
            [("min", 0.0), ("5%", 0.05), ("25%", 0.25), ("50%", 0.5), ("75%", 0.75), ("95%", 0.95), ("max", 1.0)];
        let similarity: Map<String, Value> =
            quantiles.into_iter().map(|(name, q)| (name.to_owned(), json!(self.quantile(q)))).collect();
        let overlap =
            |o: &OverlapReport| json!({ "queries": o.queries, "overlapping": o.overlapping, "share": o.share });
        json!({
            "train": self.train,
            "test": self.test,
            "similarity": similarity,
            "near_duplicates": self.near_duplicates(),
            "relevance_overlap": self.overlap.as_ref().map(overlap),
        })
    }
}

/// A finished run.
struct Finished<'a> {
    card: &'static Card,
    files: Files<'a>,
    uses: ColumnUse,
    pieces: Vec<Piece>,
    warnings: Vec<String>,
    took: f64,
}

impl Finished<'_> {
    fn reply(&self) -> Result<Reply> {
        let Finished { files: Files { args, input, test, .. }, pieces, .. } = self;
        let mut text = format!("{}: {} rows of {}", self.card.slug, count(input.rows()), input.name());
        if let Some(test) = test {
            text.push_str(&format!(" and {} of {}", count(test.rows()), test.name()));
        }
        text.push_str(&format!(" in {} (seed {})\n", seconds(self.took), args.run.seed));
        text.push_str(&table(&self.overview(), &[2, 3, 4, 5, 6, 7, 8]));
        text.push_str(&format!("{}\n", self.legend()));
        for path in [&args.out, &args.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        if args.out.is_none() && args.report.is_none() {
            text.push_str("nothing was written: add --out FOLDER (or --json for the row numbers)\n");
        }
        let piece = |piece: &Piece| {
            let mut value = json!({ "name": piece.name });
            for side in &piece.sides {
                value[side.regime] = side.json();
            }
            if args.out.is_none() {
                value["rows"] = piece.rows(&self.files).into();
            }
            value
        };
        let mut value = json!({
            "method": self.card.slug,
            "protocol": self.protocol(),
            "similarity": self.measure(),
            "near_duplicate_from": NEAR_DUPLICATE,
            "seed": args.run.seed,
            "input": input.name(),
            "rows": input.rows(),
            "test": test.map(Table::name),
            "test_rows": test.map(Table::rows),
            "splits": pieces.iter().map(piece).collect::<Vec<_>>(),
            "warnings": self.warnings,
            "seconds": self.took,
            "out": args.out,
            "report": args.report,
        });
        roles::tell(input, &self.uses, &mut text, &mut value);
        if let Some(path) = &args.report {
            self.page().finish(path, Some(self.card))?;
        }
        Ok(Reply::new(text, value))
    }

    fn protocol(&self) -> &str {
        self.files.args.protocol.value("protocol")
    }

    fn measure(&self) -> &'static str {
        match self.files.metric() {
            Metric::Cosine => "cosine",
            Metric::Euclidean => "1 / (1 + Euclidean distance)",
        }
    }

    fn legend(&self) -> String {
        format!(
            "similarity: {} of a test row to its nearest training row; near-duplicates: at least {NEAR_DUPLICATE}",
            self.measure()
        )
    }

    /// Two lines a piece.
    fn overview(&self) -> Vec<Vec<String>> {
        let mut head = vec!["", "regime", "train", "test", "similarity 5%", "median", "95%", "near-duplicates"];
        if self.files.args.relevant.is_some() {
            head.push("shared documents");
        }
        let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
        for piece in &self.pieces {
            for side in &piece.sides {
                let quantiles = [0.05, 0.5, 0.95].map(|q| figure(side.quantile(q)));
                let mut row = vec![piece.name.clone(), side.regime.to_owned(), count(side.train), count(side.test)];
                row.extend(quantiles);
                row.push(count(side.near_duplicates()));
                row.extend(side.overlap.map(|o| format!("{} of {}", count(o.overlapping), count(o.queries))));
                rows.push(row);
            }
        }
        rows
    }

    fn page(&self) -> Page {
        let Finished { files: Files { args, protocol, input, test }, pieces, .. } = self;
        let mut page = Page::new(format!("{} split by similarity", input.name()), self.card.summary);
        let mut facts = vec![
            ("Protocol".to_owned(), self.protocol().to_owned()),
            ("Rows".to_owned(), count(input.rows())),
            ("Similarity".to_owned(), self.measure().to_owned()),
            ("Seed".to_owned(), args.run.seed.to_string()),
            ("Time".to_owned(), seconds(self.took)),
        ];
        if let Some(test) = test {
            facts.insert(2, ("Test rows".to_owned(), count(test.rows())));
        }
        page.blocks.push(Block::Facts(facts));
        page.section("Notes", self.warnings.iter().cloned().map(Block::Text));

        let series: Vec<String> = ["interpolation", "extrapolation"].map(str::to_owned).to_vec();
        let bins = Block::Bars { series: series.clone(), rows: self.histogram() };
        page.section("Similarity to the nearest training row", [bins, Block::Text(self.legend())]);
        let sizes = pieces.iter().map(|piece| {
            let rows = |side: &Side| match protocol {
                SplitProtocol::Extrapolation { .. } => side.test,
                SplitProtocol::Resample { .. } => side.train,
            };
            (piece.name.clone(), piece.sides.iter().map(|side| (rows(side) as f64, count(rows(side)))).collect())
        });
        let heading = match protocol {
            SplitProtocol::Extrapolation { .. } => "Test rows",
            SplitProtocol::Resample { .. } => "Training rows",
        };
        page.section(heading, [Block::Bars { series, rows: sizes.collect() }]);
        page.section("All figures", [Block::Table { rows: self.overview(), right: vec![2, 3, 4, 5, 6, 7, 8] }]);
        page.section("Before you trust a gap", [Block::Text(PLACEBO.to_owned())]);
        page
    }

    /// The share of each regime's test rows, over all pieces, in 20 bins of similarity.
    fn histogram(&self) -> Vec<(String, Vec<(f64, String)>)> {
        const BINS: usize = 20;
        let of = |at: usize| self.pieces.iter().flat_map(move |piece| piece.sides[at].similarity.iter().copied());
        let (low, high) = of(0).chain(of(1)).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(s), h.max(s)));
        let width = if high > low { (high - low) / BINS as f64 } else { 1.0 };
        let counts = [0, 1].map(|at| {
            let mut counts = [0_usize; BINS];
            of(at).for_each(|s| counts[(((s - low) / width) as usize).min(BINS - 1)] += 1);
            counts
        });
        let totals = counts.each_ref().map(|counts| counts.iter().sum::<usize>().max(1) as f64);
        let row = |bin: usize| {
            let name = format!("{:.3} to {:.3}", low + width * bin as f64, low + width * (bin + 1) as f64);
            let share = |at: usize| {
                let share = counts[at][bin] as f64 / totals[at];
                (share, format!("{:.1}%", 100.0 * share))
            };
            (name, vec![share(0), share(1)])
        };
        (0..BINS).rev().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_ending() {
        for (source, format, expected) in [
            ("a/b.c/queries.jsonl", Format::Jsonl, "jsonl"),
            ("rows.v2.csv.gz", Format::Csv, "csv.gz"),
            ("rows.ndjson.zst", Format::Jsonl, "ndjson.zst"),
            ("builtin:letter", Format::Csv, "csv"),
            ("no-ending", Format::Parquet, "parquet"),
        ] {
            assert_eq!(ending(source, format), expected);
        }
    }
}
