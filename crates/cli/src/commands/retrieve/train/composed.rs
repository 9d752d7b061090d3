//! Queries that are something and words about it, and their targets -> an encoder of both.

use super::super::compose::{check_count, is_npy, read_lines};
use super::super::describe::{Tagged, read_examples, read_tags, sentence};
use super::{DIMS, TrainRetriever, held_back, required};
use crate::commands::word_encoder::write_words;
use crate::output::{Reply, count, figure, seconds, table, write_json};
use crate::parameters::with_parameters;
use clap::Args;
use ndarray::{Array2, Axis};
use quadrat::data::{read_embedding, read_matrix, write_matrix};
use quadrat::retrieval::composed::describe::Describe;
use quadrat::retrieval::composed::{ComposedEncoder, Recall, Sentences, Shape, Task, build, ranks, recall};
use quadrat::retrieval::training::Vocabulary;
use quadrat::{Choice, Progress, Result, Seed, write_atomic_folder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The files of such a method, beside --queries.
#[derive(Args, Debug)]
pub struct Files {
    /// For multi-grained-uncertainty and language-guided-music, whose --queries are rows of features (.npy): a sentence for each, a line
    /// of text (it may be empty) or a row of an .npy file (zeros: none)
    #[arg(long, value_name = "FILE", conflicts_with = "tags")]
    pub words: Option<PathBuf>,
    /// For the same: the target that belongs to each query, rows of features
    #[arg(long, value_name = "FILE.npy")]
    pub targets: Option<PathBuf>,
    #[command(flatten)]
    pub tagged: Tagged,
}

/// Sentences, and the vocabulary if they are texts.
struct Words {
    sentences: Sentences,
    vocabulary: Option<Vocabulary>,
}

/// How good the encoder is on rows that were held back.
struct Stage {
    name: String,
    recall: Option<Recall>,
    losses: Option<(f64, f64)>,
    seconds: f64,
}

/// Trains, and writes a folder.
pub fn run(args: &TrainRetriever, text: &str, progress: &dyn Progress) -> Result<Reply> {
    let (name, params) = with_parameters("--method", text)?;
    let method = build(name, &params.into_iter().collect())?;
    let seed = Seed(args.run.seed);
    let references =
        read_matrix(required("--queries", args.queries.as_deref(), "the features of the queries, an .npy file")?)?;
    let what = "the features of what belongs to each query, an .npy file";
    let targets = required("--targets", args.composed.targets.as_deref(), what)?;
    let targets = read_embedding(targets, references.nrows())?;
    let (train, test) = held_back(args.validation, references.nrows(), seed)?;
    let words = words(&args.composed, references.nrows(), &train, seed)?;
    let (taught, apart) =
        (Rows::of(&references, &words, &targets, &train), Rows::of(&references, &words, &targets, &test));
    let own: Vec<u32> = test.iter().map(|row| *row as u32).collect();
    let measure = |encoder: &ComposedEncoder| {
        let found = || {
            let queries = encoder.compose(apart.references.view(), &apart.sentences)?;
            Ok(recall(&ranks(queries.view(), encoder.project(targets.view())?.view(), &own)?))
        };
        (!test.is_empty()).then(found).transpose()
    };
    let mut encoder = ComposedEncoder::start(method.composer(), args.dims.unwrap_or(DIMS), &taught.task(), seed)?;
    let mut stages =
        vec![Stage { name: "untrained".to_owned(), recall: measure(&encoder)?, losses: None, seconds: 0.0 }];
    let started = Instant::now();
    let losses = method.train(&mut encoder, &taught.task(), seed.stream("method"), progress)?;
    let took = started.elapsed().as_secs_f64();
    let ends = (losses[0], losses[losses.len() - 1]);
    stages.push(Stage { name: text.to_owned(), recall: measure(&encoder)?, losses: Some(ends), seconds: took });

    let empty = words.sentences.empty();
    let value = json!({
        "kind": "composed",
        "method": text,
        "model": shape_json(&encoder.shape()),
        "text": words.vocabulary.is_some(),
        "queries": train.len(),
        "held_back": test.len(),
        "without_words": empty,
        "seed": args.run.seed,
        "stages": stages.iter().map(Stage::json).collect::<Vec<_>>(),
        "out": args.out,
    });
    write(&args.out, &encoder, words.vocabulary.as_ref(), &value)?;
    let mut said = format!(
        "{} rows, {} without words: {} to learn from and {} held back, each ranked among all targets\n",
        count(references.nrows()),
        count(empty),
        count(train.len()),
        count(test.len())
    );
    said.push_str(&lines(&stages));
    said.push_str(&format!("wrote {}\n", args.out.display()));
    Ok(Reply::new(said, value))
}

/// The rows of a part.
struct Rows {
    references: Array2<f32>,
    sentences: Sentences,
    targets: Array2<f32>,
}

impl Rows {
    fn of(references: &Array2<f32>, words: &Words, targets: &Array2<f32>, rows: &[usize]) -> Rows {
        let (references, targets) = (references.select(Axis(0), rows), targets.select(Axis(0), rows));
        Rows { references, sentences: words.sentences.select(rows), targets }
    }

    fn task(&self) -> Task<'_> {
        Task { references: self.references.view(), sentences: &self.sentences, targets: self.targets.view() }
    }
}

