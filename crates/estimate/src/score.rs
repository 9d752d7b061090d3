//! Models of a density by its score, the gradient of its logarithm.
//!
//! A score needs no normalising constant, and differences of log-density are its integrals along a path:
//! ln p(y) - ln p(x) = int_0^1 s(x + u (y - x)) . (y - x) du. That is all a sampler asks of a density, so
//! [`Chains`](crate::chains::Chains) draws from anything that is a [`ScoreModel`]: a network that learnt its score, a
//! kernel density estimate, a formula.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use quadrat_core::{Error, Result, Rng};
use quadrat_numeric::check_finite;
use quadrat_numeric::special::gauss_legendre;

/// A density known by the gradient of its logarithm.
pub trait ScoreModel: Sync {
    /// Columns of a point.
    fn dims(&self) -> usize;

    /// The gradient of the log-density at each row of `x`, which has [`dims`](Self::dims) columns. One row's answer does
    /// not depend on the others.
    fn score(&self, x: ArrayView2<f64>) -> Array2<f64>;

    /// The change of the score along `direction` (a row for each row of `x`): the Jacobian times the direction. By default
    /// a central difference, good to about six digits.
    fn derivative(&self, x: ArrayView2<f64>, direction: ArrayView2<f64>) -> Array2<f64> {
        let scale = self.scale();
        let length = |row: ArrayView1<f64>| row.iter().zip(&scale).map(|(v, s)| (v / s).powi(2)).sum::<f64>().sqrt();
        let steps = direction.map_axis(Axis(1), |row| 1e-5 / length(row).max(1e-300)).insert_axis(Axis(1));
        let moved = &direction * &steps;
        (self.score((&x + &moved).view()) - self.score((&x - &moved).view())) / (2.0 * steps)
    }

    /// The natural unit of each column; proposals are made in these, and the two lengths below are counted in them.
    fn scale(&self) -> Array1<f64> {
        Array1::ones(self.dims())
    }

    /// Standard deviation of the noise that the density is smoothed with, in units of [`scale`](Self::scale); 0 for none.
    fn noise(&self) -> f64 {
        0.0
    }

    /// The longest path that a quadrature takes in one piece, in units of [`scale`](Self::scale); longer ones are cut.
    fn reach(&self) -> f64 {
        f64::INFINITY
    }

    /// The derivatives of the score at `x`: the Hessian of the log-density, as far as the score is a gradient.
    fn jacobian(&self, x: ArrayView1<f64>) -> Array2<f64> {
        let d = self.dims();
        let rows = Array2::from_shape_fn((d, d), |(_, column)| x[column]);
        self.derivative(rows.view(), Array2::eye(d).view()).reversed_axes()
    }

    /// How far the score at `x` is from being a gradient: |J - J'| / |J| in Frobenius norms, 0 for a symmetric Jacobian.
    fn asymmetry(&self, x: ArrayView1<f64>) -> f64 {
        let jacobian = self.jacobian(x);
        let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (difference, size) = (norm(&(&jacobian - &jacobian.t())), norm(&jacobian));
        if size == 0.0 { 0.0 } else { difference / size }
    }

    /// ln p(y) - ln p(x) for each pair of rows, along the straight path. A learnt score need not be a gradient: then the
    /// answer depends on the path, which [`loop_integral`](Self::loop_integral) measures.
    ///
    /// # Errors
    /// Shapes that differ from one another or from the model's; a quadrature without nodes.
    fn log_ratio(&self, x: ArrayView2<f64>, y: ArrayView2<f64>, quadrature: Quadrature) -> Result<Vec<f64>> {
        check_columns(self.dims(), x)?;
        if y.dim() != x.dim() {
            return Err(Error::input("ends of paths", format!("{:?}", y.dim()), format!("starts are {:?}", x.dim())));
        }
        Ok(quadrature.rule()?.integrate(self, x, y))
    }

