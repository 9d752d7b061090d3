//! Instance C of the paper: a representation from pairs of rows that share their latent.

use ndarray::{Array2, ArrayView2, Axis, Zip};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::layers::{Activation, Adam, Layers, Real, Start};

/// The encoder f of greatest likelihood of t in P(t = 1 | x, x') = sigmoid(f(x) . f(x')), where t tells whether x and x'
/// share their latent and both cases are equally likely.
///
/// Positive pairs are given ([`fit_pairs`](Self::fit_pairs)) or made from single rows by [`Pairs::corrupted`]; a row is
/// paired with `negatives` other rows of its batch for t = 0. That makes t = 1 rarer by their number, so its logarithm is
/// taken off the logit. Where latents are few (clusters), some of those "negatives" share theirs: the encoder then
/// learns a weaker contrast.
///
/// Cost: steps x batch x (2 + negatives) x weights of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrastive {
    /// Outputs of the encoder, at least 1.
    pub dim: usize,
    /// Units of a hidden layer (tanh); none for a linear encoder, the default.
    pub hidden: Option<usize>,
    /// Negative pairs for each positive one, at least 1. Default 1.
    pub negatives: usize,
    /// Steps of Adam, at least 1. Default 2,000.
    pub steps: usize,
    /// Pairs a step, at least 2. Default 256.
    pub batch: usize,
    /// Adam's step size, above 0. Default 1e-3.
    pub rate: f64,
    /// Share of columns that each view of a single row loses, in 0..1. Default 0.3.
    pub corruption: f64,
}

/// Rows that share their latent, one pair a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// One row of each pair.
    pub left: Array2<f64>,
    /// The other.
    pub right: Array2<f64>,
}

impl Pairs {
    /// Two views of each row: in each, every column is taken from another random row with probability `share` (Bahri et
    /// al., "SCARF", ICLR 2022, do so in one of both views). What is left in common is what columns say of each other.
    pub fn corrupted(x: ArrayView2<f64>, share: f64, seed: Seed) -> Pairs {
        let view = |name: &str| {
            let stream = seed.stream(name);
            let mut out = x.to_owned();
            for (i, mut row) in out.outer_iter_mut().enumerate() {
                let mut rng = stream.rng(i as u64);
                for (j, value) in row.iter_mut().enumerate() {
                    if rng.uniform() < share {
                        *value = x[[rng.below(x.nrows()), j]];
                    }
                }
            }
            out
        };
        Pairs { left: view("left views"), right: view("right views") }
    }
}

/// What [`Contrastive`] learnt: f.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    layers: Layers<f32>,
}

impl Contrastive {
    /// A linear encoder with `dim` outputs; the rest by default.
    pub fn new(dim: usize) -> Self {
        Contrastive { dim, hidden: None, negatives: 1, steps: 2000, batch: 256, rate: 1e-3, corruption: 0.3 }
    }

    /// Learns from two corrupted views of each row.
    ///
    /// # Errors
    /// As [`fit_pairs`](Self::fit_pairs); a corruption outside 0..1.
    pub fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Encoder> {
        if !(0.0..1.0).contains(&self.corruption) {
            return Err(Error::input("corruption", self.corruption, "use a share from 0 to below 1"));
        }
        self.fit_pairs(&Pairs::corrupted(x, self.corruption, seed), seed, progress)
    }

    /// Learns from pairs that share their latent.
    ///
    /// # Errors
    /// Views of different shapes, fewer than 2 pairs, no columns, values that are not finite, parameters out of range, a
    /// loss that diverges; the user's cancelling.
    pub fn fit_pairs(&self, pairs: &Pairs, seed: Seed, progress: &dyn Progress) -> Result<Encoder> {
        self.check(pairs)?;
        let [left, right] = [&pairs.left, &pairs.right].map(|view| view.mapv(|v| v as f32));
        let (n, d) = left.dim();
        let sizes: Vec<usize> = [d].into_iter().chain(self.hidden).chain([self.dim]).collect();
        let mut rng = seed.stream("contrastive").rng(0);
        let mut net = Layers::random(&sizes, Activation::Tanh, Start::Uniform, &mut rng);
        let (mut adam, mut slope) = (Adam::new(&net), net.zeros());
        let batch = self.batch.min(n);
        let negatives = self.negatives.min(batch - 1);
        progress.begin("contrastive", Some(self.steps as u64));
        for _ in 0..self.steps {
            checkpoint(progress)?;
            let rows = rng.sample(n, batch);
            let shifts: Vec<usize> = rng.sample(batch - 1, negatives).into_iter().map(|s| s + 1).collect();
            let (left, right) = (left.select(Axis(0), &rows), right.select(Axis(0), &rows));
            let loss = loss(&net, left, right, &shifts, &mut slope);
            if !loss.is_finite() {
                let why = "the loss is no longer finite: standardise the columns, or take a smaller rate";
                return Err(Error::numeric("contrastive", why));
            }
            adam.step(&mut net, &mut slope, self.rate);
            progress.advance(1);
        }
        Ok(Encoder { layers: net })
    }

