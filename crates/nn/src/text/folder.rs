//! A model's folder: which files stand in it, and what they say together.

use super::config::{Config, json};
use super::steps::{Dense, Pooling, Step};
use quadrat_core::{Error, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a folder says.
#[derive(Debug)]
pub(super) struct Folder {
    pub config: Config,
    /// The file of weights.
    pub weights: PathBuf,
    /// The file of the tokenizer.
    pub tokenizer: PathBuf,
    /// Most tokens of a text; the others are cut off.
    pub longest: usize,
    /// Whether texts are put in lower case first.
    pub lower_case: bool,
    /// What is put before each text.
    pub prompt: String,
    pub steps: Vec<Step>,
    /// What was assumed.
    pub notes: Vec<String>,
    /// All files that vectors depend on.
    files: Vec<PathBuf>,
}

/// An entry of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

#[derive(Deserialize, Default)]
struct SentenceWords {
    #[serde(default)]
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Deserialize, Default)]
struct TokenizerWords {
    /// A number that no integer holds where there is no limit.
    #[serde(default)]
    model_max_length: Option<f64>,
}

#[derive(Deserialize, Default)]
struct PromptWords {
    #[serde(default)]
    prompts: BTreeMap<String, String>,
    #[serde(default)]
    default_prompt_name: Option<String>,
}

impl Folder {
    /// Reads a folder as sentence-transformers writes it, with `modules.json`, or as transformers does, without.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            let why = std::io::Error::new(std::io::ErrorKind::NotFound, "no such folder: name one that holds a model");
            return Err(Error::io(folder, why));
        }
        let listed = folder.join("modules.json");
        let modules: Option<Vec<Module>> = if listed.exists() { Some(json(&listed)?) } else { None };
        let wrong = |why: String| Error::data(listed.display().to_string(), None, why);
        let kinds = |modules: &[Module]| -> Vec<String> { modules.iter().map(|m| kind(&m.kind).to_owned()).collect() };
        let (model, after) = match modules.as_deref() {
            None => (folder.to_owned(), &[][..]),
            Some([first, after @ ..]) if kind(&first.kind) == "Transformer" => (folder.join(&first.path), after),
            Some(other) => return Err(wrong(format!("begins with {:?}: a Transformer comes first", kinds(other)))),
        };
        let mut files = FileList::default();
        let config = Config::read(&files.needed(&model, "config.json", "of a model as transformers saves it")?)?;
        let sentence: SentenceWords = files.maybe(&model, "sentence_bert_config.json")?;
        let words: TokenizerWords = files.maybe(&model, "tokenizer_config.json")?;
        let prompts: PromptWords = files.maybe(folder, "config_sentence_transformers.json")?;
        let given = sentence.max_seq_length.or(words.model_max_length.map(|n| n as usize));
        let prompt = prompts.default_prompt_name.and_then(|name| prompts.prompts.get(&name).cloned());
        let prompt = prompt.unwrap_or_default();
        let mut steps = Vec::new();
        let mut notes = Vec::new();
        let mut width = config.width;
        for module in after {
            let own = folder.join(&module.path);
            let step = match kind(&module.kind) {
                "Pooling" if steps.is_empty() => {
                    Step::Pool(Pooling::read(&files.needed(&own, "config.json", "")?, !prompt.is_empty())?)
                }
                "Dense" if !steps.is_empty() => {
                    files.needed(&own, "config.json", "")?;
                    files.needed(&own, "model.safetensors", "")?;
                    Step::Dense(Dense::open(&own, width)?)
                }
                "Normalize" if !steps.is_empty() => Step::Normalise,
                _ => {
                    let known = "Transformer, then Pooling, then Dense and Normalize in any number are read";
                    return Err(wrong(format!("Transformer, {}: {known}", kinds(after).join(", "))));
                }
            };
            width = step.width(width);
            steps.push(step);
        }
        if steps.is_empty() {
            let name = folder.display();
            notes.push(format!("{name} does not say how a text's tokens become one vector: their mean is taken"));
            steps.push(Step::Pool(vec![Pooling::Mean]));
        }
        let tokenizer = files.needed(
            &model,
            "tokenizer.json",
            "which transformers writes: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )?;
        let weights = files.needed(
            &model,
            "model.safetensors",
            "which transformers writes: AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )?;
        Ok(Folder {
            longest: given.unwrap_or(usize::MAX).min(config.positions()),
            config,
            weights,
            tokenizer,
            lower_case: sentence.do_lower_case,
            prompt,
            steps,
            notes,
            files: files.0,
        })
    }

    /// How many numbers a vector has.
    pub fn dims(&self) -> usize {
        self.steps.iter().fold(self.config.width, |width, step| step.width(width))
    }

    /// A sum over all files that vectors depend on: another model has another one.
    pub fn fingerprint(&self) -> Result<[u8; 32]> {
        let mut sum = Sha256::new();
        // What these modules make of the files may change with them.
        sum.update(b"quadrat sentence encoder 1");
        for path in &self.files {
            let io = |e| Error::io(path, e);
            let mut file = File::open(path).map_err(io)?;
            sum.update(file.metadata().map_err(io)?.len().to_le_bytes());
            let mut block = vec![0; 1 << 20];
            loop {
                match file.read(&mut block).map_err(io)? {
                    0 => break,
                    n => sum.update(&block[..n]),
                }
            }
        }
        Ok(sum.finalize().into())
    }
}

/// The files that were read.
#[derive(Default)]
struct FileList(Vec<PathBuf>);

impl FileList {
    /// A file that must be there; `what` says what it is and where it comes from.
    fn needed(&mut self, folder: &Path, name: &str, what: &str) -> Result<PathBuf> {
        let path = folder.join(name);
        if !path.is_file() {
            let what = if what.is_empty() { String::new() } else { format!(", {what}") };
            return Err(Error::data(folder.display().to_string(), None, format!("has no {name}{what}")));
        }
        self.0.push(path.clone());
        Ok(path)
    }

    /// The content of a file that may be missing.
    fn maybe<T: serde::de::DeserializeOwned + Default>(&mut self, folder: &Path, name: &str) -> Result<T> {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(T::default());
        }
        self.0.push(path.clone());
        json(&path)
    }
}

/// The name of a module without the package that it is in, which changed over the years.
fn kind(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