    /// ln-density gained on the way round each triangle a -> b -> c -> a: 0 for a gradient.
    ///
    /// # Errors
    /// As [`log_ratio`](Self::log_ratio).
    fn loop_integral(&self, [a, b, c]: [ArrayView2<f64>; 3], quadrature: Quadrature) -> Result<Vec<f64>> {
        let sides = [(a, b), (b, c), (c, a)].map(|(from, to)| self.log_ratio(from, to, quadrature));
        let [first, second, third] = sides;
        let (first, second, third) = (first?, second?, third?);
        Ok(first.iter().zip(&second).zip(&third).map(|((a, b), c)| a + b + c).collect())
    }
}

/// That rows have the model's columns and are finite.
pub(crate) fn check_columns(dims: usize, x: ArrayView2<f64>) -> Result<()> {
    if x.ncols() != dims {
        return Err(Error::input("columns of the points", x.ncols(), format!("the model has {dims}")));
    }
    check_finite("points", x)
}

/// How a path integral becomes a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quadrature {
    /// The score half way.
    One,
    /// Value and Jacobian at the start: the log-density's second-order Taylor polynomial.
    Taylor2,
    /// The trapezoidal rule with this many intervals.
    Trapezoid(usize),
    /// Gauss and Legendre's rule with this many nodes.
    Gauss(usize),
}

impl Default for Quadrature {
    /// Five nodes, exact for scores that are polynomials of degree 9 along the path.
    fn default() -> Self {
        Quadrature::Gauss(5)
    }
}

/// Most nodes of a quadrature.
const MOST_NODES: usize = 1000;

impl Quadrature {
    /// Places on [0, 1] and weights.
    pub(crate) fn rule(self) -> Result<Rule> {
        let nodes = match self {
            Quadrature::One => vec![(0.5, 1.0)],
            Quadrature::Taylor2 => vec![(0.0, 1.0)],
            Quadrature::Trapezoid(k @ 1..=MOST_NODES) => {
                let weight = |i| if i == 0 || i == k { 0.5 } else { 1.0 } / k as f64;
                (0..=k).map(|i| (i as f64 / k as f64, weight(i))).collect()
            }
            Quadrature::Gauss(k @ 1..=MOST_NODES) => gauss_legendre(k),
            Quadrature::Trapezoid(k) | Quadrature::Gauss(k) => {
                return Err(Error::input("quadrature", format!("{k} nodes"), format!("use 1 to {MOST_NODES}")));
            }
        };
        Ok(Rule { nodes, second_order: self == Quadrature::Taylor2 })
    }
}

impl std::str::FromStr for Quadrature {
    type Err = Error;

    /// `one`, `taylor2`, `trapezoid:K` or `gauss:K`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::input("quadrature", format!("`{text}`"), "use one, taylor2, trapezoid:K or gauss:K");
        let quadrature = match text.split_once(':') {
            None if text == "one" => Quadrature::One,
            None if text == "taylor2" => Quadrature::Taylor2,
            Some(("trapezoid", k)) => Quadrature::Trapezoid(k.parse().map_err(|_| wrong())?),
            Some(("gauss", k)) => Quadrature::Gauss(k.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        };
        quadrature.rule()?;
        Ok(quadrature)
    }
}

/// A quadrature's nodes.
pub(crate) struct Rule {
    nodes: Vec<(f64, f64)>,
    second_order: bool,
}