    fn check(&self, pairs: &Pairs) -> Result<()> {
        for (what, value, least) in [
            ("dim", self.dim, 1),
            ("hidden", self.hidden.unwrap_or(1), 1),
            ("negatives", self.negatives, 1),
            ("steps", self.steps, 1),
            ("batch", self.batch, 2),
            ("pairs", pairs.left.nrows(), 2),
            ("columns", pairs.left.ncols(), 1),
        ] {
            if value < least {
                return Err(Error::input(what, value, format!("it must be at least {least}")));
            }
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(Error::input("rate", self.rate, "it must be finite and above 0"));
        }
        if pairs.left.dim() != pairs.right.dim() {
            let got = format!("{:?} and {:?}", pairs.left.dim(), pairs.right.dim());
            return Err(Error::input("pairs", got, "both views must have the same rows and columns"));
        }
        for view in [&pairs.left, &pairs.right] {
            if let Some(((row, column), value)) = view.indexed_iter().find(|(_, v)| v.is_nan() || v.abs() >= 1e30) {
                let place = format!("row {row}, column {column}");
                return Err(Error::input(place, value, "values must be finite and below 1e30"));
            }
        }
        Ok(())
    }
}

impl Encoder {
    /// f of each row: rows x dim.
    ///
    /// # Errors
    /// Rows of another width than those fitted.
    pub fn encode(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let columns = self.layers.layers.first().map_or(0, |(weights, _)| weights.nrows());
        if x.ncols() != columns {
            let want = format!("the encoder was fitted to {columns} columns");
            return Err(Error::input("rows", format!("{} columns", x.ncols()), want));
        }
        Ok(self.layers.outputs(x.mapv(|v| v as f32).view()).mapv(f64::from))
    }
}

