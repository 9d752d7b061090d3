//! `--method inference-free-sparse`: documents become weights of words, and an index of impacts that is searched at once.

use super::super::index::add_all;
use super::TrainRetriever;
use super::encoders::{Asked, Stage};
use crate::commands::retrieve::documents::Documents;
use crate::output::{count, write_json};
use crate::parameters::with_parameters;
use ndarray::ArrayView2;
use quadrat::data::write_matrix;
use quadrat::numeric::Csr;
use quadrat::retrieval::training::{
    BowExpander, InferenceFreeSparse, Lexicon, RetrieverTraining, SparseTask, Sparsity, Target, Teachers, build,
    quality_of_bags,
};
use quadrat::retrieval::{self, Analyser, Document, Impacts, Kind, Setup, WeighedDocument, Writer};
use quadrat::{
    Error, Lists, Method, Params, Progress, Result, Seed, Settings, write_atomic_bytes, write_atomic_folder,
};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// What the student is trained with.
pub struct Given<'a> {
    pub documents: &'a Documents,
    pub asked: &'a Asked,
    /// Queries to learn from, and those held back.
    pub rows: (&'a [usize], &'a [usize]),
    /// The dense teacher's vectors of documents and of the queries to learn from.
    pub teacher: (ArrayView2<'a, f32>, ArrayView2<'a, f32>),
}

/// Methods that train dense encoders.
type Dense = Vec<Box<dyn RetrieverTraining>>;

/// The methods that train dense encoders, and the sparse one that may come last, with what was typed.
pub fn methods(typed: &[String]) -> Result<(Dense, Option<(&str, InferenceFreeSparse)>)> {
    let (mut dense, mut sparse) = (Dense::new(), None);
    for text in typed {
        if sparse.is_some() {
            let want = "it comes last: the methods before it train its dense teacher";
            return Err(Error::input("--method", format!("`{text}` after {}", InferenceFreeSparse::CARD.slug), want));
        }
        let (name, given) = with_parameters("--method", text)?;
        let given: Params = given.into_iter().collect();
        if InferenceFreeSparse::CARD.is_called(name) {
            given.check_names(&InferenceFreeSparse::CARD)?;
            sparse = Some((text.as_str(), InferenceFreeSparse::from_params(&given)?));
        } else {
            dense.push(build(name, &given)?);
        }
    }
    Ok((dense, sparse))
}

/// The trained encoder, and what it makes of the documents.
pub struct Student {
    lexicon: Lexicon,
    encoder: BowExpander,
    bags: Csr,
    /// Of BM25, and after training.
    sparsity: [Sparsity; 2],
}

/// The share of a largest start weight below which an impact is none: half a step of 255.
const LEAST: f32 = 1.0 / 510.0;

/// Whether the dense teacher is asked.
pub fn needs_dense(method: &InferenceFreeSparse) -> bool {
    matches!(method.target, Target::Distil { teachers: Teachers::Both | Teachers::Dense, .. })
}

