//! BERT and its kin (Devlin et al. 2019; DistilBERT, Sanh et al. 2019; RoBERTa, Liu et al. 2019; MPNet, Song et al. 2020):
//! a transformer in which each position sees all, normalised after each part.
//!
//! Texts lie one behind the other, each with its own positions, so that none is filled up to the length of another and
//! there is nothing to mask: only attention needs to know where a text ends.

use super::config::Config;
use super::weights::{Linear, Weights};
use crate::ops::rows;
use quadrat_core::Result;
use std::path::Path;

/// A model as it lies in memory.
#[derive(Debug)]
pub(super) struct Bert {
    config: Config,
    /// A vector for each token.
    tokens: Vec<f32>,
    /// A vector for each position, and the type's added: a single text has tokens of the first type alone.
    positions: Vec<f32>,
    norm: [Vec<f32>; 2],
    blocks: Vec<Block>,
    /// What distances add to scores, as [`rows::attend`] reads it.
    distances: Option<Vec<f32>>,
}

#[derive(Debug)]
struct Block {
    qkv: Linear,
    join: Linear,
    norm1: [Vec<f32>; 2],
    widen: Linear,
    narrow: Linear,
    norm2: [Vec<f32>; 2],
}

/// What the arrays of a family of checkpoints are called.
pub(super) struct Names {
    /// Before a block's number.
    block: &'static str,
    qkv: [&'static str; 3],
    join: &'static str,
    norm1: &'static str,
    widen: &'static str,
    narrow: &'static str,
    norm2: &'static str,
}

pub(super) const BERT: Names = Names {
    block: "encoder.layer",
    qkv: ["attention.self.query", "attention.self.key", "attention.self.value"],
    join: "attention.output.dense",
    norm1: "attention.output.LayerNorm",
    widen: "intermediate.dense",
    narrow: "output.dense",
    norm2: "output.LayerNorm",
};

pub(super) const MPNET: Names = Names {
    qkv: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
    join: "attention.attn.o",
    norm1: "attention.LayerNorm",
    ..BERT
};

pub(super) const DISTILBERT: Names = Names {
    block: "transformer.layer",
    qkv: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    join: "attention.out_lin",
    norm1: "sa_layer_norm",
    widen: "ffn.lin1",
    narrow: "ffn.lin2",
    norm2: "output_layer_norm",
};

/// Room for the rows of some texts, used again for others.
#[derive(Debug, Default)]
pub(super) struct Room {
    x: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    hidden: Vec<f32>,
    scores: Vec<f32>,
}

/// Rows are filled up to a multiple of this: one row alone would be multiplied in another order than many.
const ROWS: usize = 8;

impl Bert {
    /// Reads a model of this configuration.
    pub fn open(config: Config, path: &Path) -> Result<Self> {
        let names = config.family.names();
        let (width, units) = (config.width, config.units);
        let mut weights = Weights::open(path, "embeddings.word_embeddings.weight")?;
        let tokens = weights.take("embeddings.word_embeddings.weight", &[config.vocabulary, width])?;
        let mut positions = weights.take("embeddings.position_embeddings.weight", &[config.table, width])?;
        positions.drain(..config.first_position * width);
        if config.types > 0 {
            let types = weights.take("embeddings.token_type_embeddings.weight", &[config.types, width])?;
            positions.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(&types).for_each(|(p, t)| *p += t));
        }
        let norm = weights.norm("embeddings.LayerNorm", width)?;
        let mut blocks = Vec::with_capacity(config.layers);
        for i in 0..config.layers {
            let of = |part: &str| format!("{}.{i}.{part}", names.block);
            let qkv = names.qkv.map(of);
            blocks.push(Block {
                qkv: weights.stacked(&qkv.each_ref().map(String::as_str), [width, width])?,
                join: weights.linear(&of(names.join), [width, width])?,
                norm1: weights.norm(&of(names.norm1), width)?,
                widen: weights.linear(&of(names.widen), [width, units])?,
                narrow: weights.linear(&of(names.narrow), [units, width])?,
                norm2: weights.norm(&of(names.norm2), width)?,
            });
        }
        let distances = match config.buckets {
            0 => None,
            buckets => {
                let table = weights.take("encoder.relative_attention_bias.weight", &[buckets, config.heads])?;
                Some(distances(&table, buckets, config.heads, config.positions()))
            }
        };
        weights.finish()?;
        Ok(Bert { config, tokens, positions, norm, blocks, distances })
    }

