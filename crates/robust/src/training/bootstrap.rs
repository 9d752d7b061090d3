//! Bootstrapping: targets mixed with what the network itself says.
//!
//! Reed, Lee, Anguelov, Szegedy, Erhan and Rabinovich, "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
//! ICLR 2015 workshop (arXiv 1412.6596). With the label's share β the target of a row becomes β y + (1 − β) p (soft, eq. 6) or
//! β y + (1 − β) onehot(argmax p) (hard, eq. 7). The soft loss −Σ (β yₖ + (1 − β) pₖ) ln pₖ has its gradient through both p:
//! cross-entropy plus (1 − β) times the entropy of what the network says.

use quadrat_core::{Area, Card, Choice, Error, Method, Result, Settings};
use quadrat_nn::{Parameters, Piece, Run, Tensor, TrainMethod, ops};

/// What the network's part of the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Kind {
    /// The class that it takes for the likeliest.
    Hard,
    /// Its probabilities.
    Soft,
}

/// Bootstrapping.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Bootstrap {
    /// What the network's part of the target is.
    #[param(default = Kind::Hard)]
    pub kind: Kind,
    /// The label's share β of the target; the paper has 0.8 for hard and 0.95 for soft.
    #[param(default = 0.8, from = 0, to = 1)]
    pub share: f32,
}

impl Method for Bootstrap {
    const CARD: Card = Card {
        slug: "bootstrap",
        aliases: &["bootstrapping"],
        title: "Bootstrapping",
        paper: "Reed, Lee, Anguelov, Szegedy, Erhan and Rabinovich, ICLR 2015 workshop, arXiv 1412.6596",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Trains towards the label and, in part, towards what the network itself says of the row.",
        useful_when: "some labels are wrong; a simple companion to compare with; label noise",
        cost: "one pass over the scores of a batch",
        params: Self::PARAMS,
    };
}

impl Bootstrap {
    #[inline(always)]
    fn of(self, targets: &[f32], scores: &[f32], p: &mut [f32]) -> f32 {
        let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let likeliest = scores.iter().position(|z| *z == top).unwrap_or(0);
        // ln p = z − ln Σ e^z, finite where p is 0.
        let total = ops::softmax_into(scores, p);
        let own = 1.0 - self.share;
        let entropy: f32 = p.iter().zip(scores).map(|(p, z)| if *p == 0.0 { 0.0 } else { p * (total - z) }).sum();
        let mut loss = if self.kind == Kind::Soft { own * entropy } else { own * (total - scores[likeliest]) };
        let weight: f32 = targets.iter().sum();
        for (k, ((p, z), s)) in p.iter_mut().zip(scores).zip(targets).enumerate() {
            loss += self.share * s * (total - z);
            let labels = self.share * (*p * weight - s);
            let nets = match self.kind {
                Kind::Soft if *p == 0.0 => 0.0,
                Kind::Soft => *p * (total - z - entropy),
                Kind::Hard => *p - f32::from(u8::from(k == likeliest)),
            };
            *p = labels + own * nets;
        }
        loss
    }
}

impl TrainMethod for Bootstrap {
    fn name(&self) -> &str {
        "bootstrap"
    }

    fn settings(&self) -> String {
        format!("kind={:?} share={}", self.kind, self.share)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err(Error::input("share", self.share, "0 to 1"));
        }
        run.needs_classes("bootstrap")
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
            scores in prop::collection::vec(-3.0f32..3.0, 4), class in 0usize..4, share in 0.0f32..=1.0
        ) {
            let targets: Vec<f32> = (0..4).map(|k| f32::from(u8::from(k == class))).collect();
            let likeliest = (0..4).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
            for kind in [Kind::Hard, Kind::Soft] {
                let definition = |z: &[f64]| {
                    let all: f64 = z.iter().map(|z| z.exp()).sum();
                    let beta = f64::from(share);
                    let term = |k: usize| {
                        let p = z[k].exp() / all;
                        let own = if kind == Kind::Soft { p } else { f64::from(u8::from(k == likeliest)) };
                        -(beta * f64::from(targets[k]) + (1.0 - beta) * own) * p.ln()
                    };
                    (0..4).map(term).sum::<f64>()
                };
                slopes(&scores, definition, |z, d| Bootstrap { kind, share }.of(&targets, z, d))?;
            }
        }
    }

    #[test]
    fn the_label_alone_is_cross_entropy_and_far_scores_are_finite() {
        let (targets, mut d) = ([0.0, 1.0], [0.0; 2]);
        let whole = Bootstrap { kind: Kind::Soft, share: 1.0 }.of(&targets, &[0.0, 3.0f32.ln()], &mut d);
        assert!((whole - (4.0f32 / 3.0).ln()).abs() < 1e-6 && (d[0] - 0.25).abs() < 1e-6);
        for kind in [Kind::Hard, Kind::Soft] {
            let far = Bootstrap { kind, share: 0.5 }.of(&targets, &[1e4, -1e4], &mut d);
            assert!((far - 1e4).abs() < 1.0 && d.iter().all(|d| d.is_finite()), "{kind:?}: {far} {d:?}");
        }
    }
}
