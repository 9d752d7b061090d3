//! What the command line can do, as plain data.

use serde::Serialize;

/// A verb of the command line.
#[derive(Debug, Clone, Serialize)]
pub struct Verb {
    /// Its words: `balance`, `diffuse sample`.
    pub name: String,
    /// What it does, in a sentence.
    pub about: String,
    /// Command lines that show how it is used.
    pub examples: Vec<String>,
    /// What it can be told, in the order of its help.
    pub options: Vec<VerbOption>,
}

/// An option of a verb.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerbOption {
    /// As it is typed, without the dashes.
    pub name: String,
    /// What it does.
    pub help: String,
    /// What the value is called; none for a flag.
    pub value: Option<String>,
    /// The value it has when it is not given.
    pub default: Option<String>,
    /// The values it can have, each with what it means, where they are listed.
    pub choices: Vec<(String, String)>,
    /// The heading it stands under in the help.
    pub heading: Option<String>,
    /// Whether the verb does not run without it.
    pub required: bool,
}

impl Verb {
    /// The option of this name.
    pub fn option(&self, name: &str) -> Option<&VerbOption> {
        self.options.iter().find(|option| option.name == name)
    }
}
