//! A model's sizes, from either kind of checkpoint.

use super::attention::Heads;
use super::rotation::{Llama3, Pairs, Rotation};
use crate::gguf::Gguf;
use quadrat_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// What a model is built of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    /// Different tokens.
    pub vocabulary: usize,
    /// Numbers of a token's representation.
    pub width: usize,
    pub layers: usize,
    /// Heads of queries; a multiple of `groups`.
    pub heads: usize,
    /// Heads of keys and values.
    pub groups: usize,
    /// Numbers of a head; even.
    pub head: usize,
    /// Units of the gated layer.
    pub units: usize,
    /// Tokens of the longest text.
    pub context: usize,
    pub epsilon: f32,
    pub rotation: Rotation,
    /// Whether the embedding is the head; `None`: where there is no head.
    pub tied: Option<bool>,
    /// Tokens that end a text.
    pub ends: Vec<u32>,
}

/// What transformers rotates with where a file does not say.
const BASE: f64 = 10_000.0;

/// Sizes beyond this are no model's; none must be trusted before tensors have them.
const LARGEST: usize = 1 << 24;

impl Config {
    pub fn sizes(&self) -> Heads {
        Heads { heads: self.heads, groups: self.groups, head: self.head }
    }

    pub fn of_gguf(file: &Gguf) -> Result<Config> {
        let family: &str = file.need("general.architecture")?;
        if family != "llama" {
            return Err(file.wrong(format!("a model of the architecture `{family}`: `llama` is read")));
        }
        for (key, idle) in [("llama.expert_count", "0"), ("llama.rope.scaling.type", "none")] {
            let number = file.get::<usize>(key).map(|n| n.to_string());
            if let Some(found) = number.or(file.get::<&str>(key).map(str::to_owned)).filter(|found| found != idle) {
                return Err(file.wrong(format!("`{key}` is {found}: {idle} is read")));
            }
        }
        let size = |key: &str| file.need::<usize>(&format!("llama.{key}"));
        let (width, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let head = file.get("llama.attention.key_length").unwrap_or(width / heads.max(1));
        let base = file.get("llama.rope.freq_base").unwrap_or(BASE);
        let mut config = Config {
            vocabulary: file.need::<Vec<&str>>("tokenizer.ggml.tokens")?.len(),
            width,
            layers: size("block_count")?,
            heads,
            groups: file.get("llama.attention.head_count_kv").unwrap_or(heads),
            head,
            units: size("feed_forward_length")?,
            context: size("context_length")?,
            epsilon: file.need::<f64>("llama.attention.layer_norm_rms_epsilon")? as f32,
            rotation: Rotation::default(),
            tied: None,
            ends: ["eos_token_id", "eot_token_id"]
                .iter()
                .filter_map(|key| file.get(&format!("tokenizer.ggml.{key}")))
                .collect(),
        };
        config.ends.dedup();
        config.check().map_err(|why| file.wrong(why))?;
        config.rotation = Rotation::new(Pairs::Neighbours, head, base);
        let turned = file.get("llama.rope.dimension_count").unwrap_or(head);
        if turned != head {
            return Err(
                file.wrong(format!("`llama.rope.dimension_count` is {turned}: heads of {head} are turned as a whole"))
            );
        }
        if file.names().any(|name| name == "rope_freqs.weight") {
            let factors = file.matrix("rope_freqs.weight", &[head / 2])?;
            let mut slower = vec![0.0; head / 2];
            factors.row(0, &mut slower);
            config.rotation.speeds.iter_mut().zip(slower).for_each(|(speed, factor)| *speed /= f64::from(factor));
        }
        config.rotation.check().map_err(|why| file.wrong(why))?;
        Ok(config)
    }

    pub fn of_folder(folder: &Path) -> Result<Config> {
        let path = folder.join("config.json");
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let words: Words = json(&path)?;
        let head = words.head_dim.unwrap_or(words.hidden_size / words.num_attention_heads.max(1));
        words.refuse().map_err(wrong)?;
        let mut config = Config {
            vocabulary: words.vocab_size,
            width: words.hidden_size,
            layers: words.num_hidden_layers,
            heads: words.num_attention_heads,
            groups: words.num_key_value_heads.unwrap_or(words.num_attention_heads),
            head,
            units: words.intermediate_size,
            context: words.max_position_embeddings,
            epsilon: words.rms_norm_eps as f32,
            rotation: Rotation::default(),
            tied: Some(words.tie_word_embeddings),
            ends: ends(folder, &words)?,
        };
        config.check().map_err(wrong)?;
        config.rotation = words.rotation(head).map_err(wrong)?;
        config.rotation.check().map_err(wrong)?;
        Ok(config)
    }

    /// That the sizes fit each other.
    fn check(&self) -> Result<(), String> {
        let Config { vocabulary, width, layers, heads, groups, head, units, context, .. } = self;
        let told = format!(
            "{vocabulary} tokens, a width of {width}, {layers} blocks of {heads} heads of {head} over {groups}, {units} units and a \
             context of {context}"
        );
        if [vocabulary, width, layers, heads, groups, head, units, context].iter().any(|n| !(1..=LARGEST).contains(*n))
        {
            return Err(format!("{told}: each is from 1 to {LARGEST}"));
        }
        if !heads.is_multiple_of(*groups) || !head.is_multiple_of(2) {
            return Err(format!("{told}: heads are a multiple of those of keys, and a head's numbers are even"));
        }
        if !(self.epsilon >= 0.0 && self.epsilon.is_finite()) {
            return Err(format!("an epsilon of {}: it is added to mean squares", self.epsilon));
        }
        match self.ends.iter().find(|end| **end as usize >= *vocabulary) {
            Some(end) => Err(format!("token {end} ends a text, of {vocabulary} tokens")),
            None => Ok(()),
        }
    }
}

/// What `config.json` says, in transformers' words.
#[derive(Deserialize)]
struct Words {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    hidden_act: String,
    sliding_window: Option<usize>,
    rope_theta: Option<f64>,
    #[serde(alias = "rope_parameters")]
    rope_scaling: Option<Scaling>,
    eos_token_id: Option<Ends>,
}

/// How positions are turned into angles.
#[derive(Deserialize)]
struct Scaling {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

/// One token or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Several(Vec<u32>),
}

impl Words {
    /// What these models can have and is not computed here.
    fn refuse(&self) -> Result<(), String> {
        let (kind, act) = (&self.model_type, &self.hidden_act);
        if !["llama", "mistral"].contains(&kind.as_str()) {
            return Err(format!("`model_type` is `{kind}`: `llama` and `mistral` are read"));
        }
        if act != "silu" {
            return Err(format!("`hidden_act` is `{act}`: `silu` is read"));
        }
        if self.attention_bias || self.mlp_bias {
            return Err("`attention_bias` or `mlp_bias` is true: layers without are read".into());
        }
        match self.sliding_window {
            Some(window) if window < self.max_position_embeddings => {
                Err(format!("`sliding_window` is {window}: models that see their whole context are read"))
            }
            _ => Ok(()),
        }
    }

