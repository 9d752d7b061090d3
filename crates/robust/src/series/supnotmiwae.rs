//! supnotMIWAE with ObsDropout: a classifier of series with holes that learns together with a model of what the holes hold.
//!
//! Kim, Kim, Yun, Lee, Lee and Lee, "Probabilistic Imputation for Time-series Classification with Missing Data", ICML 2023 (arXiv
//! 2308.06738). Filling a hole once hides that it was not known. Here K latent paths zₖ ~ q(z | x_obs) are decoded, each makes up
//! the values in the holes, and one classifier says of each completion x'ₖ which class it is. Encoder, decoder, classifier and the
//! chance of being observed, p(s | x), are trained together by the bound of K samples,
//!
//! > −ln 1/K Σₖ p(y | x'ₖ) p(s' | x'ₖ) p(x_obs | zₖ) p(mₖ) p(zₖ) / q(zₖ | x_obs),  averaged over J completions of each zₖ,
//!
//! where mₖ hides some observed entries from the classifier alone (ObsDropout, `obs_dropout`), s' = s and m, and x_obs are
//! all observed entries, dropped or not. What a hole gets is γ x_last + (1 − γ) x̃ with a draw x̃ of the decoder, the last kept
//! value, and γ = exp(−max(0, w Δt + b)), which falls with the time since. Prediction: p(y | x_obs) = Σₖ wₖ p(y | x'ₖ) with
//! wₖ ∝ p(x_obs | zₖ) p(zₖ) / q(zₖ | x_obs), averaged over completions.
//!
//! The network's scores are this bound for each class that y could be, so that softmax of them is that prediction, and
//! cross-entropy on rows held back judges it.
//!
//! Of the authors' program we keep p(s | x) out of the weights of a prediction (`mnar_weights` takes it in) and p(m) in the bound.
//! Otherwise than there: completions are averaged as probabilities, not as logarithms; classes have one categorical likelihood, not
//! a Bernoulli each; padding counts neither in p(z) nor in q(z). Chosen here: small convolutions as networks, kernel and code of
//! time count steps, one class a series.

use super::bound::{bound, log_sum_exp};
use super::given::{Chance, Given, plain};
use super::layers::{HALF_LOG_TAU, Normals, Temporal, linear};
use super::obs_dropout::Kept;
use super::prior::Prior;
use super::scale::Shape;
use quadrat_core::{Area, Card, Choice, Error, Method, Result, Seed, Settings};
use quadrat_nn::{Activation, Forward, Init, Role, Spec, Tensor, ops};
use serde::{Deserialize, Serialize};

/// supnotMIWAE with ObsDropout.
#[derive(Debug, Clone, PartialEq, Settings, Serialize, Deserialize)]
pub struct SupNotMiwae {
    /// Share β of the observed entries that are hidden from the classifier in training.
    #[param(default = 0.3, from = 0, below = 1)]
    pub beta: f32,
    /// Latent paths K of a series in training.
    #[param(default = 10, from = 1)]
    pub k: usize,
    /// Completions J of each path in training.
    #[param(default = 1, from = 1)]
    pub j: usize,
    /// Latent paths K of a prediction.
    #[param(default = 20, from = 1)]
    pub test_k: usize,
    /// Completions J of each path of a prediction.
    #[param(default = 30, from = 1)]
    pub test_j: usize,
    /// Latent dimensions Z.
    #[param(default = 10, from = 1)]
    pub latent: usize,
    /// Width of the networks.
    #[param(default = 32, from = 1)]
    pub width: usize,
    /// Layers of the networks; n of them see 2ⁿ − 1 steps before and after.
    #[param(default = 4, from = 1, to = 12)]
    pub layers: usize,
    /// The law p(z) of latent paths.
    #[param(default = Prior::Normal)]
    pub prior: Prior,
    /// What a hole gets.
    #[param(default = Complete::Decay)]
    pub complete: Complete,
    /// Weight of p(s | x) in the bound; 0 takes it that values are missing at random.
    #[param(default = 1.0, from = 0)]
    pub missing_weight: f32,
    /// Weigh the draws of a prediction by p(s | x) too.
    #[param(default = false)]
    pub mnar_weights: bool,
}

/// What a hole gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
pub enum Complete {
    /// Between the last value and a draw, by the time since.
    Decay,
    /// A draw.
    Plain,
}

