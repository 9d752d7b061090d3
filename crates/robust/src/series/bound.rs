//! The bound of K samples and what it says of them.

use ndarray::ArrayView2;
use quadrat_nn::Tensor;

/// ln (1/K Σₖ exp wₖ) of each row's K log-weights (rows x K), a lower bound of the log-likelihood in the mean where the weights are
/// p(x, zₖ) / q(zₖ | x) with zₖ ~ q (Burda, Grosse and Salakhutdinov 2016). All in log space: no weight overflows.
///
/// ```
/// use ndarray::array;
/// use quadrat_nn::tensor_of;
/// use quadrat_robust::series::bound;
/// let w = array![[1000.0, 1000.0], [0.0, f32::MIN]];
/// let found = bound(tensor_of(w.view(), false)).into_data().try_into_vec::<f32>().unwrap_or_default();
/// assert!((found[0] - 1000.0).abs() < 1e-3 && (found[1] + 2f32.ln()).abs() < 1e-6);
/// ```
pub fn bound(log_weights: Tensor<2>) -> Tensor<1> {
    let k = log_weights.dims()[1];
    log_sum_exp(log_weights, 1).squeeze_dim::<1>(1) - (k as f32).ln()
}

/// How many of each row's K draws count, (Σ w)² / Σ w², from 1 to K: near 1 a single draw speaks for all.
pub fn effective_draws(log_weights: ArrayView2<f32>) -> Vec<f64> {
    let of = |row: ndarray::ArrayView1<f32>| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let w = || row.iter().map(|v| f64::from(v - most).exp());
        (w().sum::<f64>().powi(2) / w().map(|w| w * w).sum::<f64>()).clamp(1.0, row.len().max(1) as f64)
    };
    log_weights.outer_iter().map(of).collect()
}

/// ln Σ exp over an axis, which stays with length 1.
pub(super) fn log_sum_exp<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let most = x.clone().detach().max_dim(axis);
    (x - most.clone()).exp().sum_dim(axis).log() + most
}
