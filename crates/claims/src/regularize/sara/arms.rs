//! What is to be learnt, and ways to fine-tune.

use super::SIDE;
use ndarray::Array2;
use quadrat_nn::{Parameters, Role, TrainMethod};
use quadrat_regularize::{Lora, Pick, Sara, Select};

/// Share of the kernels' entries that is trained.
pub(super) const SHARE: f64 = 0.1;

/// What the model is to learn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    Inverted,
    Thick,
}

impl Style {
    pub fn name(self) -> &'static str {
        match self {
            Style::Inverted => "inverted",
            Style::Thick => "thick",
        }
    }

    /// Images in this style.
    pub fn of(self, images: &Array2<f32>) -> Array2<f32> {
        match self {
            Style::Inverted => images.mapv(|v| 1.0 - v),
            // Each pixel takes over the brightest of itself and its four neighbours.
            Style::Thick => Array2::from_shape_fn(images.dim(), |(row, i)| {
                let (y, x) = (i / SIDE, i % SIDE);
                let near = |at: usize| at.saturating_sub(1)..(at + 2).min(SIDE);
                let cross = near(y).map(|y| y * SIDE + x).chain(near(x).map(|x| y * SIDE + x));
                cross.fold(0.0, |top, i| images[[row, i]].max(top))
            }),
        }
    }
}

/// A way to fine-tune.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Arm {
    Sara,
    Lora,
    Full,
    Random,
}

impl Arm {
    pub fn name(self) -> &'static str {
        match self {
            Arm::Sara => "sara",
            Arm::Random => "random weights",
            Arm::Lora => "lora",
            Arm::Full => "all weights",
        }
    }

    /// The hook, if it takes one; all that are not full train as many values.
    pub fn method(self, parameters: &Parameters) -> Option<Box<dyn TrainMethod>> {
        let sara = Sara { select: Select::Fraction(SHARE), ..Sara::default() };
        Some(match self {
            Arm::Sara => Box::new(sara),
            Arm::Random => Box::new(Sara { pick: Pick::Random, ..sara }),
            Arm::Lora => Box::new(lora(parameters)),
            Arm::Full => return None,
        })
    }
}

/// LoRA of the rank that trains most nearly as many values as the sparse arms.
fn lora(parameters: &Parameters) -> Lora {
    let entries: usize = parameters.iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum();
    let one = Lora { rank: 1, ..Lora::default() }.trained(parameters);
    let rank = ((SHARE * entries as f64 / one as f64).round() as usize).max(1);
    Lora { rank, alpha: rank as f32, ..Lora::default() }
}
