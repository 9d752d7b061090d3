//! Recommendation: from who liked what to what each user will like next.
//!
//! [`Interactions`] say who liked what, [`Features`] what is known of items and users beside that. A [`Recommender`] learns a
//! [`Model`], which scores every item for a user; [`recommend`] lists the best that a user has not liked yet.
//!
//! - [`SslItems`]: two towers, trained on what was liked and on a task without labels that makes rare items lie where their features
//!   belong (self-supervised learning with correlated feature masking); and its rivals, as settings ([`Regulariser`]).
//! - [`Popularity`], [`ItemKnn`], [`Ease`]: what needs no features, and what every recommender has to beat.
//!
//! [`hold_out`] puts some of each user's interactions aside, [`Quality`] says how well they are found again. All items are ranked:
//! figures over a sample of them say something else.

mod ease;
mod features;
mod information;
mod interactions;
mod item_knn;
mod masking;
mod model;
mod popularity;
mod quality;
mod ssl;
mod tower;

pub use ease::Ease;
pub use features::{Features, Field};
pub use information::{Estimator, ManyValues, mutual_information};
pub use interactions::{Interactions, hold_out};
pub use item_knn::ItemKnn;
pub use masking::{Mask, Masking};
pub use model::{Model, recommend};
pub use popularity::Popularity;
use quadrat_core::{Card, Entry, Method, Params, Progress, Result, Seed};
pub use quality::{Quality, slices};
pub use ssl::{Regulariser, Sampling, SslItems};

/// What a recommender learns from.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Who liked what.
    pub interactions: &'a Interactions,
    /// What is known of the items.
    pub items: Option<&'a Features>,
    /// What is known of the users.
    pub users: Option<&'a Features>,
}

/// What training leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Scores items.
    pub model: Model,
    /// The mean loss of each epoch; none where nothing is trained in steps.
    pub losses: Vec<f64>,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
}

/// A way to learn what users will like.
pub trait Recommender: Send + Sync {
    /// The method's card.
    fn card(&self) -> &'static Card;

    /// Learns.
    ///
    /// # Errors
    /// No interactions; features of another number of items or users, or none where the method needs some; numbers that grow beyond
    /// single precision; the user's cancelling.
    fn fit(&self, task: &Task, seed: Seed, progress: &dyn Progress) -> Result<Trained>;
}

const METHODS: &[Entry<dyn Recommender>] = &[of::<SslItems>(), of::<Popularity>(), of::<ItemKnn>(), of::<Ease>()];

const fn of<T: Recommender + Method + 'static>() -> Entry<dyn Recommender> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all recommenders.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The recommender called `name` (slug or alias) with the given parameters.
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), or a value that does not fit.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn Recommender>> {
    Entry::find(METHODS, "recommenders", name, params)
}

#[cfg(test)]
mod tests;
