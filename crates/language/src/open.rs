//! A model with all that belongs to it, from a file or a folder.

use crate::{ChatTemplate, Gguf, LanguageModel, Llama, Vocabulary};
use quadrat_core::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// A model, its vocabulary and its chat template.
pub struct Opened {
    /// The model.
    pub model: Box<dyn LanguageModel>,
    /// Its tokens.
    pub vocabulary: Vocabulary,
    /// How it wants conversations written; `None` where it does not say.
    pub template: Option<ChatTemplate>,
}

/// Opens a `.gguf` file, or a folder with a model of Llama's family as transformers writes it.
///
/// ```no_run
/// use quadrat_language::{Message, open};
/// let opened = open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref())?;
/// let chat = [Message::new("user", "Write one sentence about rivers.")];
/// let prompt = match &opened.template {
///     Some(template) => opened.vocabulary.encode(&template.render(&chat, true)?)?,
///     None => opened.vocabulary.prompt(&chat[0].content)?,
/// };
/// let mut text = opened.model.begin();
/// text.push(&prompt)?;
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// Neither of both; what [`Llama`], [`Vocabulary`] and [`ChatTemplate`] refuse; more tokens in the vocabulary than in the model.
pub fn open(path: &Path) -> Result<Opened> {
    let opened = if path.is_dir() { open_folder(path)? } else { open_file(path)? };
    let (known, scored) = (opened.vocabulary.len(), opened.model.vocabulary());
    if known > scored {
        let why = format!("a vocabulary of {known} tokens and a model of {scored}: they do not belong together");
        return Err(Error::data(path.display().to_string(), None, why));
    }
    Ok(opened)
}

fn open_file(path: &Path) -> Result<Opened> {
    let file = Gguf::open(path)?;
    let vocabulary = Vocabulary::from_gguf(&file)?;
    let source = file.get::<&str>("tokenizer.chat_template");
    let template = source.map(|source| template(source, &vocabulary)).transpose()?;
    Ok(Opened { model: Box::new(Llama::from_gguf(&file)?), vocabulary, template })
}

fn open_folder(path: &Path) -> Result<Opened> {
    let model = Llama::from_folder(path)?;
    let vocabulary = Vocabulary::from_folder(path)?;
    let template = source(path)?.map(|source| template(&source, &vocabulary)).transpose()?;
    Ok(Opened { model: Box::new(model), vocabulary, template })
}

fn template(source: &str, vocabulary: &Vocabulary) -> Result<ChatTemplate> {
    let name = |token: Option<u32>| token.and_then(|token| vocabulary.name(token)).unwrap_or_default();
    ChatTemplate::new(source, &name(vocabulary.begin()), &name(vocabulary.end()))
}

/// The part of `tokenizer_config.json` that is needed.
#[derive(Deserialize)]
struct Settings {
    chat_template: Option<Templates>,
}

/// One template or several by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Several(Vec<Template>),
}

#[derive(Deserialize)]
struct Template {
    name: String,
    template: String,
}

/// A folder's template: a file of its own, or the one in the vocabulary's settings; of several the one that is called `default`.
fn source(folder: &Path) -> Result<Option<String>> {
    let (own, settings) = (folder.join("chat_template.jinja"), folder.join("tokenizer_config.json"));
    if own.is_file() {
        return std::fs::read_to_string(&own).map(Some).map_err(|e| Error::io(&own, e));
    }
    if !settings.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(&settings).map_err(|e| Error::io(&settings, e))?;
    let wrong = |e: serde_json::Error| Error::data(settings.display().to_string(), None, e.to_string());
    let Settings { chat_template } = serde_json::from_slice(&bytes).map_err(wrong)?;
    Ok(match chat_template {
        None => None,
        Some(Templates::One(source)) => Some(source),
        Some(Templates::Several(all)) => all.into_iter().find(|t| t.name == "default").map(|t| t.template),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::llama::tests::gguf;

    fn opened(file: crate::gguf::tests::Writer) -> Result<Opened> {
        let path = std::env::temp_dir().join(format!("quadrat-open-{}.gguf", std::process::id()));
        std::fs::write(&path, file.bytes()).unwrap();
        let opened = open(&path);
        std::fs::remove_file(path).unwrap();
        opened
    }

    #[test]
    fn a_file_has_all_that_a_conversation_needs() {
        let whole = || {
            gguf(true)
                .text("tokenizer.ggml.model", "gpt2")
                .texts("tokenizer.ggml.merges", &[])
                .text("tokenizer.chat_template", "{{ messages[0].content }}{{ eos_token }}")
        };
        let Opened { model, vocabulary, template } = opened(whole()).unwrap();
        assert_eq!((model.vocabulary(), vocabulary.len(), model.ends()), (11, 11, &[3][..]));
        let chat = template.unwrap().render(&[Message::new("user", "t1")], true).unwrap();
        assert_eq!(chat, "t1t3");
        assert!(opened(whole().without("tokenizer.chat_template")).unwrap().template.is_none());
        assert!(opened(whole().text("tokenizer.chat_template", "{{")).is_err());
    }
}
