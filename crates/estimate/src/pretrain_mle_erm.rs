//! Pretrain, then fit: a representation by maximum likelihood on rows without labels, a small predictor on top with the
//! few labels there are.
//!
//! Source: J. Ge, S. Tang, J. Fan and C. Jin, "On the Provable Advantage of Unsupervised Pretraining", ICLR 2024
//! (arXiv 2303.01566). Two phases, in the paper's letters:
//!
//! 1. MLE: phi = argmax over latent models Phi of the sum over m unlabelled rows of ln p_phi(x);
//! 2. ERM: psi = argmin over Psi of the mean loss over n labelled rows of the predictor composed with the posterior of
//!    the latent z given x under phi ([`PretrainThenFit`]).
//!
//! Its excess risk is at most of order kappa sqrt(C_Phi / m) + sqrt(C_Psi / n), where labels alone need
//! sqrt(C_(Phi o Psi) / n): a gain where m is much larger than n and a head is much simpler than the whole. Kappa is
//! finite where the law of x alone fixes the latent up to what the heads absorb (a rotation of factors, the numbers of
//! clusters): the *informative* condition. Where y hangs on a part of x that the latent leaves out, pretraining hurts.
//! [`Planner`] measures all that on a user's own rows.
//!
//! The three instances of the paper are [`Ppca`] (and [`FactorAnalysis`], where columns have noise of their own),
//! [`GaussianMixture`] and [`Contrastive`]. For the square loss the composed predictor is E[psi(z) | x]; psi linear in the
//! factors is linear in their posterior mean, and psi any function of the cluster is linear in the responsibilities: both
//! are least squares on [`Latent::transform`]. For the 0-1 loss it is the label of least expected loss under the
//! responsibilities ([`Head::ClusterTable`]).
//!
//! Choices of ours:
//! - Nothing is whitened or standardised inside: scale is part of these models, but for [`FactorAnalysis`], which has a
//!   noise for each column. [`Ppca`] and a spherical [`GaussianMixture`] state one variance for all columns, and
//!   standardising columns can break that as well as mend it: [`Choice::criterion`] on both scales says which fits.
//! - Heads have an intercept, which costs one more parameter than the paper's linear heads.
//! - With square loss and heads of the right form the risk falls as 1 / m and 1 / n; the paper's square roots are upper
//!   bounds that hold for any bounded loss.
//! - Ranks and numbers of clusters are chosen by BIC on unlabelled rows alone ([`Kind::choose`]): choosing with the labels
//!   that judge would leak.
//!
//! ```
//! use ndarray::{Array1, Array2};
//! use quadrat_core::{Seed, Silent};
//! use quadrat_estimate::pretrain_mle_erm::{Head, Ppca, PretrainThenFit, Target};
//! // Two factors behind 20 columns; y is a function of the factors.
//! let mut rng = Seed(1).rng(0);
//! let loadings = Array2::from_shape_simple_fn((2, 20), || rng.normal());
//! let mut rows = |n| {
//!     let z = Array2::from_shape_simple_fn((n, 2), || rng.normal());
//!     let x = z.dot(&loadings) + Array2::from_shape_simple_fn((n, 20), || rng.normal());
//!     (x, Target::Numbers(z.column(0).to_vec()))
//! };
//! let ((pool, _), (x, y), (new, truth)) = (rows(1000), rows(12), rows(500));
//! let method = PretrainThenFit { representation: &Ppca { rank: 2 }, head: Head::Ols };
//! let predictor = method.fit(pool.view(), x.view(), &y, Seed(1), &Silent)?;
//! assert!(predictor.risk(new.view(), &truth)? < 0.3); // of a variance of 1, from 12 labels in 20 columns
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod contrastive;
mod heads;
mod planner;
mod representations;

pub use contrastive::{Contrastive, Encoder, Pairs};
pub use heads::{FittedHead, Head, Target};
pub use planner::{BreakEven, Doubling, Planner, RiskSurface};
pub use quadrat_numeric::factors::{FactorAnalysis, FactorModel};
pub use quadrat_numeric::mixture::{Covariance, GaussianMixture, Mixture};
pub use representations::{Choice, Kind, Ppca, Rescaled};

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Area, Card, Error, Progress, Result, Seed, Settings};

