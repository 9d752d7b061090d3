//! An index of either kind, and what is asked of it.

use crate::commands::encoder;
use crate::commands::word_encoder::WordEncoder;
use clap::Args;
use ndarray::Array2;
use quadrat::data::read_embedding;
use quadrat::data::trec::read_queries;
use quadrat::retrieval::{Hit, Index, Kind, Query, Search, Set, Setup, VectorIndex};
use quadrat::{Error, Progress, Result, Seed};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// An open index.
pub enum Opened {
    Words(Index),
    Vectors(VectorIndex),
}

impl Opened {
    pub fn open(folder: &Path) -> Result<Opened> {
        match Setup::read(folder)?.kind {
            Kind::Bm25 { .. } | Kind::Impacts { .. } => Index::open(folder).map(Opened::Words),
            Kind::Dense { .. } => VectorIndex::open(folder).map(Opened::Vectors),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Opened::Words(index) => index.len(),
            Opened::Vectors(index) => index.len(),
        }
    }

    pub fn id(&self, document: u32) -> &str {
        match self {
            Opened::Words(index) => index.id(document),
            Opened::Vectors(index) => index.id(document),
        }
    }

    /// A document's text, where the index keeps it.
    pub fn text(&self, document: u32) -> &str {
        match self {
            Opened::Words(index) => index.text(document),
            Opened::Vectors(_) => "",
        }
    }

    pub fn named(&self, ids: &HashSet<&str>) -> (Set, usize) {
        match self {
            Opened::Words(index) => index.named(ids),
            Opened::Vectors(index) => index.named(ids),
        }
    }

    /// The best documents for each question.
    pub fn search(&self, asked: &Asked, k: usize, how: Search, progress: &dyn Progress) -> Result<Vec<Vec<Hit>>> {
        match self {
            Opened::Words(index) => index.search_all(&asked.words(index)?, k, how, progress),
            Opened::Vectors(index) => index.search(asked.vectors(index, progress)?.view(), k, how.only, progress),
        }
    }
}

/// How questions become vectors, for an index of vectors.
#[derive(Args, Debug)]
pub struct Vectors {
    /// For an index of vectors: the sentence encoder of the questions, a folder [default: that which made the documents' vectors]
    #[arg(long, value_name = "FOLDER", conflicts_with = "vectors")]
    pub encoder: Option<PathBuf>,
    /// For an index of vectors: the questions' own, an .npy file with a row for each
    #[arg(long, value_name = "FILE.npy")]
    pub vectors: Option<PathBuf>,
}

/// Questions, each with a name.
pub struct Asked<'a> {
    pub named: Vec<(String, String)>,
    how: &'a Vectors,
}

impl<'a> Asked<'a> {
    pub fn one(text: &str, how: &'a Vectors) -> Asked<'a> {
        Asked { named: vec![("1".to_owned(), text.to_owned())], how }
    }

    pub fn read(file: &Path, how: &'a Vectors, progress: &dyn Progress) -> Result<Asked<'a>> {
        Ok(Asked { named: read_queries(file, progress)?, how })
    }

    /// As words.
    pub fn words(&self, index: &Index) -> Result<Vec<Query>> {
        let Vectors { encoder, vectors } = self.how;
        match (encoder, vectors) {
            (Some(_), _) => Err(Error::input("option", "`--encoder`", "an index of vectors; this one holds words")),
            (_, Some(_)) => Err(Error::input("option", "`--vectors`", "an index of vectors; this one holds words")),
            _ => Ok(self.named.iter().map(|(_, text)| index.query(text)).collect()),
        }
    }

    /// As vectors, a row each.
    pub fn vectors(&self, index: &VectorIndex, progress: &dyn Progress) -> Result<Array2<f32>> {
        if let Some(file) = &self.how.vectors {
            return read_embedding(file, self.named.len());
        }
        let folder = self.how.encoder.as_deref().or(index.encoder().map(Path::new)).ok_or_else(|| {
            let want =
                "the index does not say which encoder made its vectors: name its folder, or the questions' --vectors";
            Error::input("--encoder", "nothing", want)
        })?;
        let texts: Vec<String> = self.named.iter().map(|(_, text)| text.clone()).collect();
        if WordEncoder::is_in(folder) {
            return Ok(WordEncoder::open(folder)?.queries(&texts));
        }
        let encoded = encoder::of(None, Some(folder))?.encode(&texts, Seed(0), progress)?;
        encoded.notes.iter().for_each(|note| eprintln!("quadrat: note: {note}"));
        Ok(encoded.rows)
    }
}
