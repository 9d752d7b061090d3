//! A small convolutional network: 3 x 3 filters, a maximum over 2 x 2, a linear layer, trained by Adam on the squared
//! error. Hand-written, because a claim needs no framework for three thousand weights.

use ndarray::ArrayView2;
use quadrat_core::Seed;

/// Side of an image.
pub const SIDE: usize = 14;
/// Side of what the filters make of it, and of that after the maximum.
const MAP: usize = SIDE - 2;
const POOLED: usize = MAP / 2;
const FILTERS: usize = 8;
const FLAT: usize = POOLED * POOLED * FILTERS;

/// How it is trained.
#[derive(Clone, Copy)]
pub struct Cnn {
    pub epochs: usize,
    pub batch: usize,
    pub rate: f64,
}

/// Weights in one row: filters (tap by filter), their biases, the linear layer (input by output), its biases.
struct Weights {
    all: Vec<f64>,
    outputs: usize,
}

const DENSE: usize = 9 * FILTERS + FILTERS;

/// What a forward pass leaves for the backward pass.
struct Trace {
    pooled: [f64; FLAT],
    /// Where in the map each maximum was.
    from: [u16; FLAT],
    output: Vec<f64>,
}

impl Weights {
    fn random(outputs: usize, seed: Seed) -> Weights {
        let mut rng = seed.stream("weights").rng(0);
        let mut all = Vec::with_capacity(DENSE + (FLAT + 1) * outputs);
        for (count, inputs) in [(DENSE, 9), ((FLAT + 1) * outputs, FLAT)] {
            let reach = 1.0 / (inputs as f64).sqrt();
            all.extend((0..count).map(|_| reach * (2.0 * rng.uniform() - 1.0)));
        }
        Weights { all, outputs }
    }

    fn forward(&self, image: &[f64], trace: &mut Trace) {
        let (filters, rest) = self.all.split_at(9 * FILTERS);
        let (bias, dense) = rest.split_at(FILTERS);
        for cell in 0..POOLED * POOLED {
            let (top, left) = (2 * (cell / POOLED), 2 * (cell % POOLED));
            // Rectified: the maximum starts at 0, where nothing flows back.
            let (mut best, mut from) = ([0.0; FILTERS], [u16::MAX; FILTERS]);
            for (row, column) in [(top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)] {
                let mut sums = [0.0; FILTERS];
                sums.copy_from_slice(bias);
                for (tap, weights) in filters.chunks_exact(FILTERS).enumerate() {
                    let value = image[(row + tap / 3) * SIDE + column + tap % 3];
                    sums.iter_mut().zip(weights).for_each(|(s, w)| *s += value * w);
                }
                for f in 0..FILTERS {
                    if sums[f] > best[f] {
                        (best[f], from[f]) = (sums[f], (row * SIDE + column) as u16);
                    }
                }
            }
            trace.pooled[cell * FILTERS..][..FILTERS].copy_from_slice(&best);
            trace.from[cell * FILTERS..][..FILTERS].copy_from_slice(&from);
        }
        let (dense, bias) = dense.split_at(FLAT * self.outputs);
        trace.output.copy_from_slice(bias);
        for (value, weights) in trace.pooled.iter().zip(dense.chunks_exact(self.outputs)) {
            trace.output.iter_mut().zip(weights).for_each(|(o, w)| *o += value * w);
        }
    }

    /// Adds the derivatives of sum_o delta_o output_o.
    fn backward(&self, image: &[f64], trace: &Trace, delta: &[f64], slope: &mut [f64]) {
        let (filters, dense) = slope.split_at_mut(DENSE);
        let (filters, bias) = filters.split_at_mut(9 * FILTERS);
        let (slopes, out) = dense.split_at_mut(FLAT * self.outputs);
        out.iter_mut().zip(delta).for_each(|(o, d)| *o += d);
        let weights = self.all[DENSE..].chunks_exact(self.outputs);
        for ((at, slopes), weights) in slopes.chunks_exact_mut(self.outputs).enumerate().zip(weights) {
            if trace.from[at] == u16::MAX {
                continue;
            }
            let mut back = 0.0;
            for ((slope, d), w) in slopes.iter_mut().zip(delta).zip(weights) {
                *slope += trace.pooled[at] * d;
                back += w * d;
            }
            let (filter, corner) = (at % FILTERS, trace.from[at] as usize);
            bias[filter] += back;
            for tap in 0..9 {
                filters[tap * FILTERS + filter] += back * image[corner + (tap / 3) * SIDE + tap % 3];
            }
        }
    }
}