impl Rule {
    /// The integral of the score from each row of `x` to the same row of `y`: one call of the model for all nodes of all
    /// pieces of all paths.
    pub(crate) fn integrate<M: ScoreModel + ?Sized>(
        &self,
        model: &M,
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
    ) -> Vec<f64> {
        let (scale, reach, d) = (model.scale(), model.reach(), x.ncols());
        let paths = &y - &x;
        let pieces: Vec<usize> = paths
            .rows()
            .into_iter()
            .map(|path| {
                let length = path.iter().zip(&scale).map(|(p, s)| (p / s).powi(2)).sum::<f64>().sqrt();
                (length / reach).ceil().clamp(1.0, MOST_PIECES) as usize
            })
            .collect();
        let total = pieces.iter().sum::<usize>() * self.nodes.len();
        let (mut places, mut directions) = (Vec::with_capacity(total * d), Vec::with_capacity(total * d));
        let mut weights = Vec::with_capacity(total);
        for ((start, path), &count) in x.rows().into_iter().zip(paths.rows()).zip(&pieces) {
            for (piece, (u, weight)) in (0..count).flat_map(|piece| self.nodes.iter().map(move |node| (piece, node))) {
                let at = (piece as f64 + u) / count as f64;
                places.extend(start.iter().zip(&path).map(|(x, p)| x + at * p));
                directions.extend(path.iter().map(|p| p / count as f64));
                weights.push(*weight);
            }
        }
        let shape = |values: Vec<f64>| Array2::from_shape_fn((total, d), |(i, j)| values[i * d + j]);
        let (places, directions) = (shape(places), shape(directions));
        let mut scores = model.score(places.view());
        if self.second_order {
            scores.scaled_add(0.5, &model.derivative(places.view(), directions.view()));
        }
        let mut terms = scores
            .rows()
            .into_iter()
            .zip(directions.rows())
            .zip(&weights)
            .map(|((score, direction), weight)| weight * score.dot(&direction));
        pieces.iter().map(|count| terms.by_ref().take(count * self.nodes.len()).sum()).collect()
    }
}

/// A path is cut into at most this many pieces: so far out, no number of nodes makes the answer meaningful.
const MOST_PIECES: f64 = 200.0;

/// An equal-width Gaussian mixture, whose score is a formula: a reference for learnt scores and for samplers, and with the
/// data as its centres the kernel density estimate.
///
/// O(centres * columns) a row.
///
/// ```
/// use ndarray::array;
/// use quadrat_estimate::score::{IsotropicMixture, Quadrature, ScoreModel};
/// let two = IsotropicMixture::equal(array![[-2.0], [2.0]], 1.0)?;
/// let (x, y) = (array![[-2.0]], array![[0.0]]);
/// let along = two.log_ratio(x.view(), y.view(), Quadrature::Gauss(20))?[0];
/// assert!((along - (two.log_density(y.view())[0] - two.log_density(x.view())[0])).abs() < 1e-8);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IsotropicMixture {
    centres: Array2<f64>,
    log_weights: Vec<f64>,
    deviation: f64,
}

impl IsotropicMixture {
    /// A normal of the given standard deviation in every direction around each row of `centres`, with the weights given,
    /// which need not sum to 1.
    ///
    /// # Errors
    /// No centre, other than one weight a centre, values that are not finite, weights or a deviation not above 0.
    pub fn new(centres: Array2<f64>, weights: &[f64], deviation: f64) -> Result<Self> {
        if centres.is_empty() || weights.len() != centres.nrows() {
            let got = format!("{} weights for centres of shape {:?}", weights.len(), centres.dim());
            return Err(Error::input("mixture", got, "give at least one centre and as many weights"));
        }
        check_columns(centres.ncols(), centres.view())?;
        let positive = |v: &f64| *v > 0.0 && v.is_finite();
        if let Some(wrong) = weights.iter().chain([&deviation]).find(|v| !positive(v)) {
            return Err(Error::input("weights and deviation of a mixture", wrong, "they must be finite and above 0"));
        }
        let total: f64 = weights.iter().sum();
        let log_weights = weights.iter().map(|w| (w / total).ln()).collect();
        Ok(IsotropicMixture { centres, log_weights, deviation })
    }