pub(crate) static CARD: Card = Card {
    slug: "pretrain-mle-erm",
    aliases: &["pretrain-plan", "pretrain-then-fit"],
    title: "Pretrain, then fit",
    paper: "Ge, Tang, Fan, Jin: On the Provable Advantage of Unsupervised Pretraining. ICLR 2024, arXiv 2303.01566",
    area: Area::Estimate,
    verbs: &["estimate"],
    summary: "Whether a representation learnt from many rows without labels helps where labels are few, by how much, and \
              whether more labels or more unlabelled rows pay: held-out risk over both numbers, against labels alone.",
    useful_when: "few labels and many unlabelled rows, semi-supervised, how many labels do I need, does unsupervised \
                  pretraining help, label budget, factor model, clusters",
    cost: "a representation for each split and pool size (principal components: m d^2 + d^3; mixtures: m k d a round) and a \
           head for each number of labels",
    params: PlanSettings::PARAMS,
};

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct PlanSettings {
    /// What is learnt without labels.
    #[param(default = Kind::Fa)]
    pub representation: Kind,
    /// Factors, or outputs of the contrastive network; BIC chooses on the unlabelled rows.
    #[param(none = "BIC", from = 1, only = ("representation", &["fa", "ppca", "contrastive"]))]
    pub rank: Option<usize>,
    /// Clusters; BIC chooses on the unlabelled rows.
    #[param(none = "BIC", from = 1, only = ("representation", &["gmm"]))]
    pub k: Option<usize>,
    /// Random splits into training and held-out labels.
    #[param(default = 20, from = 2)]
    pub repeats: usize,
    /// Share of the labelled rows that is held out.
    #[param(default = 0.3, above = 0, below = 1)]
    pub test_share: f64,
}

/// Phase 1: a family of latent models, and how the best of them is found.
pub trait Representation: Send + Sync {
    /// Fits the family to rows without labels.
    ///
    /// # Errors
    /// What the family says of rows it cannot describe; the user's cancelling.
    fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn Latent>>;
}

/// What phase 1 found: the map from a row to what a head reads of it.
pub trait Latent: Send + Sync {
    /// Posterior means of the factors, or responsibilities of the clusters: rows x features.
    ///
    /// # Errors
    /// Rows of another width than those fitted.
    fn transform(&self, x: ArrayView2<f64>) -> Result<Array2<f64>>;
}

/// Both phases.
pub struct PretrainThenFit<'a> {
    /// Phi.
    pub representation: &'a dyn Representation,
    /// Psi.
    pub head: Head,
}

/// What both phases found: psi after phi.
pub struct Predictor {
    /// The representation.
    pub latent: Box<dyn Latent>,
    /// The head.
    pub head: FittedHead,
}

impl PretrainThenFit<'_> {
    /// Fits the representation to `unlabelled` (which may include the labelled rows) and the head to `x` and `y`.
    ///
    /// # Errors
    /// Labelled rows of another width than the unlabelled ones; what representation and head say.
    pub fn fit(
        &self,
        unlabelled: ArrayView2<f64>,
        x: ArrayView2<f64>,
        y: &Target,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Predictor> {
        check_widths(unlabelled, x)?;
        let latent = self.representation.fit(unlabelled, seed, progress)?;
        let head = self.head.fit(latent.transform(x)?.view(), y)?;
        Ok(Predictor { latent, head })
    }
}

impl Predictor {
    /// Numbers, or class codes, for rows.
    ///
    /// # Errors
    /// Rows of another width than those fitted.
    pub fn predict(&self, x: ArrayView2<f64>) -> Result<Target> {
        self.head.predict(self.latent.transform(x)?.view())
    }

    /// The mean loss over rows with known targets: squared error, or share of wrong classes.
    ///
    /// # Errors
    /// Rows of another width, or a target of another kind or number.
    pub fn risk(&self, x: ArrayView2<f64>, y: &Target) -> Result<f64> {
        self.predict(x)?.loss(y)
    }

    /// How much larger the risk is than that of the best predictor `truth` (E\[y | x\], or the most probable class) of the
    /// same rows. For numbers that is the mean squared distance between both, whatever the noise of y; for classes the
    /// difference of both error rates on the labels `y`.
    ///
    /// # Errors
    /// As [`risk`](Self::risk).
    pub fn excess_risk(&self, x: ArrayView2<f64>, truth: &Target, y: &Target) -> Result<f64> {
        match truth {
            Target::Numbers(_) => self.risk(x, truth),
            Target::Classes { .. } => Ok(self.risk(x, y)? - truth.loss(y)?),
        }
    }
}

fn check_widths(unlabelled: ArrayView2<f64>, labelled: ArrayView2<f64>) -> Result<()> {
    if unlabelled.ncols() != labelled.ncols() {
        let want = format!("the unlabelled rows have {} columns: give both the same", unlabelled.ncols());
        return Err(Error::input("labelled rows", format!("{} columns", labelled.ncols()), want));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
