//! The information of a set (step 4), and what a row adds to it (step 5).

use super::{Gain, Phi};
use crate::greedy::Objective;
use quadrat_core::Lists;

impl Phi {
    pub(super) fn value(self, x: f64) -> f64 {
        match self {
            Phi::Pow { a, beta } => (x + a).powf(beta),
            Phi::Exp { alpha } => -(-alpha * x).exp_m1(),
            Phi::Sqrt => x.sqrt(),
        }
    }

    pub(super) fn slope(self, x: f64) -> f64 {
        match self {
            Phi::Pow { a, beta } => beta * (x + a).powf(beta - 1.0),
            Phi::Exp { alpha } => alpha * (-alpha * x).exp(),
            Phi::Sqrt => 0.5 / x.sqrt(),
        }
    }

    /// phi(x + by) - phi(x), in forms that do not cancel: equal rows get equal gains however much is chosen already.
    pub(super) fn step(self, x: f64, by: f64) -> f64 {
        match self {
            Phi::Pow { a, beta } => (x + a).powf(beta) * (beta * (by / (x + a)).ln_1p()).exp_m1(),
            Phi::Exp { alpha } => (-alpha * x).exp() * -(-alpha * by).exp_m1(),
            Phi::Sqrt => by / ((x + by).sqrt() + x.sqrt()),
        }
    }
}

/// What each row brings to which labels (step 3), the labels ascending.
#[derive(Default)]
pub(super) struct Spread {
    pub labels: Lists,
    pub values: Vec<f32>,
}

impl Spread {
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        (&self.labels[row], &self.values[self.labels.span(row)])
    }
}

/// The information E of the rows added so far.
pub(super) struct Information {
    pub p: Spread,
    pub phi: Phi,
    pub gain: Gain,
    /// z_l, the mass on each label.
    pub z: Vec<f64>,
    /// g_l = phi'(z_l).
    pub slope: Vec<f64>,
    pub edges: usize,
}

impl Information {
    /// E = sum_l phi(z_l).
    pub fn total(&self) -> f64 {
        self.z.iter().map(|z| self.phi.value(*z)).sum()
    }
}

/// Step 5. p_i >= 0 and phi is concave, so a gain never grows.
impl Objective for Information {
    fn gain(&self, row: usize) -> f64 {
        let (labels, p) = self.p.row(row);
        let entries = labels.iter().map(|l| *l as usize).zip(p.iter().map(|p| f64::from(*p)));
        match self.gain {
            Gain::Gradient => entries.map(|(l, p)| self.slope[l] * p).sum(),
            Gain::Exact => entries.map(|(l, p)| self.phi.step(self.z[l], p)).sum(),
        }
    }

    fn add(&mut self, row: usize) {
        let (labels, p) = self.p.row(row);
        for (&l, &p) in labels.iter().zip(p) {
            let l = l as usize;
            self.z[l] += f64::from(p);
            // The minimum keeps slopes from growing by a rounding error, so that old gains bound new ones exactly.
            self.slope[l] = self.slope[l].min(self.phi.slope(self.z[l]));
        }
    }
}
