//! What a model's `config.json` says.

use super::bert::{BERT, DISTILBERT, MPNET, Names};
use crate::ops::rows;
use quadrat_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Families of models that are read, by the names that transformers gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    DistilBert,
    /// RoBERTa, XLM-RoBERTa and CamemBERT are built alike.
    Roberta,
    MpNet,
}

const FAMILIES: &[(&str, Family)] = &[
    ("bert", Family::Bert),
    ("distilbert", Family::DistilBert),
    ("roberta", Family::Roberta),
    ("xlm-roberta", Family::Roberta),
    ("camembert", Family::Roberta),
    ("mpnet", Family::MpNet),
];

impl Family {
    pub fn names(self) -> &'static Names {
        match self {
            Family::Bert | Family::Roberta => &BERT,
            Family::DistilBert => &DISTILBERT,
            Family::MpNet => &MPNET,
        }
    }
}

/// The nonlinearity between a block's wide layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Gelu,
    GeluTanh,
    Relu,
}

const ACTIVATIONS: &[(&str, Activation)] = &[
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("relu", Activation::Relu),
];

impl Activation {
    pub fn apply(self, x: &mut [f32]) {
        match self {
            Activation::Gelu => rows::gelu(x),
            Activation::GeluTanh => rows::gelu_tanh(x),
            Activation::Relu => x.iter_mut().for_each(|x| *x = x.max(0.0)),
        }
    }
}

/// A model's sizes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    pub family: Family,
    /// Different tokens.
    pub vocabulary: usize,
    /// Width of a representation; a multiple of `heads`.
    pub width: usize,
    pub heads: usize,
    pub layers: usize,
    /// Units of a block's wide layer.
    pub units: usize,
    /// Rows in the table of positions.
    pub table: usize,
    /// The row of a text's first position: some tables begin with rows for what fills texts up.
    pub first_position: usize,
    /// Types of tokens; 0: no such table.
    pub types: usize,
    /// Classes of distances; 0: no such table.
    pub buckets: usize,
    pub activation: Activation,
    pub epsilon: f32,
}

/// The file's own words, those of DistilBERT too.
#[derive(Deserialize)]
struct Words {
    vocab_size: usize,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: usize,
    #[serde(default)]
    relative_attention_num_buckets: Option<usize>,
    #[serde(alias = "activation")]
    hidden_act: String,
    #[serde(default)]
    layer_norm_eps: Option<f64>,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

impl Config {
    /// Texts of at most so many tokens have positions.
    pub fn positions(&self) -> usize {
        self.table - self.first_position
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            model_type: String,
        }
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let Kind { model_type } = json(path)?;
        let family = one_of(FAMILIES, "model_type", &model_type).map_err(wrong)?;
        let words: Words = json(path)?;
        let activation = one_of(ACTIVATIONS, "hidden_act", &words.hidden_act).map_err(wrong)?;
        if let Some(kind) = words.position_embedding_type.filter(|kind| kind != "absolute") {
            return Err(wrong(format!("`position_embedding_type` is `{kind}`: `absolute` is read")));
        }
        let first_position = match family {
            Family::Bert | Family::DistilBert => 0,
            Family::Roberta | Family::MpNet => words.pad_token_id.unwrap_or(1) + 1,
        };
        let types = match family {
            Family::Bert | Family::Roberta => words.type_vocab_size.max(1),
            Family::DistilBert | Family::MpNet => 0,
        };
        let buckets = if family == Family::MpNet { words.relative_attention_num_buckets.unwrap_or(32) } else { 0 };
        let sizes = [words.vocab_size, words.hidden_size, words.num_attention_heads, words.intermediate_size];
        if sizes.contains(&0) || !words.hidden_size.is_multiple_of(words.num_attention_heads) {
            let why = format!(
                "a width of {} with {} heads, {} units and {} tokens: each is at least 1, and heads divide the width",
                words.hidden_size, words.num_attention_heads, words.intermediate_size, words.vocab_size
            );
            return Err(wrong(why));
        }
        if words.max_position_embeddings <= first_position {
            return Err(wrong(format!("{} positions are too few", words.max_position_embeddings)));
        }
        if buckets > 0 && (buckets < 4 || buckets % 4 != 0) {
            return Err(wrong(format!("{buckets} `relative_attention_num_buckets`: use a multiple of 4")));
        }
        Ok(Config {
            family,
            vocabulary: words.vocab_size,
            width: words.hidden_size,
            heads: words.num_attention_heads,
            layers: words.num_hidden_layers,
            units: words.intermediate_size,
            table: words.max_position_embeddings,
            first_position,
            types,
            buckets,
            activation,
            epsilon: words.layer_norm_eps.unwrap_or(1e-12) as f32,
        })
    }
}

/// What a name stands for; else what is known.
pub(super) fn one_of<T: Copy>(known: &[(&str, T)], key: &str, name: &str) -> std::result::Result<T, String> {
    let found = known.iter().find(|(known, _)| *known == name);
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.map(|(_, value)| *value).ok_or_else(|| format!("`{key}` is `{name}`: known are {}", names()))
}

/// A JSON file's content.
pub(super) fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::data(path.display().to_string(), None, e.to_string()))
}
