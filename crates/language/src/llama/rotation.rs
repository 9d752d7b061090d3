//! Rotary positions: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021 (arXiv 2104.09864).
//!
//! Pairs of a head's numbers are turned by angles that grow with the position, pair i of D/2 by position x base^(-2i/D), so that a product of a query and
//! a key depends on how far they are apart.

/// Which numbers of a head are a pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pairs {
    /// i and i + D/2: checkpoints as transformers writes them.
    #[default]
    Halves,
    /// 2i and 2i + 1: the paper's, and GGUF's, whose rows of queries and keys are permuted for it.
    Neighbours,
}

/// How fast each pair turns.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rotation {
    pub pairs: Pairs,
    /// Radians a position.
    pub speeds: Vec<f64>,
}

impl Rotation {
    /// The paper's speeds for heads of `head` numbers.
    pub fn new(pairs: Pairs, head: usize, base: f64) -> Self {
        let speeds = (0..head / 2).map(|i| base.powf(-2.0 * i as f64 / head as f64)).collect();
        Rotation { pairs, speeds }
    }

    /// That bases and factors made speeds.
    pub fn check(&self) -> Result<(), String> {
        match self.speeds.iter().find(|speed| !speed.is_finite()) {
            Some(speed) => {
                Err(format!("positions would turn by {speed} radians: the rotation's base or factors are no such"))
            }
            None => Ok(()),
        }
    }

    /// Cosines and sines of the positions: for each, those of all pairs.
    pub fn angles(&self, positions: &[usize]) -> Vec<[f32; 2]> {
        let turns = positions.iter().flat_map(|&at| self.speeds.iter().map(move |speed| at as f64 * speed));
        turns.map(|turn| [turn.cos() as f32, turn.sin() as f32]).collect()
    }

    /// Turns the heads of every token, whose rows are of `width` numbers.
    pub fn apply(&self, rows: &mut [f32], width: usize, angles: &[[f32; 2]]) {
        let half = self.speeds.len();
        for (row, angles) in rows.chunks_exact_mut(width).zip(angles.chunks_exact(half)) {
            for head in row.chunks_exact_mut(2 * half) {
                match self.pairs {
                    Pairs::Halves => {
                        let (first, second) = head.split_at_mut(half);
                        first.iter_mut().zip(second).zip(angles).for_each(|((a, b), angle)| turn(a, b, *angle));
                    }
                    Pairs::Neighbours => {
                        let pairs = head.as_chunks_mut::<2>().0.iter_mut();
                        pairs.zip(angles).for_each(|([a, b], angle)| turn(a, b, *angle));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn turn(a: &mut f32, b: &mut f32, [cos, sin]: [f32; 2]) {
    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
}

/// How Llama 3.1 slows pairs down for texts longer than those that it was trained on first (its `rope_type` "llama3"): slow pairs by
/// `factor`, fast ones not at all, and between these by what is between.
pub(super) struct Llama3 {
    pub factor: f64,
    pub low: f64,
    pub high: f64,
    /// Tokens of the first training's texts.
    pub original: f64,
}

impl Llama3 {
    pub fn apply(&self, speeds: &mut [f64]) {
        for speed in speeds {
            // Turns of this pair within a text of the first training.
            let turns = self.original * *speed / std::f64::consts::TAU;
            let fast = ((turns - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
            *speed = (1.0 - fast) * *speed / self.factor + fast * *speed;
        }
    }
}