impl Method for SupNotMiwae {
    const CARD: Card = Card {
        slug: "supnotmiwae",
        aliases: &["sup-not-miwae", "obs-dropout"],
        title: "supnotMIWAE with ObsDropout",
        paper: "Kim, Kim, Yun, Lee, Lee and Lee, ICML 2023, arXiv 2308.06738",
        area: Area::Robust,
        verbs: &["train", "impute"],
        summary: "Classifies series with holes by filling them many times from a model that learns together with the classifier, and \
                  averages what that says.",
        useful_when: "time series with missing values, irregular measurements, sensors or monitors that fail; class probabilities that \
                      know what was not measured; multiple imputation of series with its spread",
        cost: "a step about 2 K to 4 K times that of the same classifier on filled series; memory batch x K x times x width x 40 numbers; \
               a prediction K (1 + J) passes",
        params: Self::PARAMS,
    };
}

/// Least deviations of q(z | x) and of p(x | z).
const LEAST: [f32; 2] = [1e-4, 1e-3];

/// Latent paths, what the decoder makes of them, and l_x + l_z − l_q of each: rows are series x K.
pub(super) struct Latent {
    pub decoded: Normals,
    pub log_weight: Tensor<1>,
}

impl SupNotMiwae {
    fn networks(&self, shape: &Shape) -> [Temporal; 3] {
        let &SupNotMiwae { latent, width, layers, .. } = self;
        let net = |name, inputs, outputs| Temporal { name, inputs, width, layers, outputs };
        let d = shape.channels;
        [net("encoder", d, 2 * latent), net("decoder", latent, 2 * d), net("classifier", d, shape.classes)]
    }