    pub fn width(&self) -> usize {
        self.config.width
    }

    /// The last layer's rows of texts, given as numbers of tokens that the vocabulary has and no more than there are
    /// positions: a row for each token, text after text.
    pub fn rows<'a>(&self, texts: &[&[u32]], room: &'a mut Room) -> &'a [f32] {
        let Config { width, units, heads, epsilon, .. } = self.config;
        let used: usize = texts.iter().map(|text| text.len()).sum();
        let rows = used.next_multiple_of(ROWS);
        let Room { x, qkv, mixed, hidden, scores } = room;
        for (buffer, columns) in [(&mut *x, width), (&mut *qkv, 3 * width), (&mut *mixed, width), (&mut *hidden, units)]
        {
            buffer.clear();
            buffer.resize(rows * columns, 0.0);
        }
        let mut places = x.chunks_exact_mut(width);
        for text in texts {
            for ((token, position), x) in text.iter().zip(self.positions.chunks_exact(width)).zip(&mut places) {
                x.copy_from_slice(&self.tokens[*token as usize * width..][..width]);
                x.iter_mut().zip(position).for_each(|(x, p)| *x += p);
            }
        }
        // Nothing is added before the first normalisation; `mixed` is 0 still.
        rows::add_and_normalise(x, mixed, self.norm.each_ref().map(Vec::as_slice), epsilon);
        for block in &self.blocks {
            rows::affine(x, &block.qkv.weight, &block.qkv.bias, qkv);
            let mut first = 0;
            for text in texts {
                let rows = first..first + text.len();
                let own = &qkv[rows.start * 3 * width..rows.end * 3 * width];
                let to = &mut mixed[rows.start * width..rows.end * width];
                rows::attend(own, [text.len(), heads, width / heads], self.distances.as_deref(), scores, to);
                first = rows.end;
            }
            // What attention was computed from has done its work: its room takes the next product.
            let y = &mut qkv[..rows * width];
            rows::affine(mixed, &block.join.weight, &block.join.bias, y);
            rows::add_and_normalise(x, y, block.norm1.each_ref().map(Vec::as_slice), epsilon);
            rows::affine(x, &block.widen.weight, &block.widen.bias, hidden);
            self.config.activation.apply(hidden);
            rows::affine(hidden, &block.narrow.weight, &block.narrow.bias, y);
            rows::add_and_normalise(x, y, block.norm2.each_ref().map(Vec::as_slice), epsilon);
        }
        &x[..used * width]
    }
}

/// What each distance from -(n - 1) to n - 1 adds to the scores of each head, from a table of a row for each class of
/// distances (Raffel et al. 2020): half of the classes for positions behind, half for those before; of each half the
/// first half for one distance each, the others for ever wider ranges, the last for all from 128 on.
fn distances(table: &[f32], classes: usize, heads: usize, n: usize) -> Vec<f32> {
    const FARTHEST: f32 = 128.0;
    let half = classes / 2;
    let single = half / 2;
    let class = |distance: isize| {
        let far = distance.unsigned_abs();
        let side = if distance > 0 { half } else { 0 };
        let share = (far.max(1) as f32 / single.max(1) as f32).ln() / (FARTHEST / single.max(1) as f32).ln();
        let wide = single + (share.max(0.0) * (half - single) as f32) as usize;
        side + if far < single { far } else { wide.min(half.saturating_sub(1)) }
    };
    let n = n as isize;
    let of = |head: usize| (1 - n..n).map(move |distance| table[class(distance) * heads + head]);
    (0..heads).flat_map(of).collect()
}
