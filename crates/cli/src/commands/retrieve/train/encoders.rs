//! Queries, judgements and documents -> encoders that rank well.

use super::super::documents::{self, Documents};
use super::{DIMS, TrainRetriever, held_back, required, sparse};
use crate::commands::word_encoder::WordEncoder;
use crate::output::{Reply, count, figure, seconds, table, write_json};
use quadrat::data::trec::{Judgements, read_queries};
use quadrat::numeric::Csr;
use quadrat::retrieval::training::{DualEncoder, Quality, Task, Vocabulary, quality};
use quadrat::retrieval::{Kind, Setup, VectorWriter};
use quadrat::{Error, Lists, Progress, Result, Seed, stats, write_atomic_folder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

/// The usual deviation of the scores before training.
const SPREAD: f64 = 2.0;

/// How good the encoder is on queries that were held back, after so many methods.
pub struct Stage {
    pub name: String,
    pub quality: Option<Quality>,
    /// Means of the first and the last tenth of the steps.
    pub losses: Option<(f64, f64)>,
    pub seconds: f64,
}

/// Trains, and writes a folder.
pub fn run(args: &TrainRetriever, progress: &dyn Progress) -> Result<Reply> {
    let queries_file = required("--queries", args.queries.as_deref(), "the file of the queries")?;
    let qrels = required("--qrels", args.qrels.as_deref(), "the file of the judgements")?;
    let input = required("--in", args.input.as_deref(), "the file of the documents")?;
    let spread = args.spread.unwrap_or(SPREAD);
    if !(spread > 0.0 && spread.is_finite()) {
        return Err(Error::input("--spread", spread, "use a number above 0; 1 to 4 is usual"));
    }
    let (methods, sparse) = sparse::methods(&args.method)?;
    let seed = Seed(args.run.seed);
    let queries = read_queries(queries_file, progress)?;
    let judgements = Judgements::read(qrels, progress)?;
    let documents = documents::read(input, &args.reading, &args.fields, None)?;
    let (asked, notes) = Asked::of((queries_file, qrels, input), &queries, &judgements, &documents)?;
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
    let mut encoder = DualEncoder::start(&bags, &taught, args.dims.unwrap_or(DIMS), spread, seed)?;
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
        None => write(&args.out, &WordEncoder { vocabulary, encoder }, &bags, documents, &value)?,
    }
    text.push_str(&format!("wrote {}\n", args.out.display()));
    Ok(Reply::new(text, value))
}

/// Texts of queries, and the rows of the documents that are relevant to each.
#[derive(Default)]
pub struct Asked {
    pub texts: Vec<String>,
    pub relevant: Lists,
}

impl Asked {
    /// The queries that have a relevant document, and what was left out.
    fn of(
        (queries_file, qrels, input): (&Path, &Path, &str),
        queries: &[(String, String)],
        judgements: &Judgements,
        documents: &Documents,
    ) -> Result<(Asked, Vec<String>)> {
        let mut rows = HashMap::new();
        for (row, document) in (0_u32..).zip(&documents.all) {
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
                        let why = format!("document `{name}`, relevant to query `{id}`, is not in {input}");
                        Error::data(qrels.display().to_string(), None, why)
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
            let why = format!("no query of {} has a relevant document", queries_file.display());
            return Err(Error::data(qrels.display().to_string(), None, why));
        }
        Ok((asked, notes))
    }
}

impl Stage {
    /// Means of the first and the last tenth of the losses.
    pub fn ends(losses: &[f64]) -> Option<(f64, f64)> {
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

/// The encoder, and an index of the documents' vectors: a folder that is whole or absent.
fn write(out: &Path, words: &WordEncoder, bags: &Csr, documents: Documents, value: &Value) -> Result<()> {
    let encoder = std::path::absolute(out).map_err(|error| Error::io(out, error))?.display().to_string();
    write_atomic_folder(out, |folder| {
        words.write(folder)?;
        let rows = words.encoder.documents(bags);
        let kind = Kind::Dense { columns: rows.ncols(), encoder: Some(encoder) };
        let mut writer = VectorWriter::create(folder, Setup { kind, id: documents.id, text: documents.text })?;
        writer.add(documents.all.into_iter().map(|document| document.id).collect(), rows)?;
        writer.commit()?;
        write_json(&folder.join("training.json"), value)
    })
}