/// The sentences of so many rows, of which `train` teach the vocabulary.
fn words(files: &Files, rows: usize, train: &[usize], seed: Seed) -> Result<Words> {
    let Tagged { tags, examples } = &files.tagged;
    let texts = match (&files.words, tags) {
        (Some(file), _) if is_npy(file) => {
            return Ok(Words { sentences: Sentences::Vectors(read_embedding(file, rows)?), vocabulary: None });
        }
        (Some(file), _) => read_lines(file, rows)?,
        (None, Some(file)) => {
            let tags = read_tags(file)?;
            check_count(file, tags.len(), rows)?;
            let way = if examples.is_some() { Describe::Analogy } else { Describe::Template };
            let way = way.with(read_examples(examples.as_deref())?)?;
            tags.iter().zip(0..).map(|(tags, row)| sentence(way.as_ref(), tags, row, seed)).collect::<Result<_>>()?
        }
        (None, None) => return Ok(Words { sentences: Sentences::missing(rows), vocabulary: None }),
    };
    let vocabulary = Vocabulary::learn(train.iter().map(|row| texts[*row].as_str()))?;
    Ok(Words { sentences: Sentences::Bags(vocabulary.bags(&texts)), vocabulary: Some(vocabulary) })
}

impl Stage {
    fn json(&self) -> Value {
        let recall = self
            .recall
            .map(|r| json!({ "r@1": r.at[0], "r@10": r.at[1], "r@50": r.at[2], "median_rank": r.median_rank }));
        let losses = self.losses.map(|(first, last)| json!({ "first": first, "last": last }));
        json!({ "name": self.name, "recall": recall, "loss": losses, "seconds": self.seconds })
    }
}

fn lines(stages: &[Stage]) -> String {
    let mut rows = vec![["after", "r@1", "r@10", "r@50", "median rank", "loss", "time"].map(str::to_owned).to_vec()];
    rows.extend(stages.iter().map(|stage| {
        let at = |k: usize| stage.recall.map_or_else(String::new, |recall| format!("{:.4}", recall.at[k]));
        let median = stage.recall.map_or_else(String::new, |recall| recall.median_rank.to_string());
        let losses =
            stage.losses.map_or_else(String::new, |(first, last)| format!("{} to {}", figure(first), figure(last)));
        vec![stage.name.clone(), at(0), at(1), at(2), median, losses, seconds(stage.seconds)]
    }));
    table(&rows, &[1, 2, 3, 4])
}

fn shape_json(shape: &Shape) -> Value {
    let [references, words, targets] = shape.widths;
    json!({
        "composer": shape.composer.name(),
        "dims": shape.dims,
        "widths": { "queries": references, "words": words, "targets": targets },
        "units": shape.units,
    })
}

/// A folder that is whole or absent.
fn write(folder: &Path, encoder: &ComposedEncoder, vocabulary: Option<&Vocabulary>, value: &Value) -> Result<()> {
    write_atomic_folder(folder, |folder| {
        for (name, matrix) in encoder.matrices() {
            write_matrix(&folder.join(format!("{name}.npy")), matrix.view())?;
        }
        if let Some(vocabulary) = vocabulary {
            write_words(folder, vocabulary)?;
        }
        write_json(&folder.join("model.json"), value)
    })
}