    /// The same weight for each centre.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn equal(centres: Array2<f64>, deviation: f64) -> Result<Self> {
        let weights = vec![1.0; centres.nrows()];
        Self::new(centres, &weights, deviation)
    }

    /// The density of a draw with normal noise of standard deviation `noise` added.
    pub fn smoothed(&self, noise: f64) -> Self {
        IsotropicMixture { deviation: self.deviation.hypot(noise), ..self.clone() }
    }

    /// The log-density of each row.
    pub fn log_density(&self, x: ArrayView2<f64>) -> Vec<f64> {
        let constant = -(x.ncols() as f64) * (self.deviation * (2.0 * std::f64::consts::PI).sqrt()).ln();
        x.rows().into_iter().map(|row| constant + self.shares(row).1).collect()
    }

    /// `n` independent draws.
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Array2<f64> {
        let weights: Vec<f64> = self.log_weights.iter().map(|w| w.exp()).collect();
        let mut rows = Array2::zeros((n, self.centres.ncols()));
        for mut row in rows.rows_mut() {
            let centre = self.centres.row(rng.weighted(&weights));
            row.iter_mut().zip(centre).for_each(|(v, c)| *v = c + self.deviation * rng.normal());
        }
        rows
    }

    /// How much of the density at `row` each centre gives, and the density's logarithm but for the normal's constant.
    fn shares(&self, row: ArrayView1<f64>) -> (Vec<f64>, f64) {
        let precision = self.deviation.powi(-2);
        let mut shares: Vec<f64> = self
            .centres
            .rows()
            .into_iter()
            .zip(&self.log_weights)
            .map(|(centre, log_weight)| {
                let squared: f64 = centre.iter().zip(&row).map(|(c, v)| (c - v) * (c - v)).sum();
                log_weight - 0.5 * precision * squared
            })
            .collect();
        let largest = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        shares.iter_mut().for_each(|s| *s = (*s - largest).exp());
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|s| *s /= sum);
        (shares, largest + sum.ln())
    }
}

impl ScoreModel for IsotropicMixture {
    fn dims(&self) -> usize {
        self.centres.ncols()
    }

    fn score(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let precision = self.deviation.powi(-2);
        let mut scores = Array2::zeros(x.raw_dim());
        for (mut score, row) in scores.rows_mut().into_iter().zip(x.rows()) {
            for (centre, share) in self.centres.rows().into_iter().zip(self.shares(row).0) {
                score.scaled_add(share, &centre);
            }
            score -= &row;
            score *= precision;
        }
        scores
    }
}