    fn rotation(&self, head: usize) -> Result<Rotation, String> {
        let own = self.rope_scaling.as_ref();
        let base = own.and_then(|own| own.rope_theta).or(self.rope_theta).unwrap_or(BASE);
        let mut rotation = Rotation::new(Pairs::Halves, head, base);
        let Some(own) = own else { return Ok(rotation) };
        let need =
            |value: Option<f64>, name: &str| value.ok_or_else(|| format!("`{name}` is missing in `rope_scaling`"));
        match own.rope_type.as_deref() {
            None | Some("default") => {}
            Some("linear") => {
                let factor = need(own.factor, "factor")?;
                rotation.speeds.iter_mut().for_each(|speed| *speed /= factor);
            }
            Some("llama3") => {
                let scaling = Llama3 {
                    factor: need(own.factor, "factor")?,
                    low: need(own.low_freq_factor, "low_freq_factor")?,
                    high: need(own.high_freq_factor, "high_freq_factor")?,
                    original: need(own.original_max_position_embeddings, "original_max_position_embeddings")?,
                };
                scaling.apply(&mut rotation.speeds);
            }
            Some(kind) => return Err(format!("`rope_type` is `{kind}`: `default`, `linear` and `llama3` are read")),
        }
        Ok(rotation)
    }
}

/// The tokens that end a text: those of `generation_config.json` where there is one.
fn ends(folder: &Path, words: &Words) -> Result<Vec<u32>> {
    #[derive(Deserialize)]
    struct Generation {
        eos_token_id: Option<Ends>,
    }
    let path = folder.join("generation_config.json");
    let own = if path.is_file() { json::<Generation>(&path)?.eos_token_id } else { None };
    Ok(match own.as_ref().or(words.eos_token_id.as_ref()) {
        None => Vec::new(),
        Some(Ends::One(end)) => vec![*end],
        Some(Ends::Several(ends)) => ends.clone(),
    })
}

/// A JSON file's content.
fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::data(path.display().to_string(), None, e.to_string()))
}