    pub(super) fn parameters(&self, shape: &Shape) -> Vec<Spec> {
        let d = shape.channels;
        let mut specs: Vec<Spec> = self.networks(shape).into_iter().flat_map(Temporal::specs).collect();
        specs.extend(Spec::linear("missing.1", d, self.width, 1.0));
        specs.extend(Spec::linear("missing.2", self.width, d, 1.0));
        specs.push(Spec::new("decay.weight", &[d], Role::Other, Init::Constant(0.0)));
        specs.push(Spec::new("decay.bias", &[d], Role::Other, Init::Constant(0.05)));
        specs
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.beta) {
            return Err(Error::input("beta", self.beta, "0 to below 1"));
        }
        if [self.k, self.j, self.test_k, self.test_j, self.latent, self.width].contains(&0) {
            return Err(Error::input("supnotmiwae", "a 0 among k, j, latent and width", "at least 1 each"));
        }
        Ok(())
    }

    /// The bound for each class, series x classes, up to a constant: its softmax is the prediction.
    pub(super) fn scores(
        &self,
        forward: &mut Forward,
        given: &Given,
        shape: &Shape,
        [k, j]: [usize; 2],
        seed: Seed,
    ) -> Result<Tensor<2>> {
        let [n, ..] = given.size;
        let training = forward.is_training();
        let mut chance = given.chance(forward, seed);
        let latent = self.latent(forward, given, shape, k, &mut chance)?;
        let [.., classifier] = self.networks(shape);
        let mut completions = Vec::with_capacity(j);
        for _ in 0..j {
            let kept = Kept::drawn(given, k, if training { self.beta } else { 0.0 }, &mut chance);
            let x = self.completed(forward, given, k, &latent, &kept, &mut chance)?;
            let class = classifier.whole(forward, given, k, x.clone())?;
            let log_y = class.clone() - log_sum_exp(class, 1);
            let mut rest = latent.log_weight.clone();
            if training {
                rest = rest + given.tensor(&kept.log_p, [n * k, 1, 1])?.reshape([n * k]);
            }
            if self.missing_weight > 0.0 && (training || self.mnar_weights) {
                rest = rest + self.log_observed(forward, given, k, x, &kept)? * self.missing_weight;
            }
            completions.push((log_y + rest.unsqueeze_dim::<2>(1)).reshape([n, k, shape.classes]));
        }
        // In training the mean over completions of their bounds, at test one bound over all of them.
        let bounds = |joint: Tensor<3>| -> Tensor<2> {
            let k = joint.dims()[1];
            bound(joint.swap_dims(1, 2).reshape([n * shape.classes, k])).reshape([n, shape.classes])
        };
        if !training {
            return Ok(bounds(Tensor::cat(completions, 1)));
        }
        let each: Vec<Tensor<2>> = completions.into_iter().map(bounds).collect();
        Ok(Tensor::stack::<3>(each, 0).mean_dim(0).squeeze_dim::<2>(0))
    }

    /// Steps 1 and 4 of the algorithm: z ~ q(z | x_obs), the decoder, and the weights.
    pub(super) fn latent(
        &self,
        forward: &mut Forward,
        given: &Given,
        shape: &Shape,
        k: usize,
        chance: &mut Chance,
    ) -> Result<Latent> {
        let [n, t, _] = given.size;
        let [encoder, decoder, _] = self.networks(shape);
        let [x, _] = given.observed(1)?;
        let q = Normals::of(encoder.path(forward, given, 1, x)?, LEAST[0]).repeated(k);
        let noise = chance.normals(n, k * t * self.latent);
        let noise = given.tensor(&noise, [n * k, t, self.latent])?;
        let z = q.draw(noise.clone());
        // ln q(z) from the noise itself, which loses no digits where q is narrow.
        let log_q = (noise.square() * 0.5 + q.deviation.log() + HALF_LOG_TAU).neg() * given.valid(k)?;
        let log_q = log_q.sum_dims_squeeze::<1, usize>(&[1, 2]);
        let log_z = self.prior.log_density(given, k, z.clone())?;
        let decoded = Normals::of(decoder.path(forward, given, k, z)?, LEAST[1]);
        let [x, s] = given.observed(k)?;
        let log_x = decoded.log_density(x, s);
        Ok(Latent { decoded, log_weight: log_x + log_z - log_q })
    }

    /// Step 3: x' = x where kept, else between the last kept value and a draw of the decoder.
    fn completed(
        &self,
        forward: &mut Forward,
        given: &Given,
        k: usize,
        latent: &Latent,
        kept: &Kept,
        chance: &mut Chance,
    ) -> Result<Tensor<3>> {
        let [n, t, d] = given.size;
        let size = [n * k, t, d];
        let draw = latent.decoded.draw(given.tensor(&chance.normals(n, k * t * d), size)?);
        let [x, _] = given.observed(k)?;
        let keep = given.tensor(&kept.mask, size)?;
        let hole = keep.clone().neg() + 1.0;
        let made = match self.complete {
            Complete::Plain => draw,
            Complete::Decay => {
                let since = given.tensor(&kept.since, size)?;
                let gamma = decay(forward, "decay", since)?;
                let last = given.tensor(&kept.last, size)?;
                gamma.clone() * last + (gamma.neg() + 1.0) * draw
            }
        };
        Ok(keep * x + hole * made)
    }

    /// ln p(s' | x'): a small network says for each time and channel how likely it is observed; tanh keeps its logits in (−1, 1).
    fn log_observed(
        &self,
        forward: &mut Forward,
        given: &Given,
        k: usize,
        x: Tensor<3>,
        kept: &Kept,
    ) -> Result<Tensor<1>> {
        let [n, t, d] = given.size;
        let hidden = ops::tanh(linear(forward, "missing.1", x)?);
        let logits = ops::tanh(linear(forward, "missing.2", hidden)?);
        let keep = given.tensor(&kept.mask, [n * k, t, d])?;
        let each = keep * logits.clone() - Activation::Softplus.apply(logits);
        Ok((each * given.valid(k)?).sum_dims_squeeze::<1, usize>(&[1, 2]))
    }

    /// Draws of what each series holds, weighted by how well their paths explain what was observed: series x (draws x times x
    /// channels), on the model's scale; observed entries as they are.
    pub(super) fn draws(
        &self,
        forward: &mut Forward,
        given: &Given,
        shape: &Shape,
        draws: usize,
        seed: Seed,
    ) -> Result<Vec<f32>> {
        let [n, t, d] = given.size;
        let k = self.test_k.max(draws);
        let mut chance = given.chance(forward, seed);
        let latent = self.latent(forward, given, shape, k, &mut chance)?;
        let (weights, means) = (plain(latent.log_weight), plain(latent.decoded.mean));
        let deviations = plain(latent.decoded.deviation);
        let mut out = Vec::with_capacity(n * draws * t * d);
        for i in 0..n {
            let own = &weights[i * k..(i + 1) * k];
            let most = own.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let own: Vec<f64> = own.iter().map(|w| f64::from(w - most).exp()).collect();
            for _ in 0..draws {
                let path = (i * k + chance.of(i).weighted(&own)) * t * d;
                for (at, value) in given.values[i * t * d..(i + 1) * t * d].iter().enumerate() {
                    let noise = chance.of(i).normal() as f32;
                    let made = means[path + at] + deviations[path + at] * noise;
                    out.push(if given.mask[i * t * d + at] == 1.0 { *value } else { made });
                }
            }
        }
        Ok(out)
    }
}

/// γ = exp(−max(0, w Δt + b)) of each channel, with `name.weight` and `name.bias`.
pub(super) fn decay(forward: &mut Forward, name: &str, since: Tensor<3>) -> Result<Tensor<3>> {
    let per_channel = |part: &str| -> Result<Tensor<3>> {
        let values = forward.vars().flat(&format!("{name}.{part}"))?;
        let d = values.dims()[0];
        Ok(values.reshape([1, 1, d]))
    };
    let (weight, bias) = (per_channel("weight")?, per_channel("bias")?);
    Ok((since * weight + bias).clamp_min(0.0).neg().exp())
}
