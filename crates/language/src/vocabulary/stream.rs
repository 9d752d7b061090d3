//! A text that grows token by token.

use super::Vocabulary;

/// The text of tokens as they come: what is shown never changes afterwards, and all of it together is the text of all tokens.
pub struct Stream<'v> {
    vocabulary: &'v Vocabulary,
    /// Bytes that are no whole character yet, where tokens stand for bytes.
    pending: Vec<u8>,
    /// Otherwise all tokens, and how much of their text was shown.
    tokens: Vec<u32>,
    shown: usize,
}

impl<'v> Stream<'v> {
    pub(super) fn new(vocabulary: &'v Vocabulary) -> Self {
        Stream { vocabulary, pending: Vec::new(), tokens: Vec::new(), shown: 0 }
    }

    /// Adds a token; returns what can be shown now. A token outside the vocabulary has no text.
    pub fn push(&mut self, token: u32) -> String {
        match &self.vocabulary.bytes {
            Some(bytes) => {
                self.pending.extend(bytes.get(token as usize).into_iter().flatten());
                take_whole(&mut self.pending)
            }
            None => {
                self.tokens.push(token);
                let text = self.text();
                // More tokens may still make a character of a broken end.
                let new = text.get(self.shown..).filter(|new| !new.ends_with('\u{fffd}')).unwrap_or_default();
                self.shown += new.len();
                new.to_owned()
            }
        }
    }

    /// What is left when no token follows.
    pub fn finish(&mut self) -> String {
        match self.vocabulary.bytes {
            Some(_) => String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned(),
            None => {
                let text = self.text();
                let new = text.get(self.shown..).unwrap_or_default().to_owned();
                self.shown += new.len();
                new
            }
        }
    }

    fn text(&self) -> String {
        self.vocabulary.tokenizer.decode(&self.tokens, true).unwrap_or_default()
    }
}

/// Takes the characters that are whole, U+FFFD for bytes that can be part of none; the beginning of one stays.
fn take_whole(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut taken = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        taken += chunk.valid().len();
        let invalid = chunk.invalid();
        let unfinished = std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
        let waits = unfinished && taken + invalid.len() == bytes.len();
        if !(invalid.is_empty() || waits) {
            text.push('\u{fffd}');
            taken += invalid.len();
        }
    }
    bytes.drain(..taken);
    text
}
