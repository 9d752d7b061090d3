//! The encoder that `quadrat retrieve train` made, as files in a folder: words with their weights, and a vector for each on either
//! side.

use ndarray::Array2;
use quadrat::data::{read_embedding, write_matrix};
use quadrat::numeric::{Encoded, TextEncoder};
use quadrat::retrieval::training::{DualEncoder, Vocabulary};
use quadrat::{Error, Progress, Result, Seed, write_atomic_bytes};
use std::path::Path;

const WORDS: &str = "words.tsv";
const DOCUMENTS: &str = "word-vectors.npy";
const QUERIES: &str = "query-word-vectors.npy";

/// Words and their vectors.
#[derive(Debug)]
pub struct WordEncoder {
    pub vocabulary: Vocabulary,
    pub encoder: DualEncoder,
}

impl WordEncoder {
    /// Whether a folder holds such an encoder.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(WORDS).is_file() && folder.join(DOCUMENTS).is_file()
    }

    pub fn open(folder: &Path) -> Result<WordEncoder> {
        let vocabulary = read_words(folder)?;
        let vectors = |name: &str| read_embedding(&folder.join(name), vocabulary.words().len());
        let encoder = DualEncoder::of(vectors(DOCUMENTS)?, vectors(QUERIES)?)?;
        Ok(WordEncoder { vocabulary, encoder })
    }

    /// Writes the files into a folder that is there.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_words(folder, &self.vocabulary)?;
        write_matrix(&folder.join(DOCUMENTS), self.encoder.words())?;
        write_matrix(&folder.join(QUERIES), self.encoder.query_words())
    }

    /// A row for each question.
    pub fn queries(&self, texts: &[String]) -> Array2<f32> {
        self.encoder.queries(&self.vocabulary.bags(texts))
    }
}

/// Reads the words of a folder with their weights.
pub fn read_words(folder: &Path) -> Result<Vocabulary> {
    let path = folder.join(WORDS);
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let word = |(at, line): (u64, &str)| {
        let pair = line.split_once('\t').and_then(|(word, weight)| Some((word.to_owned(), weight.parse().ok()?)));
        let want = "each line is a word, a tab and its weight";
        pair.filter(|(_, weight): &(String, f64)| weight.is_finite())
            .ok_or_else(|| Error::data(path.display().to_string(), at, want))
    };
    Ok(Vocabulary::of((1..).zip(text.lines()).map(word).collect::<Result<_>>()?))
}

/// Writes them, a line each, into a folder that is there.
pub fn write_words(folder: &Path, vocabulary: &Vocabulary) -> Result<()> {
    let words = vocabulary.words().iter();
    let words: String = words.map(|(word, weight)| format!("{word}\t{weight}\n")).collect();
    write_atomic_bytes(&folder.join(WORDS), words.as_bytes())
}

/// The documents' side.
impl TextEncoder for WordEncoder {
    fn encode(&self, texts: &[String], _: Seed, _: &dyn Progress) -> Result<Encoded> {
        let bags = self.vocabulary.bags(texts);
        let unknown = (0..texts.len()).filter(|text| bags.row(*text).0.is_empty()).count();
        let note = format!("{unknown} texts have none of the words that the encoder knows: their vectors are 0");
        Ok(Encoded { rows: self.encoder.documents(&bags), notes: (unknown > 0).then_some(note).into_iter().collect() })
    }
}
