//! What the tests of all operations share: an operation against the same computation by burn, its gradients, and its bits
//! on one thread and on two.

use burn_tensor::{Device, Tensor, TensorData};

/// Numbers between -1 and 1 without a pattern that matters.
pub fn noise(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729 + i * i * 31) % 10_007) as f32 / 5003.0 - 1.0).collect()
}

pub fn flat(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

/// The output of `f` on flat inputs, and the gradients of its sum, weighted by fixed noise, by each input.
pub fn gradients(inputs: &[Vec<f32>], f: &dyn Fn(&[Tensor<1>]) -> Tensor<1>) -> (Vec<f32>, Vec<Vec<f32>>) {
    let device = Device::flex().autodiff();
    let leaves: Vec<_> = inputs.iter().map(|v| flat(v, &device).require_grad()).collect();
    let output = f(&leaves);
    let weights = flat(&noise(output.dims()[0], 17), &device);
    let found = (output.clone() * weights).sum().backward();
    let by = leaves.iter().map(|leaf| leaf.grad(&found).map(numbers).unwrap_or_default()).collect();
    (numbers(output), by)
}

pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |sum: f64, v: f64| sum + v * v;
    let norm = b.iter().map(|v| f64::from(*v)).fold(0.0, square).sqrt();
    a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)).fold(0.0, square).sqrt() / norm.max(1e-30)
}

pub fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Asserts that `ours` has the values and gradients of `burns`, that an inner device gives the same values, and that one
/// and two threads give the same bits.
pub fn same(
    name: &str,
    inputs: &[Vec<f32>],
    ours: impl Fn(&[Tensor<1>]) -> Tensor<1> + Sync,
    burns: impl Fn(&[Tensor<1>]) -> Tensor<1>,
) {
    let one = pool(1).install(|| gradients(inputs, &ours));
    let two = pool(2).install(|| gradients(inputs, &ours));
    assert_eq!(one, two, "{name}: bits");
    let plain: Vec<_> = inputs.iter().map(|v| flat(v, &Device::flex())).collect();
    assert_eq!(one.0, pool(1).install(|| numbers(ours(&plain))), "{name}: without autodiff");
    let (value, by) = gradients(inputs, &burns);
    assert!(distance(&one.0, &value) < 1e-5, "{name}: value {}", distance(&one.0, &value));
    for (i, (own, by)) in one.1.iter().zip(&by).enumerate() {
        assert!(distance(own, by) < 1e-5, "{name}: gradient {i}: {}", distance(own, by));
    }
}

/// Asserts that the gradients of `ours` are finite differences of its values, in single precision with steps of 1/64.
pub fn differences(name: &str, inputs: &[Vec<f32>], ours: impl Fn(&[Tensor<1>]) -> Tensor<1>) {
    let (_, by) = gradients(inputs, &ours);
    let loss = |inputs: &[Vec<f32>]| {
        let output = gradients(inputs, &ours).0;
        output.iter().zip(noise(output.len(), 17)).map(|(y, w)| f64::from(*y) * f64::from(w)).sum::<f64>()
    };
    for (i, by) in by.iter().enumerate() {
        for place in (0..by.len()).step_by(by.len().div_ceil(5)) {
            let moved = |step: f32| {
                let mut inputs = inputs.to_vec();
                inputs[i][place] += step;
                loss(&inputs)
            };
            let slope = (moved(1.0 / 64.0) - moved(-1.0 / 64.0)) * 32.0;
            let got = f64::from(by[place]);
            assert!((slope - got).abs() < 2e-3 * (1.0 + got.abs()), "{name}: input {i} place {place}: {got} {slope}");
        }
    }
}
