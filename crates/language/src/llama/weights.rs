//! A checkpoint's tensors by name: all that a model needs, in its shapes, and none left over.

use crate::gguf::Gguf;
use crate::matrix::Matrix;
use crate::safetensors::Folder;
use quadrat_core::{Error, Result};
use std::collections::BTreeSet;

/// A file, or files, of named tensors.
pub(super) trait Tensors {
    fn names(&self) -> BTreeSet<String>;
    fn matrix(&self, name: &str, shape: &[usize]) -> Result<Matrix>;
    fn wrong(&self, why: String) -> Error;
}

impl Tensors for Gguf {
    fn names(&self) -> BTreeSet<String> {
        self.names().map(str::to_owned).collect()
    }

    fn matrix(&self, name: &str, shape: &[usize]) -> Result<Matrix> {
        self.matrix(name, shape)
    }

    fn wrong(&self, why: String) -> Error {
        self.wrong(why)
    }
}

impl Tensors for Folder {
    fn names(&self) -> BTreeSet<String> {
        self.names().map(str::to_owned).collect()
    }

    fn matrix(&self, name: &str, shape: &[usize]) -> Result<Matrix> {
        self.matrix(name, shape)
    }

    fn wrong(&self, why: String) -> Error {
        self.wrong(why)
    }
}

/// What a kind of checkpoint calls the tensors; a block's stand behind its name.
pub(super) struct Names {
    pub embedding: &'static str,
    pub norm: &'static str,
    pub head: &'static str,
    /// `{}` is the block's number.
    layer: &'static str,
    pub attention_norm: &'static str,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub join: &'static str,
    pub feed_norm: &'static str,
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    /// Ends of the names of tensors that say nothing that the settings do not say, or were read with them.
    idle: &'static [&'static str],
}

pub(super) const GGUF: Names = Names {
    embedding: "token_embd.weight",
    norm: "output_norm.weight",
    head: "output.weight",
    layer: "blk.{}.",
    attention_norm: "attn_norm.weight",
    query: "attn_q.weight",
    key: "attn_k.weight",
    value: "attn_v.weight",
    join: "attn_output.weight",
    feed_norm: "ffn_norm.weight",
    gate: "ffn_gate.weight",
    up: "ffn_up.weight",
    down: "ffn_down.weight",
    idle: &["rope_freqs.weight"],
};

pub(super) const HUGGING_FACE: Names = Names {
    embedding: "model.embed_tokens.weight",
    norm: "model.norm.weight",
    head: "lm_head.weight",
    layer: "model.layers.{}.",
    attention_norm: "input_layernorm.weight",
    query: "self_attn.q_proj.weight",
    key: "self_attn.k_proj.weight",
    value: "self_attn.v_proj.weight",
    join: "self_attn.o_proj.weight",
    feed_norm: "post_attention_layernorm.weight",
    gate: "mlp.gate_proj.weight",
    up: "mlp.up_proj.weight",
    down: "mlp.down_proj.weight",
    idle: &["rotary_emb.inv_freq"],
};

/// Tensors that are taken one by one.
pub(super) struct Weights<'a> {
    tensors: &'a dyn Tensors,
    pub names: &'a Names,
    /// What stands before a name now.
    prefix: String,
    left: BTreeSet<String>,
}

impl<'a> Weights<'a> {
    pub fn new(tensors: &'a dyn Tensors, names: &'a Names) -> Self {
        let mut left = tensors.names();
        left.retain(|name| !names.idle.iter().any(|idle| name.ends_with(idle)));
        Weights { tensors, names, prefix: String::new(), left }
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.left.contains(name)
    }

    /// Names that follow are those of a block.
    pub fn within(&mut self, layer: usize) {
        self.prefix = self.names.layer.replace("{}", &layer.to_string());
    }

    pub fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Matrix> {
        self.take(name, &shape)
    }

    pub fn vector(&mut self, name: &str, width: usize) -> Result<Vec<f32>> {
        let mut values = vec![0.0; width];
        self.take(name, &[width])?.row(0, &mut values);
        Ok(values)
    }

    /// A tensor that is not used.
    pub fn leave(&mut self, name: &str) {
        self.left.remove(name);
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Matrix> {
        let full = format!("{}{name}", self.prefix);
        self.left.remove(&full);
        self.tensors.matrix(&full, shape)
    }

    /// That no tensor was left over.
    pub fn finish(self) -> Result<()> {
        let Some(first) = self.left.first() else { return Ok(()) };
        let more = if self.left.len() > 1 { format!(" and {} more", self.left.len() - 1) } else { String::new() };
        Err(self.tensors.wrong(format!("tensor `{first}`{more} is no part of the model that the settings describe")))
    }
}
