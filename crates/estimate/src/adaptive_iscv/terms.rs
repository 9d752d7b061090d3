//! The terms whose means are the estimates, and their control variates.

use super::normals::ln_densities;
use super::points::{Part, Points};
use super::proposal::Proposal;
use super::{Adapted, MultiEstimate};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use quadrat_core::{Result, stats};
use quadrat_numeric::linalg::product;

/// Terms t_ij = phi_j f_j / g_a and their control variates u_ij = g_j / g_a (1 under h_0, which has none).
pub(super) struct Terms {
    pub t: Array2<f64>,
    pub u: Array2<f64>,
}

impl Terms {
    pub fn of(points: &Points, proposal: &Proposal) -> Terms {
        if proposal.g.is_empty() {
            let t = points.ratios(&proposal.ln_density(points));
            return Terms { u: Array2::ones(t.dim()), t };
        }
        let mut u = ln_densities(&proposal.g, points.x.view());
        let ln_density = proposal.ln_mixture(&u, points);
        u.rows_mut().into_iter().zip(&ln_density).for_each(|(mut u, ln)| u.mapv_inplace(|ln_g| (ln_g - ln).exp()));
        Terms { t: points.ratios(&ln_density), u }
    }

    pub fn means(&self) -> Vec<f64> {
        self.t.columns().into_iter().map(|t| t.sum() / t.len() as f64).collect()
    }

    pub fn variances(&self) -> Vec<f64> {
        self.t.columns().into_iter().map(|t| stats::variance(&t.to_vec())).collect()
    }

    /// b_j = cov(u_j, t_j) / var(u_j); 0 where u_j does not vary.
    pub fn coefficients(&self) -> Vec<f64> {
        let n = self.t.nrows() as f64;
        let coefficient = |(t, u): (ArrayView1<f64>, ArrayView1<f64>)| {
            let (mean_t, mean_u) = (t.sum() / n, u.sum() / n);
            let (mut cov, mut var) = (0.0, 0.0);
            for (t, u) in t.iter().zip(&u) {
                cov += (t - mean_t) * (u - mean_u);
                var += (u - mean_u).powi(2);
            }
            if var > 1e-24 * n * mean_u * mean_u { cov / var } else { 0.0 }
        };
        self.t.columns().into_iter().zip(self.u.columns()).map(coefficient).collect()
    }

    /// t - b (u - 1), whose mean is the estimate.
    pub fn controlled(&self, b: &[f64]) -> Terms {
        let mut t = self.t.clone();
        for (mut t, u) in t.rows_mut().into_iter().zip(self.u.rows()) {
            t.iter_mut().zip(u).zip(b).for_each(|((t, u), b)| *t -= b * (u - 1.0));
        }
        Terms { t, u: self.u.clone() }
    }
}

/// The estimates of the targets from the terms of their parts.
pub(super) fn joined(targets: usize, parts: &[Part], terms: &Terms, adapted: &Adapted) -> Result<MultiEstimate> {
    let b = if adapted.proposal.g.is_empty() { vec![0.0; parts.len()] } else { adapted.b.clone() };
    let controlled = terms.controlled(&b).t;
    let n = controlled.nrows();
    let (mut rows, mut raw) = (Array2::<f64>::zeros((n, targets)), Array2::<f64>::zeros((n, targets)));
    for (m, part) in parts.iter().enumerate() {
        let sign = part.sign.unwrap_or(1.0);
        rows.column_mut(part.target).scaled_add(sign, &controlled.column(m));
        raw.column_mut(part.target).scaled_add(sign, &terms.t.column(m));
    }
    let value: Array1<f64> = rows.sum_axis(Axis(0)) / n as f64;
    let centred = &rows - &value;
    let cov = product(centred.t(), centred.view())? / (n as f64 * (n as f64 - 1.0));
    let ess = |t: ArrayView1<f64>| {
        let (sum, squares) = t.iter().fold((0.0, 0.0), |(s, q), t| (s + t.abs(), q + t * t));
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    };
    Ok(MultiEstimate {
        std_err: cov.diag().iter().map(|v| v.max(0.0).sqrt()).collect(),
        value: value.to_vec(),
        raw: (raw.sum_axis(Axis(0)) / n as f64).to_vec(),
        ess: raw.columns().into_iter().map(ess).collect(),
        cov,
        terms: rows,
        n_evals: 0,
        rounds: 0,
        a: if adapted.proposal.g.is_empty() { Vec::new() } else { adapted.proposal.a.clone() },
        mixture: adapted.proposal.g.clone(),
        b,
        warnings: Vec::new(),
    })
}
