//! The model that a verb is asked to use.

use quadrat::language::{LanguageModel, Message, Opened, open as open_any};
use quadrat::{Error, Result};
use std::path::Path;

/// A model of the user's with its vocabulary.
pub struct Model {
    opened: Opened,
    begin: Option<u32>,
    name: String,
}

/// Opens a folder or a .gguf file.
pub fn open(path: &Path) -> Result<Model> {
    let opened = open_any(path)?;
    Ok(Model { begin: opened.vocabulary.begin(), opened, name: path.display().to_string() })
}

impl Model {
    pub fn model(&self) -> &dyn LanguageModel {
        self.opened.model.as_ref()
    }

    /// A text's tokens.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.opened.vocabulary.encode(text)
    }

    /// The text of tokens.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.opened.vocabulary.decode(tokens)
    }

    /// What stands before the first token of a text that is scored, or written from nothing.
    pub fn begin(&self) -> &[u32] {
        self.begin.as_slice()
    }

    /// The tokens of a text to go on with.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>> {
        let prompt = self.opened.vocabulary.prompt(text)?;
        Ok(if prompt.is_empty() { self.begin().to_vec() } else { prompt })
    }

    /// What a user says, as the model was taught to see it.
    pub fn chat(&self, said: &str) -> Result<Vec<u32>> {
        let want = "a model with a chat template; give the text as --prompt";
        let template = self
            .opened
            .template
            .as_ref()
            .ok_or_else(|| Error::input("--chat", format!("{}, which has none", self.name), want))?;
        self.encode(&template.render(&[Message::new("user", said)], true)?)
    }
}