/// Hyvärinen's (2005) score matching objective on the rows of `x`: mean of |s|^2 / 2 + div s, lowest for the score of the
/// rows' own law and known without that law. `noise` scales and smoothed models compete on equal terms with it, as long
/// as the rows were not trained on. Lengths are counted in the model's [`scale`](ScoreModel::scale).
///
/// d derivatives a row.
///
/// # Errors
/// No row, other columns than the model's, values that are not finite.
pub fn score_matching_loss(model: &dyn ScoreModel, x: ArrayView2<f64>) -> Result<f64> {
    check_columns(model.dims(), x)?;
    if x.nrows() == 0 {
        return Err(Error::input("rows", 0, "score matching needs at least one"));
    }
    let scale = model.scale();
    let score = model.score(x) * &scale;
    let mut sum = 0.5 * score.iter().map(|s| s * s).sum::<f64>();
    for (column, unit) in scale.iter().enumerate() {
        let mut direction = Array2::zeros(x.raw_dim());
        direction.column_mut(column).fill(*unit);
        sum += unit * model.derivative(x, direction.view()).column(column).sum();
    }
    Ok(sum / x.nrows() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat_core::Seed;

    /// s(x) = A x + b.
    struct Linear(Array2<f64>, Array1<f64>);

    impl ScoreModel for Linear {
        fn dims(&self) -> usize {
            self.1.len()
        }

        fn score(&self, x: ArrayView2<f64>) -> Array2<f64> {
            x.dot(&self.0.t()) + &self.1
        }
    }

    fn pairs(n: usize, d: usize, seed: u64) -> [Array2<f64>; 2] {
        let mut rng = Seed(seed).rng(0);
        [0, 1].map(|_| Array2::from_shape_simple_fn((n, d), || rng.normal()))
    }

    #[test]
    fn every_rule_is_exact_for_linear_scores() {
        let model = Linear(array![[-2.0, 0.5], [0.5, -1.0]], array![0.3, -0.1]);
        let [x, y] = pairs(20, 2, 1);
        let log_density = |x: ArrayView1<f64>| 0.5 * x.dot(&model.0.dot(&x)) + model.1.dot(&x);
        for quadrature in [
            Quadrature::One,
            Quadrature::Taylor2,
            Quadrature::Trapezoid(1),
            Quadrature::Trapezoid(7),
            Quadrature::Gauss(3),
        ] {
            // A central difference of a linear function is good to rounding over its step.
            let tolerance = if quadrature == Quadrature::Taylor2 { 1e-9 } else { 1e-13 };
            let found = model.log_ratio(x.view(), y.view(), quadrature).unwrap();
            for (i, found) in found.iter().enumerate() {
                let exact = log_density(y.row(i)) - log_density(x.row(i));
                assert!((found - exact).abs() < tolerance, "{quadrature:?} {found} {exact}");
            }
        }
        let jacobian = model.jacobian(array![0.1, 0.2].view());
        assert!((&jacobian - &model.0).iter().all(|e| e.abs() < 1e-9), "{jacobian}");
    }

    #[test]
    fn errors_of_the_rules_have_their_order() {
        let mixture = IsotropicMixture::new(array![[-1.0, 0.0], [1.0, 0.5]], &[1.0, 2.0], 0.7).unwrap();
        let [x, y] = pairs(40, 2, 2);
        let (from, to) = (mixture.log_density(x.view()), mixture.log_density(y.view()));
        let error = |quadrature| -> f64 {
            let found = mixture.log_ratio(x.view(), y.view(), quadrature).unwrap();
            let errors = found.iter().zip(from.iter().zip(&to)).map(|(f, (from, to))| (f - (to - from)).powi(2));
            errors.sum::<f64>().sqrt()
        };
        let fall = error(Quadrature::Trapezoid(40)) / error(Quadrature::Trapezoid(80));
        assert!((fall - 4.0).abs() < 0.05, "the trapezoidal rule's error falls by 4 when intervals double: {fall}");
        assert!(error(Quadrature::Gauss(20)) < 1e-6 && error(Quadrature::Gauss(5)) < 0.1 * error(Quadrature::Gauss(2)));
    }

    #[test]
    fn paths_are_cut_where_the_model_asks() {
        struct Cut(IsotropicMixture);
        impl ScoreModel for Cut {
            fn dims(&self) -> usize {
                2
            }
            fn score(&self, x: ArrayView2<f64>) -> Array2<f64> {
                self.0.score(x)
            }
            fn reach(&self) -> f64 {
                0.25
            }
        }
        let mixture = IsotropicMixture::equal(array![[-1.0, 0.0], [1.0, 0.5]], 0.2).unwrap();
        let [x, y] = pairs(10, 2, 3);
        let exact = mixture
            .log_density(y.view())
            .iter()
            .zip(mixture.log_density(x.view()))
            .map(|(y, x)| y - x)
            .collect::<Vec<_>>();
        let worst = |found: Vec<f64>| found.iter().zip(&exact).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max);
        let whole = worst(mixture.log_ratio(x.view(), y.view(), Quadrature::Gauss(5)).unwrap());
        let cut = worst(Cut(mixture).log_ratio(x.view(), y.view(), Quadrature::Gauss(5)).unwrap());
        assert!(cut < 0.1 && whole > 100.0 * cut, "{cut} {whole}");
    }

    #[test]
    fn fields_that_are_no_gradients_are_found_out() {
        let rotation = Linear(array![[0.0, -1.0], [1.0, 0.0]], array![0.0, 0.0]);
        let triangle = [array![[0.0, 0.0]], array![[1.0, 0.0]], array![[0.0, 1.0]]];
        let views = [triangle[0].view(), triangle[1].view(), triangle[2].view()];
        // Twice the area, by Green's theorem.
        assert!((rotation.loop_integral(views, Quadrature::One).unwrap()[0] - 1.0).abs() < 1e-12);
        assert!((rotation.asymmetry(array![0.3, 0.4].view()) - 2.0).abs() < 1e-6);
        let mixture = IsotropicMixture::equal(array![[-1.0, 0.0], [1.0, 0.5]], 0.7).unwrap();
        assert!(mixture.loop_integral(views, Quadrature::Gauss(20)).unwrap()[0].abs() < 1e-9);
        assert!(mixture.asymmetry(array![0.3, 0.4].view()) < 1e-6);
    }

    #[test]
    fn score_matching_prefers_the_truth() {
        let truth = IsotropicMixture::equal(array![[-1.0, 0.0], [1.0, 0.5]], 0.5).unwrap();
        let x = truth.sample(4000, &mut Seed(4).rng(0));
        let loss = |model: &IsotropicMixture| score_matching_loss(model, x.view()).unwrap();
        let best = loss(&truth);
        for noise in [0.3, 0.6] {
            assert!(loss(&truth.smoothed(noise)) > best, "{noise}");
        }
        // For a normal law it is -d / (2 sigma^2) in expectation.
        let normal = IsotropicMixture::equal(array![[0.0, 0.0]], 2.0).unwrap();
        let rows = normal.sample(20_000, &mut Seed(5).rng(0));
        let loss = score_matching_loss(&normal, rows.view()).unwrap();
        // |x|^2 / (2 sigma^4) - d / sigma^2, of standard deviation 1 / (4 sqrt n): five of them.
        assert!((loss + 0.25).abs() < 5.0 * 0.25 / 20_000_f64.sqrt(), "{loss}");
    }

    #[test]
    fn bad_arguments_are_errors() {
        let mixture = IsotropicMixture::equal(array![[0.0, 0.0]], 1.0).unwrap();
        let [x, y] = pairs(3, 2, 6);
        for quadrature in [Quadrature::Trapezoid(0), Quadrature::Gauss(0), Quadrature::Gauss(usize::MAX)] {
            assert!(mixture.log_ratio(x.view(), y.view(), quadrature).is_err());
        }
        assert!(mixture.log_ratio(x.view(), y.slice(ndarray::s![..2, ..]), Quadrature::One).is_err());
        assert!(mixture.log_ratio(x.slice(ndarray::s![.., ..1]), y.view(), Quadrature::One).is_err());
        assert!(mixture.log_ratio((&x * f64::NAN).view(), y.view(), Quadrature::One).is_err());
        assert!(score_matching_loss(&mixture, x.slice(ndarray::s![..0, ..])).is_err());
        for (weights, deviation) in [(vec![1.0, 1.0], 1.0), (vec![0.0], 1.0), (vec![1.0], 0.0), (vec![f64::NAN], 1.0)] {
            assert!(IsotropicMixture::new(array![[0.0]], &weights, deviation).is_err());
        }
        for (text, expected) in [
            ("one", Some(Quadrature::One)),
            ("taylor2", Some(Quadrature::Taylor2)),
            ("trapezoid:4", Some(Quadrature::Trapezoid(4))),
            ("gauss:9", Some(Quadrature::Gauss(9))),
            ("gauss:0", None),
            ("gauss", None),
            ("simpson:3", None),
        ] {
            assert_eq!(text.parse::<Quadrature>().ok(), expected, "{text}");
        }
    }
}
