//! Tokens and their texts.
//!
//! Other people's vocabularies are read by the package `tokenizers`, which made most of them; those of the user's own text are trained by it.
//! Most are of bytes: each token stands for a few, a text's tokens for exactly its own, and a token may end within a character. So texts
//! are put together byte by byte ([`Stream`]) and shown as far as they are whole.

mod gguf;
mod stream;
#[cfg(test)]
mod tests;
mod train;

pub use stream::Stream;

use quadrat_core::{Error, Result, write_atomic};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;
use tokenizers::Tokenizer;
use tokenizers::decoders::DecoderWrapper;

/// A vocabulary: texts to tokens and back.
///
/// ```
/// use quadrat_language::Vocabulary;
/// let vocabulary = Vocabulary::train(["low lower lowest", "new newer newest"], 270)?;
/// let tokens = vocabulary.encode("newest, naïve")?;
/// assert_eq!(vocabulary.decode(&tokens), "newest, naïve");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Vocabulary {
    tokenizer: Tokenizer,
    /// The bytes of every token, where tokens stand for bytes; those of special ones are empty.
    bytes: Option<Vec<Vec<u8>>>,
    begin: Option<u32>,
    end: Option<u32>,
}

/// The parts of `tokenizer_config.json` that are needed.
#[derive(Deserialize, Default)]
struct Settings {
    bos_token: Option<Named>,
    eos_token: Option<Named>,
}

/// A token's text, alone or among its properties.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Plain(String),
    Added { content: String },
}

impl Named {
    fn text(&self) -> &str {
        match self {
            Named::Plain(text) | Named::Added { content: text } => text,
        }
    }
}

impl Vocabulary {
    /// The vocabulary of a folder: `tokenizer.json`, and what `tokenizer_config.json` says of a text's beginning and end where it is there.
    ///
    /// # Errors
    /// No such file, or none of this kind; a beginning or end that is no token.
    pub fn from_folder(folder: &Path) -> Result<Vocabulary> {
        let path = folder.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let vocabulary =
            Vocabulary::from_json(&bytes).map_err(|why| Error::data(path.display().to_string(), None, why))?;
        let path = folder.join("tokenizer_config.json");
        if !path.is_file() {
            return Ok(vocabulary);
        }
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let settings: Settings = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        let token = |named: Option<Named>| match named {
            None => Ok(None),
            Some(named) => match vocabulary.tokenizer.token_to_id(named.text()) {
                None => Err(wrong(format!("`{}` is no token of tokenizer.json", named.text()))),
                found => Ok(found),
            },
        };
        let (begin, end) = (token(settings.bos_token)?, token(settings.eos_token)?);
        Ok(Vocabulary { begin, end, ..vocabulary })
    }

    /// The vocabulary that a `tokenizer.json` describes.
    fn from_json(bytes: &[u8]) -> Result<Vocabulary, String> {
        let wrong = |why: String| format!("no vocabulary that can be read: {why}");
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(|e| wrong(e.to_string()))?;
        // The package panics on some files (a part without its fields), which must be an error like any other damage.
        let read = catch_unwind(|| Tokenizer::from_bytes(bytes));
        let read = read.map_err(|_| wrong("its parts contradict each other".into()))?;
        Vocabulary::of(read.map_err(|e| wrong(e.to_string()))?)
    }

    fn of(mut tokenizer: Tokenizer) -> Result<Vocabulary, String> {
        tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
        tokenizer.with_padding(None);
        let bytes = matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_))).then(|| spelled(&tokenizer));
        Ok(Vocabulary { tokenizer, bytes, begin: None, end: None })
    }

    /// Tokens, counted to the one with the highest number.
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab(true).values().max().map_or(0, |last| *last as usize + 1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a text begins with, for models that need a first token: the token that says so, else the one that ends texts.
    pub fn begin(&self) -> Option<u32> {
        self.begin.or(self.end)
    }

    /// The token that ends texts.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The number of a token by its text.
    pub fn token(&self, text: &str) -> Option<u32> {
        self.tokenizer.token_to_id(text)
    }

    /// A token's text as the vocabulary writes it, in which bytes may stand as other characters.
    pub fn name(&self, token: u32) -> Option<String> {
        self.tokenizer.id_to_token(token)
    }

    /// A text's tokens and no others; the names of special tokens in it become these.
    ///
    /// # Errors
    /// A text that the vocabulary has no tokens for.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.tokens(text, false)
    }

    /// The tokens of a text that a model is to go on with: in front is what the vocabulary wants there.
    ///
    /// # Errors
    /// As [`encode`](Vocabulary::encode).
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>> {
        self.tokens(text, true)
    }

    fn tokens(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoded = self.tokenizer.encode_fast(text, special);
        let short: String = text.chars().take(40).collect();
        encoded.map(|encoding| encoding.get_ids().to_vec()).map_err(|e| Error::input("text", short, e.to_string()))
    }

    /// The text of tokens without special ones; what is no UTF-8 becomes U+FFFD, as does a character that is cut off.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut stream = self.stream();
        let mut text: String = tokens.iter().map(|token| stream.push(*token)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// A text that is put together token by token.
    pub fn stream(&self) -> Stream<'_> {
        Stream::new(self)
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json`, from which transformers reads the same.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let text = self.tokenizer.to_string(false).map_err(|e| Error::numeric("vocabulary", e.to_string()))?;
        let mut settings =
            json!({ "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false });
        for (key, token) in [("bos_token", self.begin), ("eos_token", self.end)] {
            if let Some(name) = token.and_then(|token| self.name(token)) {
                settings[key] = Value::from(name);
            }
        }
        for (name, content) in [("tokenizer.json", text), ("tokenizer_config.json", settings.to_string())] {
            let path = folder.join(name);
            write_atomic(&path, |out| writeln!(out, "{content}").map_err(|e| Error::io(&path, e)))?;
        }
        Ok(())
    }
}

/// The bytes of every token of a vocabulary in which characters stand for bytes.
fn spelled(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    let of_char: BTreeMap<char, u8> = bytes_as_chars().map(|(byte, character)| (character, byte)).collect();
    let added = tokenizer.get_added_tokens_decoder();
    let vocabulary = tokenizer.get_vocab(true);
    let size = vocabulary.values().max().map_or(0, |last| *last as usize + 1);
    let mut bytes = vec![Vec::new(); size];
    for (text, token) in vocabulary {
        bytes[token as usize] = match added.get(&token) {
            Some(added) if added.special => Vec::new(),
            Some(_) => text.into_bytes(),
            None => {
                let spelled: Option<Vec<u8>> = text.chars().map(|c| of_char.get(&c).copied()).collect();
                spelled.unwrap_or_else(|| text.into_bytes())
            }
        };
    }
    bytes
}

/// GPT-2's characters for bytes: those that print stand for themselves, the others follow from U+0100 on.
fn bytes_as_chars() -> impl Iterator<Item = (u8, char)> {
    let prints = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(move |byte| !prints(byte)).zip('\u{100}'..);
    (0..=u8::MAX).filter(prints).map(|byte| (byte, char::from(byte))).chain(others)
}
