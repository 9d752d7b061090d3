//! Word senses to be found by sentences that use one of their words.

use quadrat_core::{Error, Lists, Result, Seed, Silent};
use quadrat_data::builtin;
use quadrat_numeric::Csr;
use quadrat_retrieval::training::{DualEncoder, Quality, Task, Vocabulary, quality};
use quadrat_retrieval::{Analyser, Bm25, Document, Hit, Kind, Search, Setup, Writer};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The texts: document i is what query i is after.
pub(super) struct Senses {
    pub documents: Vec<String>,
    pub queries: Vec<String>,
}

impl Senses {
    /// Every `step`-th of the built-in set.
    pub fn new(step: usize) -> Result<Self> {
        let table = builtin::find("senses")?.table(&[])?;
        let every = |column| Ok(table.strings(column)?.iter().step_by(step).cloned().collect());
        Ok(Senses { documents: every("text")?, queries: every("query")? })
    }

    /// All documents to search in, and queries in two parts: to learn from, and a share of `test` to measure with.
    pub fn split(&self, test: f64, seed: Seed) -> Result<Split> {
        let mut rows: Vec<usize> = (0..self.queries.len()).collect();
        seed.stream("split").rng(0).shuffle(&mut rows);
        let (test, train) = rows.split_at((test * self.queries.len() as f64).round() as usize);
        let texts = |rows: &[usize]| rows.iter().map(|row| self.queries[*row].clone()).collect::<Vec<_>>();
        let (asked, learnt) = (texts(test), texts(train));
        let vocabulary = Vocabulary::learn(self.documents.iter().chain(&learnt).map(String::as_str))?;
        let relevant = |rows: &[usize]| rows.iter().map(|row| [*row as u32]).collect();
        Ok(Split {
            documents: vocabulary.bags(&self.documents),
            train: Asked { bags: vocabulary.bags(&learnt), relevant: relevant(train) },
            test: Asked { bags: vocabulary.bags(&asked), relevant: relevant(test) },
            asked,
        })
    }

    /// What BM25 makes of some queries.
    pub fn bm25(&self, split: &Split) -> Result<Quality> {
        let scratch = Scratch::new()?;
        let kind = Kind::Bm25 { analyser: Analyser::default(), bm25: Bm25::default() };
        let mut writer = Writer::create(&scratch.0, Setup::of(kind))?;
        let document = |(row, text): (usize, &String)| Document { id: row.to_string(), text: text.clone() };
        writer.add(self.documents.iter().enumerate().map(document).collect())?;
        let index = writer.commit()?;
        let queries: Vec<_> = split.asked.iter().map(|text| index.query(text)).collect();
        let hits = index.search_all(&queries, 100, Search::default(), &Silent)?;
        let rows = |hits: Vec<Hit>| hits.iter().map(|hit| hit.document).collect::<Vec<u32>>();
        let found: Vec<Vec<u32>> = hits.into_iter().map(rows).collect();
        Quality::of(found.iter().map(Vec::as_slice), &split.test.relevant)
    }
}

/// What a repetition works on.
pub(super) struct Split {
    pub documents: Csr,
    pub train: Asked,
    pub test: Asked,
    /// The test's queries as texts.
    asked: Vec<String>,
}

/// Queries, and the rows of the documents that are relevant to each.
pub(super) struct Asked {
    pub bags: Csr,
    pub relevant: Lists,
}

impl Asked {
    /// The first half of them, and the second.
    pub fn halves(&self) -> [Asked; 2] {
        let half = self.relevant.len() / 2;
        [0..half, half..self.relevant.len()].map(|rows| {
            let mut bags = Csr::new(self.bags.cols);
            for row in rows.clone() {
                let (words, weights) = self.bags.row(row);
                bags.push_row(words.iter().copied().zip(weights.iter().copied()));
            }
            Asked { bags, relevant: rows.map(|row| self.relevant[row].iter().copied()).collect() }
        })
    }
}

impl Split {
    /// The documents, with the queries to learn from.
    pub fn task(&self) -> Task<'_> {
        Task { documents: &self.documents, queries: &self.train.bags, relevant: &self.train.relevant }
    }

    /// How well an encoder finds what the test's queries ask for.
    pub fn quality(&self, encoder: &DualEncoder) -> Result<Quality> {
        let (documents, queries) = (encoder.documents(&self.documents), encoder.queries(&self.test.bags));
        quality(documents.view(), queries.view(), &self.test.relevant, &Silent)
    }
}

/// A folder that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("quadrat-claim-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::data(folder.display().to_string(), None, error.to_string()))?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
