//! Laws of uncertain inputs: inverse distribution functions, densities, names and parameters.
//!
//! Everything is driven by a standard normal score: [`Law::at_normal`] maps it to the input through both tails, so that a
//! score of +9 is as exact as one of -9. [`Inputs`] couples laws by a Gaussian copula; couples of normals are then jointly
//! normal with the correlations given.

mod inputs;
#[cfg(test)]
mod tests;

pub use inputs::Inputs;
pub(crate) use inputs::lower_inverse;

use quadrat_core::distributions::{Tails, beta, beta_quantile, ln_beta, normal, normal_quantile};
use quadrat_core::{Error, Result, nearest};
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
        if good {
            return Ok(self);
        }
        let (name, parameters) = self.parameters();
        let told: Vec<String> = parameters.iter().map(|(parameter, value)| format!("{parameter} = {value}")).collect();
        Err(Error::input(format!("law {name}"), told.join(", "), want))
    }

    /// Its name and parameters, as a problem file has them.
    fn parameters(&self) -> (&'static str, Vec<(&'static str, f64)>) {
        match *self {
            Law::Uniform { min, max } => ("uniform", vec![("min", min), ("max", max)]),
            Law::LogUniform { min, max } => ("log-uniform", vec![("min", min), ("max", max)]),
            Law::Normal { mean, sd } => ("normal", vec![("mean", mean), ("sd", sd)]),
            Law::LogNormal { mu, sigma } => ("lognormal", vec![("mu", mu), ("sigma", sigma)]),
            Law::Triangular { min, mode, max } => ("triangular", vec![("min", min), ("mode", mode), ("max", max)]),
            Law::TruncatedNormal { mean, sd, min, max } => {
                ("truncated-normal", vec![("mean", mean), ("sd", sd), ("min", min), ("max", max)])
            }
            Law::Gumbel { location, scale } => ("gumbel", vec![("location", location), ("scale", scale)]),
            Law::Weibull { shape, scale, location } => {
                ("weibull", vec![("shape", shape), ("scale", scale), ("location", location)])
            }
            Law::Beta { a, b, min, max } => ("beta", vec![("a", a), ("b", b), ("min", min), ("max", max)]),
        }
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
