//! Texts to numbers of tokens, by the model's own `tokenizer.json`.

use super::folder::Folder;
use quadrat_core::{Error, Result};
use std::path::{Path, PathBuf};
use tokenizers::{Tokenizer, TruncationParams};

/// A model's tokenizer.
#[derive(Debug)]
pub(super) struct Tokens {
    path: PathBuf,
    tokenizer: Tokenizer,
    lower_case: bool,
    prompt: String,
}

/// A text's tokens.
pub(super) struct Read {
    /// Their numbers, special ones too.
    pub ids: Vec<u32>,
    /// Whether some were cut off.
    pub cut: bool,
}

impl Tokens {
    /// The tokenizer of a folder. What its file says about lengths is not asked: it may say less than the model takes.
    pub fn open(folder: &Folder) -> Result<Self> {
        let path: &Path = &folder.tokenizer;
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let mut tokenizer = Tokenizer::from_file(path).map_err(|e| wrong(format!("no tokenizer: {e}")))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| wrong(e.to_string()))?;
        let vocabulary = tokenizer.get_vocab(true);
        if let Some((token, id)) = vocabulary.iter().max_by_key(|(_, id)| **id) {
            let rows = folder.config.vocabulary;
            if *id as usize >= rows {
                return Err(wrong(format!("token {id} (`{token}`) has no vector: by config.json there are {rows}")));
            }
        }
        let special = tokenizer.encode("", true).map_err(|e| wrong(e.to_string()))?.len();
        if folder.longest <= special {
            return Err(wrong(format!("{special} special tokens leave no room in {} positions", folder.longest)));
        }
        let cut = TruncationParams { max_length: folder.longest, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(cut)).map_err(|e| wrong(e.to_string()))?;
        let (path, lower_case, prompt) = (path.to_owned(), folder.lower_case, folder.prompt.clone());
        Ok(Tokens { path, tokenizer, lower_case, prompt })
    }

    /// The tokens of a text.
    pub fn read(&self, text: &str) -> Result<Read> {
        let whole;
        let text = match (self.lower_case, self.prompt.is_empty()) {
            (false, true) => text,
            (lower, _) => {
                let joined = format!("{}{text}", self.prompt);
                whole = if lower { joined.chars().flat_map(char::to_lowercase).collect() } else { joined };
                &whole
            }
        };
        let read = self.tokenizer.encode(text, true);
        let read = read.map_err(|e| Error::data(self.path.display().to_string(), None, e.to_string()))?;
        Ok(Read { ids: read.get_ids().to_vec(), cut: !read.get_overflowing().is_empty() })
    }
}
