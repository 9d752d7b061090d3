//! Laws of uncertain inputs: inverse distribution functions, densities, names and parameters.
//!
//! Everything is driven by a standard normal score: [`Law::at_normal`] maps it to the input through both tails, so that a
//! score of +9 is as exact as one of -9. [`Inputs`] couples laws by a Gaussian copula; couples of normals are then jointly
//! normal with the correlations given.

use ndarray::{Array2, ArrayView2};
use quadrat_core::distributions::{Tails, beta, beta_quantile, ln_beta, normal, normal_quantile};
use quadrat_core::{Error, Result, nearest};
use quadrat_numeric::linalg::cholesky;
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// The law of one input. All parameters are finite; scales and shapes are above 0, ends in ascending order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    /// Equally likely between two ends.
    Uniform {
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
    /// Its logarithm equally likely between those of two positive ends.
    LogUniform {
        /// Lower end, above 0.
        min: f64,
        /// Upper end.
        max: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
    /// The exponential of a normal.
    LogNormal {
        /// Mean of the logarithm.
        mu: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Triangular.
    Triangular {
        /// Lower end.
        min: f64,
        /// The most likely value.
        mode: f64,
        /// Upper end.
        max: f64,
    },
    /// A normal given that it lies between two ends.
    TruncatedNormal {
        /// Mean before truncation.
        mean: f64,
        /// Standard deviation before truncation.
        sd: f64,
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
    /// Gumbel's law of largest values: P(X <= x) = exp(-exp(-(x - location) / scale)).
    Gumbel {
        /// The most likely value.
        location: f64,
        /// Scale.
        scale: f64,
    },
    /// Weibull: P(X > x) = exp(-((x - location) / scale)^shape).
    Weibull {
        /// Shape.
        shape: f64,
        /// Scale.
        scale: f64,
        /// Lower end.
        location: f64,
    },
    /// Beta, stretched to an interval.
    Beta {
        /// First shape: the density rises as (x - min)^(a - 1).
        a: f64,
        /// Second shape.
        b: f64,
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
}

/// Names of the laws with their parameters; a value in brackets is the default.
const NAMED: [(&str, &str); 9] = [
    ("uniform", "min max"),
    ("log-uniform", "min max, both above 0"),
    ("normal", "mean sd"),
    ("lognormal", "mu sigma, or mean sd of the input itself"),
    ("triangular", "min mode max"),
    ("truncated-normal", "mean sd min max"),
    ("gumbel", "location scale"),
    ("weibull", "shape scale [location = 0]"),
    ("beta", "a b [min = 0] [max = 1]"),
];

impl Law {
    /// A lognormal law from the mean and the standard deviation of the variable itself.
    pub fn lognormal_of_mean(mean: f64, sd: f64) -> Result<Law> {
        if !(mean > 0.0 && sd > 0.0 && mean.is_finite() && sd.is_finite()) {
            let got = format!("mean = {mean}, sd = {sd}");
            return Err(Error::input("law lognormal", got, "mean and sd must be positive"));
        }
        let variance = (sd / mean).powi(2).ln_1p();
        Law::LogNormal { mu: mean.ln() - 0.5 * variance, sigma: variance.sqrt() }.checked()
    }

    /// The law called `name` with these parameters, as a problem file gives them. Case, dashes and underscores do not
    /// matter.
    ///
    /// # Errors
    /// An unknown name or parameter, a missing parameter, values that make no law.
    pub fn from_parameters(name: &str, parameters: &BTreeMap<String, f64>) -> Result<Law> {
        let name = name.to_lowercase().replace('_', "-");
        let plain = |name: &str| name.replace('-', "");
        let Some((name, takes)) = NAMED.iter().find(|(known, _)| plain(known) == plain(&name)) else {
            let want = format!("did you mean {}?", nearest(&name, NAMED.iter().map(|(n, _)| *n)).join(" or "));
            return Err(Error::input("law", format!("`{name}`"), want));
        };
        let wrong = |got: String| Error::input(format!("law {name}"), got, format!("it takes {takes}"));
        let mut left = parameters.clone();
        let mut take = |parameter: &str, default: Option<f64>| {
            left.remove(parameter).or(default).ok_or_else(|| wrong(format!("no {parameter}")))
        };
        let law = match *name {
            "uniform" => Law::Uniform { min: take("min", None)?, max: take("max", None)? },
            "log-uniform" => Law::LogUniform { min: take("min", None)?, max: take("max", None)? },
            "normal" => Law::Normal { mean: take("mean", None)?, sd: take("sd", None)? },
            "lognormal" if parameters.contains_key("mean") => {
                Law::lognormal_of_mean(take("mean", None)?, take("sd", None)?)?
            }
            "lognormal" => Law::LogNormal { mu: take("mu", None)?, sigma: take("sigma", None)? },
            "triangular" => {
                Law::Triangular { min: take("min", None)?, mode: take("mode", None)?, max: take("max", None)? }
            }
            "truncated-normal" => Law::TruncatedNormal {
                mean: take("mean", None)?,
                sd: take("sd", None)?,
                min: take("min", None)?,
                max: take("max", None)?,
            },
            "gumbel" => Law::Gumbel { location: take("location", None)?, scale: take("scale", None)? },
            "weibull" => Law::Weibull {
                shape: take("shape", None)?,
                scale: take("scale", None)?,
                location: take("location", Some(0.0))?,
            },
            _ => Law::Beta {
                a: take("a", None)?,
                b: take("b", None)?,
                min: take("min", Some(0.0))?,
                max: take("max", Some(1.0))?,
            },
        };
        match left.keys().next() {
            Some(unknown) => Err(wrong(format!("`{unknown}`"))),
            None => law.checked(),
        }
    }

    /// This law, if its parameters make one.
    ///
    /// # Errors
    /// Values that are not finite, a scale or shape of 0 or less, ends that are not in ascending order.
    pub fn checked(self) -> Result<Law> {
        let ordered = |min: f64, max: f64| min < max && (max - min).is_finite();
        let good = match self {
            Law::Uniform { min, max } => ordered(min, max),
            Law::LogUniform { min, max } => min > 0.0 && ordered(min, max),
            Law::Normal { mean, sd } => mean.is_finite() && sd > 0.0 && sd.is_finite(),
            Law::LogNormal { mu, sigma } => mu.is_finite() && sigma > 0.0 && sigma.is_finite(),
            Law::Triangular { min, mode, max } => ordered(min, max) && min <= mode && mode <= max,
            Law::TruncatedNormal { mean, sd, min, max } => {
                mean.is_finite() && sd > 0.0 && sd.is_finite() && ordered(min, max)
                    // An interval so far out that the normal puts nothing there in double precision.
                    && (min - mean) / sd < 37.0 && (max - mean) / sd > -37.0
            }
            Law::Gumbel { location, scale } => location.is_finite() && scale > 0.0 && scale.is_finite(),
            Law::Weibull { shape, scale, location } => {
                [shape, scale].iter().all(|v| *v > 0.0 && v.is_finite()) && location.is_finite()
            }
            Law::Beta { a, b, min, max } => [a, b].iter().all(|v| *v > 0.0 && v.is_finite()) && ordered(min, max),
        };
        let want = "numbers must be finite, scales and shapes positive, ends in ascending order and not far outside \
                    the bulk of the law";
        if good { Ok(self) } else { Err(Error::input("law", format!("{self:?}"), want)) }
    }

    /// The value whose distribution function is that of the standard normal at `z`.
    pub fn at_normal(&self, z: f64) -> f64 {
        match *self {
            Law::Normal { mean, sd } => mean + sd * z,
            Law::LogNormal { mu, sigma } => (mu + sigma * z).exp(),
            _ => self.quantile(normal(z)),
        }
    }

    /// The `u`-quantile, for 0 < u < 1.
    pub fn at_uniform(&self, u: f64) -> f64 {
        match *self {
            Law::Normal { .. } | Law::LogNormal { .. } => self.at_normal(normal_quantile(Tails::below(u))),
            _ => self.quantile(Tails::below(u)),
        }
    }

    /// The value with these tails, of which the smaller is the exact one.
    fn quantile(&self, tails: Tails) -> f64 {
        let Tails { below: p, above: q } = tails;
        match *self {
            Law::Normal { .. } | Law::LogNormal { .. } => self.at_normal(normal_quantile(tails)),
            Law::Uniform { min, max } => {
                if p < q {
                    min + (max - min) * p
                } else {
                    max - (max - min) * q
                }
            }
            // From the nearer end, so that both ends are met exactly.
            Law::LogUniform { min, max } => {
                let ln = max.ln() - min.ln();
                if p < q { min * (ln * p).exp() } else { max * (-ln * q).exp() }
            }
            Law::Triangular { min, mode, max } => {
                let width = max - min;
                if p * width < mode - min {
                    min + (p * width * (mode - min)).sqrt()
                } else {
                    max - (q * width * (max - mode)).sqrt()
                }
            }
            Law::TruncatedNormal { mean, sd, min, max } => {
                // Of the two mirror images the one whose interval begins left of the mean, where no digits cancel.
                let (low, high) = ((min - mean) / sd, (max - mean) / sd);
                let z = if low > 0.0 { -truncated(-high, -low, q, p) } else { truncated(low, high, p, q) };
                (mean + sd * z).clamp(min, max)
            }
            Law::Gumbel { location, scale } => location - scale * minus_ln(p, q).ln(),
            Law::Weibull { shape, scale, location } => location + scale * minus_ln(q, p).powf(1.0 / shape),
            Law::Beta { a, b, min, max } => {
                let (from_min, from_max) = beta_quantile(tails, a, b);
                if from_min <= from_max { min + (max - min) * from_min } else { max - (max - min) * from_max }
            }
        }
    }

    /// The logarithm of the density at `x`; minus infinity outside the support.
    pub fn ln_pdf(&self, x: f64) -> f64 {
        let inside = |min: f64, max: f64, ln: f64| if (min..=max).contains(&x) { ln } else { f64::NEG_INFINITY };
        match *self {
            Law::Uniform { min, max } => inside(min, max, -(max - min).ln()),
            Law::LogUniform { min, max } => inside(min, max, -x.ln() - (max.ln() - min.ln()).ln()),
            Law::Normal { mean, sd } => ln_normal((x - mean) / sd) - sd.ln(),
            Law::LogNormal { mu, sigma } if x > 0.0 => ln_normal((x.ln() - mu) / sigma) - sigma.ln() - x.ln(),
            Law::LogNormal { .. } => f64::NEG_INFINITY,
            Law::Triangular { min, mode, max } => {
                let height = 2.0 / (max - min);
                let share = if x < mode { (x - min) / (mode - min) } else { (max - x) / (max - mode) };
                // At a mode on an end the share is 0 / 0: the density there is the full height.
                inside(min, max, (height * if share.is_nan() { 1.0 } else { share }).ln())
            }
            Law::TruncatedNormal { mean, sd, min, max } => {
                let (low, high) = ((min - mean) / sd, (max - mean) / sd);
                let mass = if low > 0.0 { below(-low) - below(-high) } else { below(high) - below(low) };
                inside(min, max, ln_normal((x - mean) / sd) - sd.ln() - mass.ln())
            }
            Law::Gumbel { location, scale } => {
                let y = (x - location) / scale;
                -y - (-y).exp() - scale.ln()
            }
            Law::Weibull { shape, scale, location } => {
                let y = (x - location) / scale;
                let power = if shape == 1.0 { 0.0 } else { (shape - 1.0) * y.ln() };
                inside(location, f64::INFINITY, (shape / scale).ln() + power - y.powf(shape))
            }
            Law::Beta { a, b, min, max } => {
                let y = (x - min) / (max - min);
                let side = |shape: f64, y: f64| if shape == 1.0 { 0.0 } else { (shape - 1.0) * y.ln() };
                inside(min, max, side(a, y) + side(b, 1.0 - y) - ln_beta(a, b) - (max - min).ln())
            }
        }
    }
}

fn ln_normal(z: f64) -> f64 {
    -0.5 * z * z - 0.5 * (2.0 * PI).ln()
}

/// P(Z <= z) of the standard normal.
fn below(z: f64) -> f64 {
    normal(z).below
}

/// The score with share `p` of the standard normal's mass between `low` <= 0 and `high` below it, `q` above it.
fn truncated(low: f64, high: f64, p: f64, q: f64) -> f64 {
    let mass = below(high) - below(low);
    normal_quantile(Tails { below: below(low) + p * mass, above: below(-high) + q * mass })
}

/// -ln p, from q = 1 - p where that is the smaller.
fn minus_ln(p: f64, q: f64) -> f64 {
    if p < q { -p.ln() } else { -(-q).ln_1p() }
}

/// Inputs of a model: their laws, and a Gaussian copula where they depend on each other.
#[derive(Debug, Clone)]
pub struct Inputs {
    laws: Vec<Law>,
    copula: Option<Copula>,
}

#[derive(Debug, Clone)]
struct Copula {
    /// L with L L^T the correlations of the scores.
    factor: Array2<f64>,
    /// L^-1 and the logarithm of its determinant.
    inverse: Array2<f64>,
    ln_det: f64,
}

impl Inputs {
    /// Independent inputs.
    ///
    /// # Errors
    /// No input, or parameters that make no law.
    pub fn independent(laws: Vec<Law>) -> Result<Inputs> {
        if laws.is_empty() {
            return Err(Error::input("inputs", 0, "give at least one law"));
        }
        laws.iter().try_for_each(|law| law.checked().map(drop))?;
        Ok(Inputs { laws, copula: None })
    }

    /// Inputs whose standard normal scores have these correlations.
    ///
    /// # Errors
    /// As [`Inputs::independent`]; a matrix of another size, that is not symmetric with ones on its diagonal, or that is
    /// not positive definite.
    pub fn correlated(laws: Vec<Law>, correlations: ArrayView2<f64>) -> Result<Inputs> {
        let mut inputs = Inputs::independent(laws)?;
        let d = inputs.dim();
        let sound = correlations.dim() == (d, d)
            && (0..d)
                .all(|i| correlations[[i, i]] == 1.0 && (0..i).all(|k| correlations[[i, k]] == correlations[[k, i]]));
        if !sound {
            let got = format!("{:?}", correlations.dim());
            let want = format!("give a symmetric {d} x {d} matrix with ones on its diagonal");
            return Err(Error::input("correlations", got, want));
        }
        let factor = cholesky(correlations)?;
        let inverse = lower_inverse(&factor);
        let ln_det = inverse.diag().iter().map(|v| v.ln()).sum();
        inputs.copula = Some(Copula { factor, inverse, ln_det });
        Ok(inputs)
    }

    /// How many.
    pub fn dim(&self) -> usize {
        self.laws.len()
    }

    /// Their laws.
    pub fn laws(&self) -> &[Law] {
        &self.laws
    }

    /// Couples independent standard normal scores, in place.
    pub(crate) fn couple(&self, scores: &mut [f64]) {
        if let Some(copula) = &self.copula {
            // From the last row up: each reads only scores that are still independent.
            for i in (0..scores.len()).rev() {
                scores[i] = (0..=i).map(|k| copula.factor[[i, k]] * scores[k]).sum();
            }
        }
    }

    /// Turns independent standard normal scores into inputs, in place.
    pub fn at_normal(&self, scores: &mut [f64]) {
        self.couple(scores);
        scores.iter_mut().zip(&self.laws).for_each(|(z, law)| *z = law.at_normal(*z));
    }

    /// The logarithm of the joint density at `x`; minus infinity outside the support.
    pub fn ln_pdf(&self, x: &[f64]) -> f64 {
        let marginal: f64 = x.iter().zip(&self.laws).map(|(x, law)| law.ln_pdf(*x)).sum();
        let Some(copula) = self.copula.as_ref().filter(|_| marginal > f64::NEG_INFINITY) else { return marginal };
        let z: Vec<f64> = x.iter().zip(&self.laws).map(|(x, law)| law.score(*x)).collect();
        let squares = copula.inverse.rows().into_iter().enumerate().map(|(i, row)| {
            let independent: f64 = row.iter().zip(&z[..=i]).map(|(l, z)| l * z).sum();
            independent * independent - z[i] * z[i]
        });
        marginal + copula.ln_det - 0.5 * squares.sum::<f64>()
    }
}

impl Law {
    /// The standard normal score of `x`, the inverse of [`Law::at_normal`].
    fn score(&self, x: f64) -> f64 {
        let (p, q) = match *self {
            Law::Normal { mean, sd } => return (x - mean) / sd,
            Law::LogNormal { mu, sigma } => return (x.ln() - mu) / sigma,
            Law::Uniform { min, max } => ((x - min) / (max - min), (max - x) / (max - min)),
            Law::LogUniform { min, max } => {
                let ln = max.ln() - min.ln();
                ((x.ln() - min.ln()) / ln, (max.ln() - x.ln()) / ln)
            }
            Law::Triangular { min, mode, max } => {
                let width = max - min;
                if x < mode {
                    let p = (x - min).powi(2) / (width * (mode - min));
                    (p, 1.0 - p)
                } else {
                    let q = if max > mode { (max - x).powi(2) / (width * (max - mode)) } else { 0.0 };
                    (1.0 - q, q)
                }
            }
            Law::TruncatedNormal { mean, sd, min, max } => {
                let score = |x: f64| (x - mean) / sd;
                let between = |a: f64, b: f64| if a > 0.0 { below(-a) - below(-b) } else { below(b) - below(a) };
                let mass = between(score(min), score(max));
                (between(score(min), score(x)) / mass, between(score(x), score(max)) / mass)
            }
            Law::Gumbel { location, scale } => {
                let e = (-(x - location) / scale).exp();
                ((-e).exp(), -(-e).exp_m1())
            }
            Law::Weibull { shape, scale, location } => {
                let e = ((x - location) / scale).powf(shape);
                (-(-e).exp_m1(), (-e).exp())
            }
            Law::Beta { a, b, min, max } => {
                let y = (x - min) / (max - min);
                let tails = beta(y, a, b);
                (tails.below, tails.above)
            }
        };
        normal_quantile(Tails { below: p, above: q })
    }
}

/// The inverse of a lower triangular matrix with a diagonal that is not zero.
pub(crate) fn lower_inverse(l: &Array2<f64>) -> Array2<f64> {
    let d = l.nrows();
    let mut inverse = Array2::<f64>::zeros((d, d));
    for column in 0..d {
        inverse[[column, column]] = 1.0 / l[[column, column]];
        for i in column + 1..d {
            let dot: f64 = (column..i).map(|k| l[[i, k]] * inverse[[k, column]]).sum();
            inverse[[i, column]] = -dot / l[[i, i]];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;
    use quadrat_core::Seed;

    const TRUNCATED: Law = Law::TruncatedNormal { mean: 0.0, sd: 2.0, min: 1.0, max: 9.0 };

    /// scipy 1.17: ppf at 1e-12, 0.01, 0.3, 0.5, 0.9, 1 - 1e-9, and logpdf at the middle four.
    #[rustfmt::skip]
    fn golden() -> Vec<(Law, [f64; 6], [f64; 4])> {
        vec![
            (Law::Uniform { min: -2.0, max: 3.0 },
             [-1.999999999995, -1.95, -0.5, 0.5, 2.5, 2.9999999950000005],
             [-1.6094379124341003, -1.6094379124341003, -1.6094379124341003, -1.6094379124341003]),
            (Law::LogUniform { min: 0.001, max: 50.0 },
             [0.0010000000000108197, 0.0011142681067091427, 0.02568567607415555, 0.22360679774997896, 16.94622638669916, 49.99999945901111],
             [4.418181714204113, 1.2804460117251313, -0.8835096451569254, -5.211420958921039]),
            (Law::Triangular { min: -2.0, mode: 1.0, max: 3.0 },
             [-1.9999961270166537, -1.6127016653792583, 0.12132034355964239, 0.7386127875258302, 2.0, 2.999900000001414],
             [-2.9634630129852053, -1.2628643221541278, -1.0074515102711323, -1.6094379124341005]),
            (TRUNCATED,
             [1.000000000001753, 1.017565834628137, 1.5717026528747453, 2.036576728644684, 3.7366953764606965, 8.999961395679414],
             [-0.565592968398504, -0.7449440935548858, -0.954618536380332, -2.1815244819810404]),
            (Law::TruncatedNormal { mean: 1.0, sd: 2.0, min: -2.0, max: 1.5 },
             [-1.9999999999917861, -1.9202742950707226, -0.5016636386326052, 0.13537286318220854, 1.2286827790903816, 1.4999999972488074],
             [-2.0467845351880998, -1.2626585008306637, -1.0742318010969654, -0.9873212670633116]),
            (Law::Gumbel { location: 3.0, scale: 0.5 },
             [1.340530452482022, 2.2364101870960496, 2.907186620568817, 3.183256460290832, 4.125183663656223, 13.361632932364172],
             [-2.3848433796202437, -0.32519886490362515, -0.3665129205816645, -1.6625806624103272]),
            (Law::Weibull { shape: 1.7, scale: 2.5, location: 1.0 },
             [1.0000002183315406, 1.167013705424299, 2.3632357002452653, 3.015152542964802, 5.083269651329535, 15.870555232832686],
             [-2.289891910044078, -1.1668381913454855, -1.2297267463173212, -2.3448224492921668]),
            (Law::Beta { a: 2.0, b: 5.0, min: -1.0, max: 4.0 },
             [-0.9999987090051068, -0.8661840442862248, -0.0909826434052542, 0.32224991647830015, 1.5515815327574587, 3.944518695680162],
             [-1.9374797162782633, -0.715680398528231, -0.7668906257121091, -1.7369475469292344]),
            (Law::Beta { a: 0.4, b: 0.7, min: 0.0, max: 1.0 },
             [1.612550253313633e-30, 1.6125446812016062e-05, 0.07813500674855711, 0.26755992832498654, 0.8951770297004266, 0.9999999999995939],
             [5.51365452401617, 0.44657969844183865, -0.22295835506854744, -0.36433253180268343]),
            (Law::Normal { mean: 3.0, sd: 2.0 },
             [-11.068967650602263, -1.6526957480816815, 1.9511989745839182, 3.0, 5.563103131089201, 14.995614039203273],
             [-4.318032929291787, -1.749583662628846, -1.612085713764618, -2.433272921339526]),
            (Law::LogNormal { mu: 1.2, sigma: 0.5 },
             [0.09854500686731685, 1.0375125433023187, 2.5543549950041067, 3.3201169227365472, 6.301424902175618, 66.613250206051],
             [-2.9685646311514766, -1.3010890451549348, -1.4257913526447272, -2.8877543429919355]),
        ]
    }

    #[test]
    fn quantiles_and_densities_are_those_of_scipy() {
        let p = [1e-12, 0.01, 0.3, 0.5, 0.9, 1.0 - 1e-9];
        for (law, quantiles, densities) in golden() {
            for (p, expected) in p.iter().zip(quantiles) {
                let got = law.at_uniform(*p);
                let tolerance = if *p > 0.999 { 1e-6 } else { 1e-9 };
                assert!(
                    (got - expected).abs() < tolerance * expected.abs().max(1e-30),
                    "{law:?} {p}: {got} {expected}"
                );
            }
            for (x, expected) in quantiles[1..5].iter().zip(densities) {
                assert!((law.ln_pdf(*x) - expected).abs() < 1e-8, "{law:?} {x}: {} {expected}", law.ln_pdf(*x));
            }
        }
    }

    proptest! {
        #[test]
        fn scores_and_values_are_inverse(z in -6.0_f64..6.0) {
            for (law, ..) in golden() {
                let x = law.at_normal(z);
                prop_assert!(law.ln_pdf(x) > f64::NEG_INFINITY, "{law:?} {z} {x}");
                // Where the value has digits left to tell one score from the next.
                if law.at_normal(z + 1e-4) > x * (1.0 + 1e-9 * x.signum()) {
                    prop_assert!((law.score(x) - z).abs() < 1e-4, "{law:?} {z} {x} {}", law.score(x));
                }
                prop_assert!(law.at_normal(z + 0.1) >= x);
            }
        }
    }

    #[test]
    fn tails_are_exact_on_both_sides() {
        let gumbel = Law::Gumbel { location: 0.0, scale: 1.0 };
        // -ln of the upper tail of a normal at 9: 1.1285884059538e-19.
        assert!((gumbel.at_normal(9.0) - 43.628).abs() < 0.001, "{}", gumbel.at_normal(9.0));
        let far = Law::TruncatedNormal { mean: 0.0, sd: 1.0, min: 8.0, max: 9.0 };
        assert!((far.at_normal(0.0) - 8.0843).abs() < 1e-3 && (far.score(far.at_normal(0.5)) - 0.5).abs() < 1e-6);
        for z in [-40.0, 40.0] {
            assert!(golden().iter().all(|(law, ..)| !law.at_normal(z).is_nan()), "{z}");
        }
    }

    /// Large shapes, as a problem file may have them; scipy 1.17's `beta.ppf` and `logpdf`.
    #[test]
    fn beta_laws_of_thousands_of_observations() {
        for (a, b, quantiles, density) in [
            (3500.0, 3500.0, [0.458033611510214, 0.5, 0.5076585597444677], 4.2010056470884045),
            (5000.0, 4000.0, [0.5185602515012218, 0.5555596709634307, 0.5622653329600376], 4.332883138107315),
        ] {
            let parameters = [("a", a), ("b", b)].map(|(name, value)| (name.to_owned(), value));
            let law = Law::from_parameters("beta", &parameters.into_iter().collect()).unwrap();
            for (p, expected) in [1e-12, 0.5, 0.9].into_iter().zip(quantiles) {
                let got = law.at_uniform(p);
                assert!((got / expected - 1.0).abs() < 1e-12, "{a} {b} {p}: {got} {expected}");
                let z = normal_quantile(Tails::below(p));
                assert!((law.at_normal(z) / expected - 1.0).abs() < 1e-12 && (law.score(got) - z).abs() < 1e-9);
            }
            let got: f64 = law.ln_pdf(quantiles[1]);
            assert!((got - density).abs() < 1e-9, "{a} {b}: {got}");
        }
    }

    #[test]
    fn densities_vanish_outside_and_are_defined_at_the_ends() {
        for (law, outside) in [
            (Law::Uniform { min: 0.0, max: 1.0 }, [-0.1, 1.1]),
            (Law::LogNormal { mu: 0.0, sigma: 1.0 }, [-1.0, 0.0]),
            (Law::Weibull { shape: 2.0, scale: 1.0, location: 1.0 }, [0.9, -5.0]),
            (Law::Beta { a: 2.0, b: 2.0, min: 0.0, max: 1.0 }, [-0.1, 1.1]),
            (TRUNCATED, [0.9, 9.1]),
        ] {
            assert!(outside.iter().all(|x| law.ln_pdf(*x) == f64::NEG_INFINITY), "{law:?}");
        }
        let ends = Law::Triangular { min: 0.0, mode: 0.0, max: 1.0 };
        assert!((ends.ln_pdf(0.0) - 2.0_f64.ln()).abs() < 1e-12 && ends.at_uniform(0.75) == 0.5);
        let flat = Law::Beta { a: 1.0, b: 1.0, min: 0.0, max: 2.0 };
        assert!((flat.ln_pdf(0.0) + 2.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn names_and_parameters_are_checked() {
        let law = |name: &str, parameters: &[(&str, f64)]| {
            Law::from_parameters(name, &parameters.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect())
        };
        assert_eq!(
            law("Truncated_Normal", &[("mean", 0.0), ("sd", 2.0), ("min", 1.0), ("max", 9.0)]).unwrap(),
            TRUNCATED
        );
        let Law::LogNormal { mu, sigma } = law("lognormal", &[("mean", 200.0), ("sd", 12.0)]).unwrap() else {
            panic!()
        };
        assert!(((mu + 0.5 * sigma * sigma).exp() - 200.0).abs() < 1e-9);
        assert!(((sigma * sigma).exp_m1().sqrt() * 200.0 - 12.0).abs() < 1e-9);
        for (name, parameters, part) in [
            ("unifrom", &[("min", 0.0)][..], "`uniform`"),
            ("uniform", &[("min", 0.0)], "no max"),
            ("uniform", &[("min", 0.0), ("max", 1.0), ("mode", 0.5)], "`mode`"),
            ("uniform", &[("min", 1.0), ("max", 0.0)], "ascending"),
            ("uniform", &[("min", f64::NEG_INFINITY), ("max", 0.0)], "finite"),
            ("normal", &[("mean", f64::NAN), ("sd", 1.0)], "finite"),
            ("normal", &[("mean", 0.0), ("sd", 0.0)], "positive"),
            ("lognormal", &[("mean", -1.0), ("sd", 1.0)], "positive"),
            ("triangular", &[("min", 0.0), ("mode", 2.0), ("max", 1.0)], "ascending"),
            ("truncated-normal", &[("mean", 0.0), ("sd", 1.0), ("min", 50.0), ("max", 60.0)], "far outside"),
            ("weibull", &[("shape", 0.0), ("scale", 1.0)], "positive"),
            ("beta", &[("a", 1.0), ("b", -1.0)], "positive"),
            ("log-uniform", &[("min", 0.0), ("max", 1.0)], "positive"),
            ("LogUniform", &[("min", 2.0), ("max", 1.0)], "ascending"),
        ] {
            let error = law(name, parameters).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn a_copula_couples_scores() {
        let laws = vec![
            Law::Normal { mean: 1.0, sd: 2.0 },
            Law::Uniform { min: 0.0, max: 1.0 },
            Law::Gumbel { location: 1.0, scale: 0.5 },
        ];
        let correlations = array![[1.0, -0.3, 0.2], [-0.3, 1.0, 0.4], [0.2, 0.4, 1.0]];
        let inputs = Inputs::correlated(laws.clone(), correlations.view()).unwrap();
        // scipy: the sum of the marginals' logpdf and multivariate_normal's at the scores, less the normals' own.
        assert!(
            (inputs.ln_pdf(&[1.5, 0.3, 2.0]) + 3.397215931289634_f64).abs() < 1e-9,
            "{}",
            inputs.ln_pdf(&[1.5, 0.3, 2.0])
        );
        assert_eq!(inputs.ln_pdf(&[1.5, 1.3, 2.0]), f64::NEG_INFINITY);
        // 20,000 draws: each correlation of scores within five standard errors (1 / sqrt n), one false alarm in a million.
        let mut products = [0.0; 3];
        for i in 0..20_000 {
            let mut rng = Seed(9).rng(i);
            let mut x = [rng.normal(), rng.normal(), rng.normal()];
            inputs.at_normal(&mut x);
            let z: Vec<f64> = x.iter().zip(&laws).map(|(x, law)| law.score(*x)).collect();
            for (sum, (a, b)) in products.iter_mut().zip([(0, 1), (0, 2), (1, 2)]) {
                *sum += z[a] * z[b] / 20_000.0;
            }
        }
        for (got, expected) in products.iter().zip([-0.3, 0.2, 0.4]) {
            assert!((got - expected).abs() < 5.0 * 1.1 / 20_000_f64.sqrt(), "{products:?}");
        }
        for bad in [
            array![[1.0]],
            array![[1.0, 0.5], [0.4, 1.0]],
            array![[1.0, 2.0], [2.0, 1.0]],
            array![[2.0, 0.0], [0.0, 1.0]],
        ] {
            assert!(Inputs::correlated(laws[..2].to_vec(), bad.view()).is_err(), "{bad}");
        }
        assert!(Inputs::independent(Vec::new()).is_err());
    }
}
