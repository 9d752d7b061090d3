//! What stands for rounding to few bits: the real thing with gradients that pass straight through, and noise of its size.

use burn_tensor::{Tensor, TensorData};
use quadrat_core::{Error, Result, Rng};

/// Steps of the half-wave Gaussian quantiser (Cai et al. 2017): the best uniform step for the positive half of a standard
/// normal at so many bits.
const HWGQ: [(u8, f64); 6] =
    [(1, 1.057_646_3), (2, 0.635_636_6), (3, 0.372_064_6), (4, 0.213_056_1), (8, 0.020_300_6), (16, 9.714_8e-5)];

/// Bit widths there are steps for; 32 stands for no rounding.
///
/// # Errors
/// Another width.
pub fn check_bits(bits: u8) -> Result<()> {
    if bits == 32 || HWGQ.iter().any(|(known, _)| *known == bits) {
        return Ok(());
    }
    Err(Error::input("bits", bits, "1, 2, 3, 4, 8, 16 or 32"))
}

/// Rounds to whole numbers; the gradient passes as if it had not.
fn straight_round<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let rounded = x.clone().detach().round();
    x.clone() + (rounded - x.detach())
}

/// Activations at so many bits: clamped to [0, step (2^b − 1)] and rounded to steps. At 32 bits they are rectified with a
/// slope of 0.1 below zero, and not rounded.
pub fn hwgq<const D: usize>(x: Tensor<D>, bits: u8) -> Tensor<D> {
    let Some((_, step)) = HWGQ.iter().find(|(known, _)| *known == bits) else {
        return burn_tensor::activation::leaky_relu(x, 0.1);
    };
    let levels = (1u32 << bits) as f64 - 1.0;
    straight_round((x / *step).clamp(0.0, levels)) * *step
}

/// Weights at so many bits with learned steps, one a row (Esser et al. 2020): s round(clamp(w / s)), the gradient of
/// the steps scaled by 1 / √(entries · (2^(b−1) − 1)). At 32 bits the weights as they are.
pub fn lsq(w: Tensor<2>, steps: Tensor<1>, bits: u8) -> Tensor<2> {
    if bits >= 32 {
        return w;
    }
    let (low, high) = levels(bits);
    let [rows, columns] = w.dims();
    let scale = 1.0 / ((rows * columns) as f64 * high.max(1.0)).sqrt();
    let steps = steps.clone() * scale + (steps.detach() * (1.0 - scale));
    let steps = steps.clamp_min(1e-12).reshape([rows, 1]);
    straight_round((w / steps.clone()).clamp(low, high)) * steps
}

/// The lowest and highest whole numbers of so many bits.
fn levels(bits: u8) -> (f64, f64) {
    let half = (1u64 << (bits.min(32) - 1)) as f64;
    if bits == 1 { (-1.0, 1.0) } else { (-half, half - 1.0) }
}

/// Where learned steps start: 2 mean|w| / √(highest level), for each row.
pub fn lsq_start(w: &[f32], rows: usize, bits: u8) -> Vec<f32> {
    let (_, high) = levels(bits);
    let columns = (w.len() / rows.max(1)).max(1);
    let mean = |row: &[f32]| row.iter().map(|w| f64::from(w.abs())).sum::<f64>() / columns as f64;
    w.chunks(columns).map(|row| (2.0 * mean(row) / high.max(1.0).sqrt()).max(1e-8) as f32).collect()
}

/// The kind of noise that stands for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Noise {
    /// Normal with a standard deviation of half a step: the authors' choice.
    #[default]
    Gaussian,
    /// Uniform over a step: what rounding does.
    Uniform,
}

/// Noise for each entry in the units of a step.
pub fn draw(kind: Noise, n: usize, rng: &mut Rng) -> Vec<f32> {
    match kind {
        Noise::Gaussian => (0..n).map(|_| (0.5 * rng.normal()) as f32).collect(),
        Noise::Uniform => (0..n).map(|_| (rng.uniform() - 0.5) as f32).collect(),
    }
}

/// t with noise of the size that rounding to so many bits makes: + range(t) / (2^b − 1) · noise. The gradient reaches t,
/// not the noise; a constant tensor stays what it is.
pub fn noisy<const D: usize>(t: Tensor<D>, bits: u8, noise: Vec<f32>) -> Tensor<D> {
    if bits >= 32 {
        return t;
    }
    let still = t.clone().detach();
    let range = still.clone().max() - still.min();
    let shape = t.dims();
    let noise = Tensor::<D>::from_data(TensorData::new(noise, shape), &t.device());
    let step = range / ((1u64 << bits) as f64 - 1.0);
    t + noise * step.unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;
    use quadrat_nn::tensor_of;

    fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn rounding_has_the_levels_it_says() {
        let x = tensor_of(ndarray::array![[-1.0f32, 0.0, 0.3, 1.0, 50.0]].view(), false);
        let two = numbers(hwgq(x.clone(), 2));
        let step = 0.635_636_6f32;
        for (got, want) in two.iter().zip([0.0, 0.0, 0.0, 2.0 * step, 3.0 * step]) {
            assert!((got - want).abs() < 1e-6, "{two:?}");
        }
        assert_eq!(numbers(hwgq(x, 32))[0], -0.1);
        assert!(check_bits(5).is_err() && check_bits(4).is_ok());
    }

    /// The published gradients: by w 1 inside the levels and 0 outside; by s round(w/s) − w/s inside, the level outside.
    #[test]
    fn learned_steps_have_the_published_gradients() {
        let w = tensor_of(ndarray::array![[0.12f32, -0.3, 0.9]].view(), true).require_grad();
        let s = Tensor::<1>::from_floats([0.1f32], &w.device()).require_grad();
        let mut gradients = lsq(w.clone(), s.clone(), 3).sum().backward();
        assert_eq!(numbers(w.grad_remove(&mut gradients).unwrap()), [1.0, 1.0, 0.0]);
        let scale = 1.0 / (3.0f32 * 3.0).sqrt();
        let wanted = ((1.0 - 1.2) + (-3.0 + 3.0) + 3.0) * scale;
        let found = numbers(s.grad_remove(&mut gradients).unwrap())[0];
        assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
    }

    /// Mean 0 and standard deviation 1/2 or 1/√12 of a step, within five standard errors (one alarm in two million).
    #[test]
    fn noise_has_the_size_of_a_step() {
        let n = 200_000;
        for (kind, deviation) in [(Noise::Gaussian, 0.5), (Noise::Uniform, 1.0 / 12f64.sqrt())] {
            let drawn: Vec<f64> = draw(kind, n, &mut Seed(4).rng(0)).into_iter().map(f64::from).collect();
            let mean = drawn.iter().sum::<f64>() / n as f64;
            let spread = (drawn.iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
            assert!(mean.abs() < 5.0 * deviation / (n as f64).sqrt());
            assert!((spread / deviation - 1.0).abs() < 5.0 / (2.0 * n as f64).sqrt());
        }
        let t = tensor_of(ndarray::array![[0.0f32, 1.0, 0.5]].view(), false);
        let far = numbers(noisy(t.clone(), 16, vec![0.5; 3]));
        assert!(far.iter().zip([0.0, 1.0, 0.5]).all(|(a, b)| (a - b).abs() < 1e-4));
        let constant = tensor_of(ndarray::array![[2.0f32, 2.0]].view(), false);
        assert_eq!(numbers(noisy(constant, 2, vec![0.5, -0.5])), [2.0, 2.0]);
    }
}