/// Mean logistic loss over the pairs (i, i) with t = 1 and (i, i + shift) with t = 0; its derivatives are added to
/// `slope`.
fn loss<F: Real>(net: &Layers<F>, left: Array2<F>, right: Array2<F>, shifts: &[usize], slope: &mut Layers<F>) -> f64 {
    let ((left, f), (right, g)) = (net.forward_apart(left), net.forward_apart(right));
    let pairs = (f.nrows() * (1 + shifts.len())) as f64;
    let odds = (shifts.len() as f64).ln();
    let (mut to_f, mut to_g) = (Array2::zeros(f.raw_dim()), Array2::zeros(g.raw_dim()));
    let mut total = 0.0;
    let mut add = |shift: usize, together: bool| {
        for i in 0..f.nrows() {
            let j = (i + shift) % f.nrows();
            let logit = f.row(i).dot(&g.row(j)).to_f64().unwrap_or(f64::NAN) - odds;
            // ln(1 + e^-v), and its derivative, for v = logit of what is the case.
            let v = if together { logit } else { -logit };
            total += (-v.abs()).exp().ln_1p() + (-v).max(0.0);
            let pull = 1.0 / (1.0 + v.exp()) / pairs;
            let pull = F::from_f64(if together { -pull } else { pull });
            Zip::from(to_f.row_mut(i)).and(g.row(j)).for_each(|to: &mut F, g| *to += pull * *g);
            Zip::from(to_g.row_mut(j)).and(f.row(i)).for_each(|to: &mut F, f| *to += pull * *f);
        }
    };
    add(0, true);
    shifts.iter().for_each(|shift| add(*shift, false));
    net.backward(&left, to_f, slope);
    net.backward(&right, to_g, slope);
    total / pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;
    use quadrat_core::Silent;

    #[test]
    fn derivatives_agree_with_differences() {
        let mut rng = Seed(1).rng(0);
        let [left, right] = [(); 2].map(|()| Array2::from_shape_simple_fn((7, 3), || rng.normal()));
        let net = Layers::<f64>::random(&[3, 4, 2], Activation::Tanh, Start::Uniform, &mut rng);
        for shifts in [vec![1], vec![2, 5, 3]] {
            let mut slope = net.zeros();
            loss(&net, left.clone(), right.clone(), &shifts, &mut slope);
            for at in 0..2 {
                for place in ndarray::indices(net.layers[at].0.dim()) {
                    let moved = |by: f64| {
                        let mut other = net.clone();
                        other.layers[at].0[place] += by;
                        loss(&other, left.clone(), right.clone(), &shifts, &mut net.zeros())
                    };
                    let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    assert!((difference - slope.layers[at].0[place]).abs() < 1e-8, "{at} {place:?}");
                }
            }
        }
    }

    /// Rotations of the outputs are the group that leaves the likelihood alone.
    #[test]
    fn the_loss_does_not_see_rotations() {
        let mut rng = Seed(2).rng(0);
        let [left, right] = [(); 2].map(|()| Array2::from_shape_simple_fn((9, 3), || rng.normal()));
        let net = Layers::<f64>::random(&[3, 2], Activation::Tanh, Start::Uniform, &mut rng);
        let (c, s) = (0.7_f64.cos(), 0.7_f64.sin());
        let turn = ndarray::array![[c, -s], [s, c]];
        let mut turned = net.clone();
        turned.layers[0] = (net.layers[0].0.dot(&turn), net.layers[0].1.dot(&turn));
        let of = |net: &Layers<f64>| loss(net, left.clone(), right.clone(), &[1], &mut net.zeros());
        assert!((of(&net) - of(&turned)).abs() < 1e-12);
    }

    /// The odds correction: with q negatives a pair, the best constant logit is still that of equal odds, 0. A network
    /// whose outputs are 0 is therefore stationary in its logit only when ln q is taken off.
    #[test]
    fn the_number_of_negatives_is_taken_off_the_logit() {
        let ones = Array2::<f64>::ones((8, 1));
        let constant = |logit: f64, shifts: &[usize]| {
            let mut net = Layers::<f64>::random(&[1, 1], Activation::Tanh, Start::Uniform, &mut Seed(0).rng(0));
            net.layers[0] = (ndarray::array![[logit.abs().sqrt()]], ndarray::array![0.0]);
            loss(&net, ones.clone(), &ones * logit.signum(), shifts, &mut net.zeros())
        };
        for shifts in [vec![1], vec![1, 2, 3], vec![1, 2, 3, 4, 5, 6, 7]] {
            let best = constant(1e-12, &shifts);
            assert!(constant(0.1, &shifts) > best && constant(-0.1, &shifts) > best, "{shifts:?}");
        }
    }

    #[test]
    fn views_share_what_columns_say_of_each_other() {
        // Three equal columns beside three of noise: the encoder must follow the former.
        let mut rng = Seed(3).rng(0);
        let x = Array2::from_shape_simple_fn((600, 6), || rng.normal());
        let mut x = x;
        for mut row in x.outer_iter_mut() {
            (row[1], row[2]) = (row[0], row[0]);
        }
        for hidden in [None, Some(16)] {
            let method = Contrastive { hidden, steps: 600, rate: 5e-3, ..Contrastive::new(1) };
            let z = method.fit(x.view(), Seed(4), &Silent).unwrap().encode(x.view()).unwrap();
            let correlation = |j: usize| {
                let (a, b) = (z.column(0), x.column(j));
                let (a, b) = (&a - a.mean().unwrap(), &b - b.mean().unwrap());
                (a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt()).abs()
            };
            assert!(correlation(0) > 0.9 && (3..6).all(|j| correlation(j) < 0.3), "{hidden:?} {}", correlation(0));
        }
    }

    #[test]
    fn bad_input_is_an_error() {
        let x = Array2::from_shape_fn((10, 2), |(i, j)| (i * (j + 1)) as f64);
        let quick = Contrastive { steps: 3, ..Contrastive::new(1) };
        assert!(quick.fit(x.view(), Seed(0), &Silent).is_ok());
        for method in [
            Contrastive { dim: 0, ..quick },
            Contrastive { hidden: Some(0), ..quick },
            Contrastive { negatives: 0, ..quick },
            Contrastive { steps: 0, ..quick },
            Contrastive { batch: 1, ..quick },
            Contrastive { rate: f64::NAN, ..quick },
            Contrastive { corruption: 1.0, ..quick },
        ] {
            assert!(method.fit(x.view(), Seed(0), &Silent).is_err(), "{method:?}");
        }
        for x in [&x * f64::NAN, x.slice(s![..1, ..]).to_owned(), x.slice(s![.., ..0]).to_owned(), &x * 1e40] {
            assert!(quick.fit(x.view(), Seed(0), &Silent).is_err());
        }
        let encoder = quick.fit(x.view(), Seed(0), &Silent).unwrap();
        assert!(encoder.encode(x.slice(s![.., ..1])).is_err());
        let uneven = Pairs { left: x.clone(), right: x.slice(s![..4, ..]).to_owned() };
        assert!(quick.fit_pairs(&uneven, Seed(0), &Silent).is_err());
    }
}
