//! From tokens to representations, block by block.

use super::attention::{Sight, attend};
use super::state::Cache;
use super::{Layer, Llama};
use crate::matrix::lanes::{self, Kernel, Lanes, dot};
use quadrat_numeric::elementary::exp;
use quadrat_numeric::vectorised;
use rayon::prelude::*;

/// Tokens that are computed at once.
pub(super) struct Tokens<'a> {
    pub tokens: &'a [u32],
    pub positions: &'a [usize],
    /// The cache's rows that each sees, its own among them: that of the first comes behind those that are there.
    pub sights: &'a [Sight],
}

impl Llama {
    /// Adds the tokens' keys and values to the cache, and their last representations, normalised for the head.
    pub(super) fn forward(&self, new: &Tokens, cache: &mut Cache) {
        let width = self.config.width;
        let angles = self.config.rotation.angles(new.positions);
        let mut x = vec![0.0; new.tokens.len() * width];
        for (token, x) in new.tokens.iter().zip(x.chunks_exact_mut(width)) {
            self.embedding.row(*token as usize, x);
        }
        let mut room = Room::new(self, new.tokens.len());
        for (layer, kept) in self.layers.iter().zip(&mut cache.layers) {
            // Look back.
            normalise(&x, &layer.attention_norm, self.config.epsilon, &mut room.normal);
            self.project(layer, &angles, &mut room);
            kept.extend(&room.keys, &room.values);
            attend(self.config.sizes(), &room.queries, &kept.keys, &kept.values, new.sights, &mut room.seen);
            layer.join.product(&room.seen, &mut room.normal);
            add(&mut x, &room.normal);
            // Feed forward.
            normalise(&x, &layer.feed_norm, self.config.epsilon, &mut room.normal);
            let Room { normal, gate, up, .. } = &mut room;
            rayon::join(|| layer.gate.product(normal, gate), || layer.up.product(normal, up));
            swish(gate, up);
            layer.down.product(gate, normal);
            add(&mut x, normal);
        }
        normalise(&x, &self.norm, self.config.epsilon, &mut room.normal);
        cache.last.extend_from_slice(&room.normal);
    }

    /// Queries, keys and values, queries and keys turned to their positions.
    fn project(&self, layer: &Layer, angles: &[[f32; 2]], room: &mut Room) {
        let Room { normal, queries, keys, values, .. } = room;
        let sizes = self.config.sizes();
        let turn = |rows: &mut [f32], heads: usize| self.config.rotation.apply(rows, heads * sizes.head, angles);
        rayon::join(
            || {
                layer.query.product(normal, queries);
                turn(queries, sizes.heads);
            },
            || {
                layer.key.product(normal, keys);
                turn(keys, sizes.groups);
                layer.value.product(normal, values);
            },
        );
    }

    /// The scores of the next token after representations.
    pub(super) fn scores(&self, last: &[f32], out: &mut [f32]) {
        self.head.as_ref().unwrap_or(&self.embedding).product(last, out);
    }
}

/// What the blocks write one after the other.
struct Room {
    normal: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    seen: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl Room {
    fn new(model: &Llama, tokens: usize) -> Self {
        let (config, sizes) = (&model.config, model.config.sizes());
        let zeros = |width: usize| vec![0.0; tokens * width];
        Room {
            normal: zeros(config.width),
            queries: zeros(sizes.heads * sizes.head),
            keys: zeros(sizes.groups * sizes.head),
            values: zeros(sizes.groups * sizes.head),
            seen: zeros(sizes.heads * sizes.head),
            gate: zeros(config.units),
            up: zeros(config.units),
        }
    }
}

/// RMSNorm: x / sqrt(mean of x^2 + epsilon), times a scale for each number.
fn normalise(x: &[f32], scale: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = scale.len();
    out.par_chunks_mut(width).zip(x.par_chunks(width)).for_each(|(out, x)| {
        lanes::run(Norm { x, scale, epsilon, out });
    });
}

struct Norm<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    epsilon: f32,
    out: &'a mut [f32],
}

impl Kernel for Norm<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let size = 1.0 / (dot(lanes, self.x, self.x) / self.x.len() as f32 + self.epsilon).sqrt();
        self.out.iter_mut().zip(self.x).zip(self.scale).for_each(|((out, x), scale)| *out = x * size * scale);
    }
}

/// Numbers that one thread does in one go.
const SHARE: usize = 1 << 14;

/// SwiGLU: gate = gate / (1 + e^-gate) up.
fn swish(gate: &mut [f32], up: &[f32]) {
    gate.par_chunks_mut(SHARE).zip(up.par_chunks(SHARE)).for_each(|(gate, up)| {
        vectorised(
            #[inline(always)]
            || gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = *gate / (1.0 + exp(-*gate)) * up),
        );
    });
}

fn add(x: &mut [f32], more: &[f32]) {
    x.iter_mut().zip(more).for_each(|(x, more)| *x += more);
}
