//! Generalised cross-entropy: between cross-entropy and absolute error, which wrong labels pull less.
//!
//! Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", NeurIPS 2018
//! (arXiv 1805.07836), eq. 6: the loss of a row with class y is (1 − p_y^q) / q. Towards q = 0 it is cross-entropy, at q = 1 the
//! absolute error. Its gradient at the scores is p_y^q (p − y): cross-entropy's, less the less likely the label is. Soft
//! targets s cost Σ s_c (1 − p_c^q) / q. The authors' pruning of rows (their truncated form) is not built.

use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{Parameters, Piece, Run, Tensor, TrainMethod, ops};

/// Generalised cross-entropy.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct GeneralisedCrossEntropy {
    /// From cross-entropy (towards 0) to absolute error (1).
    #[param(default = 0.7, above = 0, to = 1)]
    pub q: f32,
}

impl Method for GeneralisedCrossEntropy {
    const CARD: Card = Card {
        slug: "generalised-cross-entropy",
        aliases: &["gce", "generalized-cross-entropy"],
        title: "Generalised cross-entropy",
        paper: "Zhang and Sabuncu, NeurIPS 2018, arXiv 1805.07836",
        area: Area::Robust,
        verbs: &["train"],
        summary: "A loss between cross-entropy and absolute error, by which a wrong label pulls the less the surer the network is.",
        useful_when: "some labels are wrong and a simple loss without memory should do; label noise",
        cost: "one pass over the scores of a batch",
        params: Self::PARAMS,
    };
}

impl GeneralisedCrossEntropy {
    #[inline(always)]
    fn of(self, targets: &[f32], scores: &[f32], gradient: &mut [f32]) -> f32 {
        ops::softmax_into(scores, gradient);
        let (mut loss, mut pull) = (0.0, 0.0);
        for (p, s) in gradient.iter().zip(targets).filter(|(_, s)| **s != 0.0) {
            let power = p.powf(self.q);
            loss += s * (1.0 - power) / self.q;
            pull += s * power;
        }
        for (p, s) in gradient.iter_mut().zip(targets) {
            let own = if *s == 0.0 { 0.0 } else { s * p.powf(self.q) };
            *p = *p * pull - own;
        }
        loss
    }
}

impl TrainMethod for GeneralisedCrossEntropy {
    fn name(&self) -> &str {
        "generalised-cross-entropy"
    }

    fn settings(&self) -> String {
        format!("q={}", self.q)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(self.q > 0.0 && self.q <= 1.0) {
            return Err(Error::input("q", self.q, "above 0, at most 1"));
        }
        run.needs_classes("generalised-cross-entropy")
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        let targets = &piece.batch.targets;
        let k = targets.ncols();
        let all = targets.as_slice().ok_or_else(|| Error::numeric("targets", "not row by row"))?;
        let of =
            |row: usize, scores: &[f32], gradient: &mut [f32]| self.of(&all[row * k..(row + 1) * k], scores, gradient);
        Ok(piece.losses(outputs, of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::slopes;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_gradient_is_that_of_the_loss(
            scores in prop::collection::vec(-3.0f32..3.0, 4), class in 0usize..4, q in 0.1f32..1.0, soft in 0.0f32..0.5
        ) {
            let targets: Vec<f32> = (0..4).map(|k| if k == class { 1.0 - soft } else { soft / 3.0 }).collect();
            let gce = GeneralisedCrossEntropy { q };
            let definition = |z: &[f64]| {
                let all: f64 = z.iter().map(|z| z.exp()).sum();
                let q = f64::from(q);
                let terms = z.iter().zip(&targets).map(|(z, s)| f64::from(*s) * (1.0 - (z.exp() / all).powf(q)) / q);
                terms.sum::<f64>()
            };
            slopes(&scores, definition, |z, d| gce.of(&targets, z, d))?;
        }
    }

    #[test]
    fn the_ends_are_cross_entropy_and_absolute_error_and_far_scores_are_finite() {
        let (targets, scores, mut d) = ([0.0, 1.0], [0.0, 3.0f32.ln()], [0.0; 2]);
        let nearly = GeneralisedCrossEntropy { q: 1e-4 }.of(&targets, &scores, &mut d);
        assert!((nearly - (4.0f32 / 3.0).ln()).abs() < 1e-3 && (d[0] - 0.25).abs() < 1e-3);
        let absolute = GeneralisedCrossEntropy { q: 1.0 }.of(&targets, &scores, &mut d);
        assert!((absolute - 0.25).abs() < 1e-6);
        let far = GeneralisedCrossEntropy { q: 0.7 }.of(&targets, &[1e4, -1e4], &mut d);
        assert!((far - 1.0 / 0.7).abs() < 1e-6 && d == [0.0; 2]);
    }
}