/// Trains, and tells how good BM25 and the student are on the queries held back.
pub fn train(
    (name, method): (&str, &InferenceFreeSparse),
    given: &Given,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<(Student, [Stage; 2])> {
    let texts: Vec<String> = given.documents.all.iter().map(|document| document.text.clone()).collect();
    let of = |rows: &[usize]| -> (Vec<String>, Lists) {
        let texts = rows.iter().map(|row| given.asked.texts[*row].clone()).collect();
        (texts, rows.iter().map(|row| given.asked.relevant[*row].iter().copied()).collect())
    };
    let ((taught, of_taught), (held_back, of_held_back)) = (of(given.rows.0), of(given.rows.1));
    let started = Instant::now();
    let lexicon = Lexicon::learn(&texts, &taught)?;
    let (documents, queries) = (lexicon.documents(&texts), lexicon.queries(&taught));
    let held_back = lexicon.queries(&held_back);
    let measured = |bags: &Csr| {
        let quality = || quality_of_bags(bags, &held_back, &of_held_back);
        let asked = if held_back.rows() == 0 { &queries } else { &held_back };
        Ok(((held_back.rows() > 0).then(quality).transpose()?, Sparsity::of(bags, asked)))
    };
    let mut encoder = BowExpander::start(&documents, lexicon.idf(), method.query_weights, method.rank, seed)?;
    let (before, of_bm25) = measured(&encoder.bm25(&documents))?;
    let bm25 =
        Stage { name: "bm25".to_owned(), quality: before, losses: None, seconds: started.elapsed().as_secs_f64() };
    let started = Instant::now();
    let task = SparseTask {
        documents: &documents,
        queries: &queries,
        relevant: &of_taught,
        dense: needs_dense(method).then_some(given.teacher),
    };
    let losses = method.train(&mut encoder, &task, seed, progress)?;
    let least = lexicon.idf().iter().copied().fold(0.0, f32::max) * LEAST;
    let bags = encoder.encode(&documents, least);
    if bags.indices.is_empty() {
        return Err(Error::input("lambda", method.lambda, "a smaller one: no word of any document has kept a weight"));
    }
    let seconds = started.elapsed().as_secs_f64();
    let (after, of_student) = measured(&bags)?;
    let stage = Stage { name: name.to_owned(), quality: after, losses: Stage::ends(&losses), seconds };
    Ok((Student { lexicon, encoder, bags, sparsity: [of_bm25, of_student] }, [bm25, stage]))
}

impl Student {
    /// How short the documents are.
    pub fn told(&self) -> String {
        let line = |(name, sparsity): (&str, &Sparsity)| {
            format!(
                "{name}: {:.1} words a document, {} of {} words in none; a query meets {:.3} postings a document\n",
                sparsity.active,
                count(sparsity.dead),
                count(self.lexicon.words().len()),
                sparsity.flops
            )
        };
        ["bm25", "trained"].into_iter().zip(&self.sparsity).map(line).collect()
    }

    pub fn json(&self) -> Value {
        let of =
            |sparsity: &Sparsity| json!({ "active": sparsity.active, "dead": sparsity.dead, "flops": sparsity.flops });
        json!({ "words": self.lexicon.words().len(), "bm25": of(&self.sparsity[0]), "trained": of(&self.sparsity[1]) })
    }

    /// The index with the encoder's parameters beside it: a folder that is whole or absent.
    pub fn write(
        &self,
        args: &TrainRetriever,
        documents: Documents,
        value: &Value,
        progress: &dyn Progress,
    ) -> Result<()> {
        let largest = self.bags.values.iter().copied().fold(0.0, f32::max);
        let impacts = Impacts::up_to(largest, retrieval::Asked::One)?;
        let kind = Kind::Impacts { analyser: Analyser::default(), impacts, column: "weights".to_owned() };
        let words = self.lexicon.words();
        let weighed = |(row, document): (usize, Document)| {
            let (of_row, weights) = self.bags.row(row);
            let weights = of_row.iter().zip(weights).map(|(word, weight)| (words[*word as usize].clone(), *weight));
            WeighedDocument { document, weights: weights.collect() }
        };
        write_atomic_folder(&args.out, |folder| {
            let mut writer = Writer::create(folder, Setup { kind, id: documents.id, text: documents.text })?;
            let mut row = 0;
            add_all(documents.all, progress, |block| {
                let from = row;
                row += block.len();
                writer.add_weighed((from..).zip(block).map(weighed).collect())
            })?;
            writer.commit()?;
            self.write_parameters(folder)?;
            write_json(&folder.join("training.json"), value)
        })
    }

    fn write_parameters(&self, folder: &Path) -> Result<()> {
        let (gates, bias, read, write) = self.encoder.parameters();
        let asked = self.encoder.asked();
        let mut lines = String::from("word\tidf\tasked\tgate\tbias\n");
        for (at, (word, idf)) in self.lexicon.words().iter().zip(self.lexicon.idf()).enumerate() {
            lines.push_str(&format!("{word}\t{idf}\t{}\t{}\t{}\n", asked[at], gates[at], bias[at]));
        }
        write_atomic_bytes(&folder.join("words.tsv"), lines.as_bytes())?;
        write_matrix(&folder.join("expansion-in.npy"), read.view())?;
        write_matrix(&folder.join("expansion-out.npy"), write.view())
    }
}