impl Cnn {
    /// Trains from `seed` on images (one a row) and returns the mean squared errors on the training and the test rows.
    pub fn errors(
        &self,
        train: (ArrayView2<f64>, ArrayView2<f64>),
        test: (ArrayView2<f64>, ArrayView2<f64>),
        seed: Seed,
    ) -> (f64, f64) {
        let outputs = train.1.ncols();
        let mut net = Weights::random(outputs, seed);
        let mut trace = Trace { pooled: [0.0; FLAT], from: [0; FLAT], output: vec![0.0; outputs] };
        let (mut first, mut second) = (vec![0.0; net.all.len()], vec![0.0; net.all.len()]);
        let mut slope = vec![0.0; net.all.len()];
        let mut rows: Vec<usize> = (0..train.0.nrows()).collect();
        let (mut image, mut delta) = (vec![0.0; SIDE * SIDE], vec![0.0; outputs]);
        let mut steps = 0;
        for epoch in 0..self.epochs {
            seed.stream("order").rng(epoch as u64).shuffle(&mut rows);
            for batch in rows.chunks(self.batch) {
                slope.fill(0.0);
                for &row in batch {
                    image.iter_mut().zip(train.0.row(row)).for_each(|(to, v)| *to = *v);
                    net.forward(&image, &mut trace);
                    let scale = 2.0 / (batch.len() * outputs) as f64;
                    for ((d, o), y) in delta.iter_mut().zip(&trace.output).zip(train.1.row(row)) {
                        *d = scale * (o - y);
                    }
                    net.backward(&image, &trace, &delta, &mut slope);
                }
                steps += 1;
                let correction = (1.0 - 0.9_f64.powi(steps), 1.0 - 0.999_f64.powi(steps));
                for (((w, g), m), v) in net.all.iter_mut().zip(&slope).zip(&mut first).zip(&mut second) {
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.999 * *v + 0.001 * g * g;
                    *w -= self.rate * (*m / correction.0) / ((*v / correction.1).sqrt() + 1e-8);
                }
            }
        }
        let mut error = |(x, y): (ArrayView2<f64>, ArrayView2<f64>)| {
            let mut sum = 0.0;
            for (x, y) in x.outer_iter().zip(y.outer_iter()) {
                image.iter_mut().zip(x).for_each(|(to, v)| *to = *v);
                net.forward(&image, &mut trace);
                sum += trace.output.iter().zip(y).map(|(o, y)| (o - y) * (o - y)).sum::<f64>();
            }
            sum / y.len() as f64
        };
        (error(train), error(test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_differences() {
        let mut rng = Seed(1).rng(0);
        let image: Vec<f64> = (0..SIDE * SIDE).map(|_| rng.normal()).collect();
        let mut net = Weights::random(3, Seed(2));
        let delta = [0.3, -1.0, 0.7];
        let mut trace = Trace { pooled: [0.0; FLAT], from: [0; FLAT], output: vec![0.0; 3] };
        let mut slope = vec![0.0; net.all.len()];
        net.forward(&image, &mut trace);
        net.backward(&image, &trace, &delta, &mut slope);
        for at in (0..net.all.len()).step_by(7) {
            let mut moved = |by: f64| {
                net.all[at] += by;
                net.forward(&image, &mut trace);
                net.all[at] -= by;
                trace.output.iter().zip(&delta).map(|(o, d)| o * d).sum::<f64>()
            };
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((difference - slope[at]).abs() < 1e-7, "{at}: {difference} {}", slope[at]);
        }
    }
}
