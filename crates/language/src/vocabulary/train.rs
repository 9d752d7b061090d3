//! Vocabularies of the user's own text.

use super::Vocabulary;
use quadrat_core::{Error, Result};
use tokenizers::decoders::wordpiece::WordPiece;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::wordlevel::{WordLevel, WordLevelTrainer};
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::whitespace::Whitespace;
use tokenizers::{AddedToken, Tokenizer};

/// The token that stands between texts, GPT-2's.
const END: &str = "<|endoftext|>";
/// The token of words that are not in a vocabulary.
const UNKNOWN: &str = "<unk>";

impl Vocabulary {
    /// Pairs of bytes that come together most often, again and again, until there are `size` tokens: Sennrich, Haddow and Birch, "Neural
    /// Machine Translation of Rare Words with Subword Units", ACL 2016, on bytes and within words as GPT-2 does. Fewer tokens come
    /// of a text that has no more pairs. Token 0 ends texts; every text can be written.
    ///
    /// # Errors
    /// A size that does not hold all bytes.
    pub fn train<'a>(texts: impl IntoIterator<Item = &'a str>, size: usize) -> Result<Vocabulary> {
        if size <= 256 {
            return Err(Error::input("vocabulary", size, "at least 257: all bytes, and the end of a text"));
        }
        let bytes = ByteLevel::new(false, true, true);
        let mut tokenizer = Tokenizer::new(BPE::default());
        tokenizer.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
        let mut trainer: TrainerWrapper = BpeTrainer::builder()
            .vocab_size(size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(vec![AddedToken::from(END, true)])
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build()
            .into();
        tokenizer.train(&mut trainer, owned(texts)).map_err(refused)?;
        let vocabulary = Vocabulary::of(tokenizer).map_err(refused)?;
        Ok(Vocabulary { begin: Some(0), end: Some(0), ..vocabulary })
    }

    /// The most frequent words in small letters, and marks of punctuation; `size` counts `<unk>`, which is token 0, and the end of a text,
    /// which is token 1. For models that count words; spaces and capitals are lost.
    ///
    /// # Errors
    /// A size that has no room for a word.
    pub fn words<'a>(texts: impl IntoIterator<Item = &'a str>, size: usize) -> Result<Vocabulary> {
        if size <= 2 {
            return Err(Error::input(
                "vocabulary",
                size,
                "at least 3: a word, the unknown word, and the end of a text",
            ));
        }
        let mut tokenizer = Tokenizer::new(WordLevel::builder().unk_token(UNKNOWN.into()).build().map_err(refused)?);
        tokenizer.with_normalizer(Some(Lowercase)).map_err(refused)?;
        tokenizer.with_pre_tokenizer(Some(Whitespace {}));
        // Its clean-up takes away spaces before punctuation.
        tokenizer.with_decoder(Some(WordPiece::new("##".into(), true)));
        let mut trainer: TrainerWrapper = WordLevelTrainer::builder()
            .vocab_size(size)
            .show_progress(false)
            .special_tokens(vec![AddedToken::from(UNKNOWN, false), AddedToken::from(END, true)])
            .build()
            .map_err(refused)?
            .into();
        tokenizer.train(&mut trainer, owned(texts)).map_err(refused)?;
        let vocabulary = Vocabulary::of(tokenizer).map_err(refused)?;
        Ok(Vocabulary { begin: Some(1), end: Some(1), ..vocabulary })
    }
}

/// The trainer wants texts that it can send between threads.
fn owned<'a>(texts: impl IntoIterator<Item = &'a str>) -> std::vec::IntoIter<String> {
    texts.into_iter().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn refused(why: impl ToString) -> Error {
    Error::numeric("vocabulary", why.to_string())
}
