//! Bounds on the likelihood by an encoder: q(z | x) = N(m(x), diag v(x)).

use super::quadrature::log_sum_exp;
use super::training::Networks;
use ndarray::{Array2, ArrayView2, Axis, s};
use quadrat_core::Rng;
use quadrat_numeric::layers::Layers;

/// Draws of Z for each row, `k` after one another.
struct Draws {
    /// The standard normals behind them.
    normals: Array2<f32>,
    z: Array2<f32>,
}

impl Draws {
    /// z = m + sqrt(v) e, from the encoder's outputs: m beside ln v.
    fn new(code: ArrayView2<f32>, k: usize, rng: &mut Rng) -> Draws {
        let latent = code.ncols() / 2;
        let normals = Array2::from_shape_simple_fn((code.nrows() * k, latent), || rng.normal() as f32);
        let z = Array2::from_shape_fn(normals.dim(), |(at, d)| {
            let row = at / k;
            code[[row, d]] + (0.5 * code[[row, latent + d]]).exp() * normals[[at, d]]
        });
        Draws { normals, z }
    }

    /// ln p(z) - ln q(z | x) of a draw; the normalisers cancel.
    fn log_ratio(&self, code: ArrayView2<f32>, at: usize, k: usize) -> f64 {
        let latent = self.z.ncols();
        let one = |d: usize| {
            let (z, e) = (f64::from(self.z[[at, d]]), f64::from(self.normals[[at, d]]));
            0.5 * (e * e - z * z + f64::from(code[[at / k, latent + d]]))
        };
        (0..latent).map(one).sum()
    }
}

/// |x - f(z)|^2 of each draw.
fn misses(x: ArrayView2<f32>, made: &Array2<f32>, k: usize) -> Vec<f64> {
    let one = |(at, row): (usize, ndarray::ArrayView1<f32>)| {
        row.iter().zip(x.row(at / k)).map(|(f, x)| f64::from((x - f) * (x - f))).sum()
    };
    made.outer_iter().enumerate().map(one).collect()
}

/// Adds the derivatives of minus the mean bound of the rows `x` with `k` draws each: ln 1/K sum_k w_k, where w_k =
/// p(x, z_k) / q(z_k | x). With `closed` and one draw the divergence of q from the prior is in closed form.
pub(super) fn slopes(
    networks: &Networks,
    x: Array2<f32>,
    k: usize,
    closed: bool,
    rng: &mut Rng,
    slopes: &mut Networks,
) {
    let (Some(encoder), Some(encoder_slopes)) = (&networks.encoder, &mut slopes.encoder) else { return };
    let (rows, columns) = x.dim();
    let (codes, code) = encoder.forward_apart(x);
    let x = codes[0].view();
    let draws = Draws::new(code.view(), k, rng);
    let (values, made) = networks.decoder.forward_apart(draws.z.clone());
    let precision = networks.sigma().powi(-2);
    let misses = misses(x, &made, k);

    // Shares of the draws of a row in its bound, over the number of rows.
    let mut shares = vec![1.0 / rows as f32; rows * k];
    if k > 1 {
        for (row, shares) in shares.chunks_exact_mut(k).enumerate() {
            let log = |at: usize| draws.log_ratio(code.view(), at, k) - 0.5 * f64::from(precision) * misses[at];
            let logs: Vec<f64> = (row * k..(row + 1) * k).map(log).collect();
            let total = log_sum_exp(&logs);
            shares.iter_mut().zip(logs).for_each(|(share, log)| *share *= (log - total).exp() as f32);
        }
    }

    let mut delta = made;
    for (at, mut row) in delta.outer_iter_mut().enumerate() {
        row -= &x.row(at / k);
        row *= precision * shares[at];
    }
    let to_z = networks.decoder.backward_to_inputs(&values, delta, &mut slopes.decoder);
    let to_code = code_slopes(&code, &draws, &to_z, &shares, k, closed);
    encoder.backward(&codes, to_code, encoder_slopes);
    let spread: f64 = misses.iter().zip(&shares).map(|(miss, share)| miss * f64::from(*share)).sum();
    *slopes.log_sigma() += columns as f32 - precision * spread as f32;
}

/// Derivatives by m and ln v, from those of the reconstruction by z.
fn code_slopes(
    code: &Array2<f32>,
    draws: &Draws,
    to_z: &Array2<f32>,
    shares: &[f32],
    k: usize,
    closed: bool,
) -> Array2<f32> {
    let latent = draws.z.ncols();
    let mut to_code = Array2::zeros(code.dim());
    for (at, share) in shares.iter().enumerate() {
        let row = at / k;
        for d in 0..latent {
            let (mean, log_variance) = (code[[row, d]], code[[row, latent + d]]);
            let deviation = (0.5 * log_variance).exp();
            let of_z = if closed { to_z[[at, d]] } else { to_z[[at, d]] + share * draws.z[[at, d]] };
            let by_mean = if closed { share * mean } else { 0.0 };
            let by_variance = if closed { 0.5 * share * (deviation * deviation - 1.0) } else { -0.5 * share };
            to_code[[row, d]] += of_z + by_mean;
            to_code[[row, latent + d]] += 0.5 * of_z * draws.normals[[at, d]] * deviation + by_variance;
        }
    }
    to_code
}

/// The bound of one row with `k` draws, in the networks' units.
pub(super) fn log_bound(
    networks: &Networks,
    encoder: &Layers<f32>,
    x: ArrayView2<f32>,
    k: usize,
    rng: &mut Rng,
) -> f64 {
    let columns = x.ncols() as f64;
    let code = encoder.outputs(x);
    let draws = Draws::new(code.view(), k, rng);
    let made = networks.decoder.outputs(draws.z.view());
    let sigma = f64::from(networks.sigma());
    let misses = misses(x, &made, k);
    let log = |at: usize| draws.log_ratio(code.view(), at, k) - 0.5 * misses[at] / (sigma * sigma);
    let logs: Vec<f64> = (0..k).map(log).collect();
    log_sum_exp(&logs) - (k as f64).ln() - 0.5 * columns * (std::f64::consts::TAU * sigma * sigma).ln()
}

/// The mean over rows of the divergence of q from the prior, for each dimension of Z.
pub(super) fn divergences(encoder: &Layers<f32>, x: ArrayView2<f32>) -> Vec<f64> {
    let code = encoder.outputs(x);
    let (mean, log_variance) = code.view().split_at(Axis(1), code.ncols() / 2);
    let each = ndarray::Zip::from(mean).and(log_variance).map_collect(|m, lv| {
        let (m, lv) = (f64::from(*m), f64::from(*lv));
        0.5 * (m * m + lv.exp() - 1.0 - lv)
    });
    each.sum_axis(Axis(0)).iter().map(|sum| sum / x.nrows() as f64).collect()
}

/// m of each row.
pub(super) fn means(encoder: &Layers<f32>, x: ArrayView2<f32>) -> Array2<f64> {
    let code = encoder.outputs(x);
    code.slice(s![.., ..code.ncols() / 2]).mapv(f64::from)
}
