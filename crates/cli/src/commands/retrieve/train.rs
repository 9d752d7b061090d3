//! `quadrat retrieve train`: queries, judgements and documents -> encoders that rank well.

mod sparse;

use super::documents::{self, Documents, Fields};
use crate::args::Run;
use crate::output::{Reply, count, figure, seconds, table, write_json};
use crate::reading::Reading;
use clap::Args;
use quadrat::data::trec::{Judgements, read_queries};
use quadrat::data::write_matrix;
use quadrat::numeric::{Csr, splits};
use quadrat::retrieval::training::{DualEncoder, Quality, Task, Vocabulary, quality};
use quadrat::{Error, Lists, Progress, Result, Seed, check_vacant, stats, write_atomic_bytes, write_atomic_folder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct TrainRetriever {
    /// What is asked: lines of an id, a tab and a text, or JSON Lines with `_id` and `text`
    #[arg(long, value_name = "FILE")]
    pub queries: PathBuf,
    /// Which documents are relevant: TREC's lines, BEIR's table or its folder, or JSON Lines; levels above 0 count
    #[arg(long, value_name = "FILE|FOLDER")]
    pub qrels: PathBuf,
    /// The documents, one a row; a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    #[command(flatten)]
    pub fields: Fields,
    /// star or adore, with parameters as in star:negatives=in-batch,steps=600; several are run in the order given. The last may be
    /// inference-free-sparse, which those before it teach
    #[arg(long, value_name = "METHOD", required = true)]
    pub method: Vec<String>,
    /// Values of a vector
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub dims: usize,
    /// Standard deviation of the scores before training, which decides how hard the losses pull
    #[arg(long, value_name = "NUMBER", default_value_t = 2.0)]
    pub spread: f64,
    /// Share of the queries that is held back to measure; 0 trains on all
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub validation: f64,
    /// Folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// How good the encoder is on queries that were held back, after so many methods.
struct Stage {
    name: String,
    quality: Option<Quality>,
    /// Means of the first and the last tenth of the steps.
    losses: Option<(f64, f64)>,
    seconds: f64,
}

/// Trains, and writes a folder.
pub fn run(args: &TrainRetriever, progress: &dyn Progress) -> Result<Reply> {
    check(args)?;
    let (methods, sparse) = sparse::methods(&args.method)?;
    let seed = Seed(args.run.seed);
    let queries = read_queries(&args.queries, progress)?;
    let judgements = Judgements::read(&args.qrels, progress)?;
    let documents = documents::read(&args.input, &args.reading, &args.fields, None)?;
    let (asked, notes) = Asked::of(args, &queries, &judgements, &documents)?;
    for note in &notes {
        eprintln!("quadrat: note: {note}");
    }
    let texts: Vec<String> = documents.all.iter().map(|document| document.text.clone()).collect();
    let (train, test) = held_back(args.validation, asked.texts.len(), seed)?;
    let known = texts.iter().chain(train.iter().map(|row| &asked.texts[*row]));
    let vocabulary = Vocabulary::learn(known.map(String::as_str))?;
    let bags = vocabulary.bags(&texts);
    let of = |rows: &[usize]| {
        let texts: Vec<String> = rows.iter().map(|row| asked.texts[*row].clone()).collect();
        (vocabulary.bags(&texts), rows.iter().map(|row| asked.relevant[*row].iter().copied()).collect::<Lists>())
    };
    let ((held_back, of_held_back), (taught, of_taught)) = (of(&test), of(&train));
    let task = Task { documents: &bags, queries: &taught, relevant: &of_taught };
    let measure = |encoder: &DualEncoder| {
        let found = || {
            let (documents, queries) = (encoder.documents(&bags), encoder.queries(&held_back));
            quality(documents.view(), queries.view(), &of_held_back, progress)
        };
        (!test.is_empty()).then(found).transpose()
    };
    let started = Instant::now();
    let mut encoder = DualEncoder::start(&bags, &taught, args.dims, args.spread, seed)?;
    let took = started.elapsed().as_secs_f64();
    let mut stages =
        vec![Stage { name: "untrained".to_owned(), quality: measure(&encoder)?, losses: None, seconds: took }];
    for (at, (text, method)) in args.method.iter().zip(&methods).enumerate() {
        let started = Instant::now();
        let losses = method.train(&mut encoder, &task, seed.stream(&format!("method {at}")), progress)?;
        let took = started.elapsed().as_secs_f64();
        stages.push(Stage {
            name: text.clone(),
            quality: measure(&encoder)?,
            losses: Stage::ends(&losses),
            seconds: took,
        });
    }
    let student = sparse.map(|(name, method)| {
        let teacher = (encoder.documents(&bags), encoder.queries(&taught));
        let teacher = (teacher.0.view(), teacher.1.view());
        let given = sparse::Given { documents: &documents, asked: &asked, rows: (&train, &test), teacher };
        let (student, told) = sparse::train((name, &method), &given, seed.stream("sparse"), progress)?;
        stages.extend(told);
        Ok(student)
    });
    let student = student.transpose()?;
    let value = json!({
        "documents": documents.all.len(),
        "words": vocabulary.words().len(),
        "dims": encoder.words().ncols(),
        "queries": taught.rows(),
        "held_back": test.len(),
        "seed": args.run.seed,
        "sparse": student.as_ref().map(sparse::Student::json),
        "stages": stages.iter().map(Stage::json).collect::<Vec<_>>(),
        "id": documents.id,
        "text": documents.text,
        "warnings": notes,
        "out": args.out,
    });
    let mut text = format!(
        "{} documents, {} words, {} queries to learn from and {} held back\n",
        count(documents.all.len()),
        count(vocabulary.words().len()),
        count(taught.rows()),
        count(test.len())
    );
    text.push_str(&lines(&stages));
    match student {
        Some(student) => {
            text.push_str(&student.told());
            student.write(args, documents, &value, progress)?;
        }
        None => write(&args.out, &encoder, &vocabulary, &bags, &documents, &value)?,
    }
    text.push_str(&format!("wrote {}\n", args.out.display()));
    Ok(Reply::new(text, value))
}

fn check(args: &TrainRetriever) -> Result<()> {
    check_vacant(&args.out)?;
    if args.dims == 0 {
        return Err(Error::input("--dims", 0, "use a whole number, at least 1"));
    }
    if !(args.spread > 0.0 && args.spread.is_finite()) {
        return Err(Error::input("--spread", args.spread, "use a number above 0; 1 to 4 is usual"));
    }
    if !(0.0..1.0).contains(&args.validation) {
        return Err(Error::input("--validation", args.validation, "0 to below 1"));
    }
    Ok(())
}

/// Queries to learn from, and those that are held back.
fn held_back(share: f64, queries: usize, seed: Seed) -> Result<(Vec<usize>, Vec<usize>)> {
    if share == 0.0 {
        return Ok(((0..queries).collect(), Vec::new()));
    }
    let split = splits::drawn(queries, share, seed.stream("validation"))?;
    Ok((split.train, split.test))
}

/// Texts of queries, and the rows of the documents that are relevant to each.
#[derive(Default)]
struct Asked {
    texts: Vec<String>,
    relevant: Lists,
}

impl Asked {
    /// The queries that have a relevant document, and what was left out.
    fn of(
        args: &TrainRetriever,
        queries: &[(String, String)],
        judgements: &Judgements,
        documents: &Documents,
    ) -> Result<(Asked, Vec<String>)> {
        let mut rows = HashMap::new();
        for (row, document) in (0_u32..).zip(&documents.all) {
            if document.id.contains(['\n', '\r']) {
                let want = "a name of one line: names are written one a line";
                return Err(Error::input("document id", format!("`{}`", document.id), want));
            }
            if rows.insert(document.id.as_str(), row).is_some() {
                let want = "every document needs a name of its own";
                return Err(Error::input("document id", format!("`{}` twice", document.id), want));
            }
        }
        let (mut asked, mut unjudged) = (Asked::default(), Vec::new());
        for (id, text) in queries {
            let mut relevant = Vec::new();
            if let Some(query) = judgements.queries().find(id) {
                for (name, _) in judgements.of(query).filter(|(_, level)| *level > 0) {
                    relevant.push(*rows.get(name).ok_or_else(|| {
                        let why = format!("document `{name}`, relevant to query `{id}`, is not in {}", args.input);
                        Error::data(args.qrels.display().to_string(), None, why)
                    })?);
                }
            }
            if relevant.is_empty() {
                unjudged.push(id.as_str());
            } else {
                asked.texts.push(text.clone());
                asked.relevant.push(relevant);
            }
        }
        let mut notes = Vec::new();
        if let Some(first) = unjudged.first() {
            let n = format!("{} of {}", count(unjudged.len()), count(queries.len()));
            notes.push(format!("queries without a relevant document are left out: {n}, such as {first}"));
        }
        if asked.texts.is_empty() {
            let why = format!("no query of {} has a relevant document", args.queries.display());
            return Err(Error::data(args.qrels.display().to_string(), None, why));
        }
        Ok((asked, notes))
    }
}

impl Stage {
    /// Means of the first and the last tenth of the losses.
    fn ends(losses: &[f64]) -> Option<(f64, f64)> {
        let tenth = losses.len().div_ceil(10);
        Some((stats::mean(&losses[..tenth]), stats::mean(&losses[losses.len() - tenth..])))
    }

    fn json(&self) -> Value {
        let quality = self.quality.map(|q| json!({ "mrr@10": q.mrr_at_10, "recall@100": q.recall_at_100 }));
        let losses = self.losses.map(|(first, last)| json!({ "first": first, "last": last }));
        json!({ "name": self.name, "quality": quality, "loss": losses, "seconds": self.seconds })
    }
}

fn lines(stages: &[Stage]) -> String {
    let mut rows = vec![["after", "mrr@10", "recall@100", "loss", "time"].map(str::to_owned).to_vec()];
    rows.extend(stages.iter().map(|stage| {
        let of = |value: fn(&Quality) -> f64| {
            stage.quality.as_ref().map_or_else(String::new, |q| format!("{:.4}", value(q)))
        };
        let losses =
            stage.losses.map_or_else(String::new, |(first, last)| format!("{} to {}", figure(first), figure(last)));
        vec![stage.name.clone(), of(|q| q.mrr_at_10), of(|q| q.recall_at_100), losses, seconds(stage.seconds)]
    }));
    table(&rows, &[1, 2])
}

/// The encoder, the documents' vectors and their names: a folder that is whole or absent.
fn write(
    folder: &Path,
    encoder: &DualEncoder,
    vocabulary: &Vocabulary,
    bags: &Csr,
    documents: &Documents,
    value: &Value,
) -> Result<()> {
    write_atomic_folder(folder, |folder| {
        let lines = |names: &mut dyn Iterator<Item = String>| names.fold(String::new(), |all, line| all + &line + "\n");
        let words = lines(&mut vocabulary.words().iter().map(|(word, weight)| format!("{word}\t{weight}")));
        write_atomic_bytes(&folder.join("words.tsv"), words.as_bytes())?;
        write_matrix(&folder.join("word-vectors.npy"), encoder.words())?;
        write_matrix(&folder.join("query-word-vectors.npy"), encoder.query_words())?;
        write_matrix(&folder.join("vectors.npy"), encoder.documents(bags).view())?;
        let ids = lines(&mut documents.all.iter().map(|document| document.id.clone()));
        write_atomic_bytes(&folder.join("ids.txt"), ids.as_bytes())?;
        write_json(&folder.join("training.json"), value)
    })
}
