//! Self-supervised learning for items: two towers, and a second task that needs no log.
//!
//! Yao, Yi, Cheng, Yu, Chen, Menon, Hong, Chi, Tjoa, Kang, Ettinger, "Self-supervised Learning for Large-scale Item Recommendations",
//! CIKM 2021, arXiv 2007.12865. Two towers learn the items of the log, of which few are popular and many rare. The second task
//! takes items of the catalogue, hides some features of each in one view and the others in another, and asks for close vectors
//! of both views among those of the other items (section 3.1). Features that tell of each other are hidden together (section 3.3), so
//! that no view gives away what the other hides:
//!
//! `L = L_main(pairs of the log) + alpha L_self(items, drawn uniformly)`, equation 6.
//!
//! Written from a translation of the paper's first three sections and from LibRecommender's program. Left open there, and chosen here: the
//! share of values dropped (0.2), one learnt default vector a field for what is hidden, one item tower for all views, Adam whose rate falls
//! to 0. Users are told by their number and their features. Numbers (dense features) would show in both views and are hidden in both.

pub(super) mod objective;
mod steps;

use super::tower::{Learner, Tower};
use super::{
    Estimator, Features, Field, Interactions, ManyValues, Masking, Model, Recommender, Task, Trained,
    mutual_information,
};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings, checkpoint, stats};
use steps::Data;

/// Self-supervised two towers: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct SslItems {
    /// What is done for rare items beside learning the log.
    #[param(flatten)]
    pub regulariser: Regulariser,
    /// Weight of that beside the log; of feature-dropout the chance that a feature is hidden; 0 leaves it out.
    #[param(default = 0.2, from = 0)]
    pub alpha: f64,
    /// Temperature of the second task's softmax, tau.
    #[param(default = 0.1, above = 0)]
    pub temperature: f64,
    /// Chance that a value of a feature with several is left out of a view.
    #[param(default = 0.2, from = 0, below = 1)]
    pub value_dropout: f64,
    /// Where the items of the second task come from.
    #[param(default = Sampling::Uniform)]
    pub sampling: Sampling,
    /// How mutual information is estimated.
    #[param(default = Estimator::Plugin)]
    pub information: Estimator,
    /// What it takes for the value of an item with several.
    #[param(default = ManyValues::Spread)]
    pub many_values: ManyValues,
    /// Temperature of the log's softmax.
    #[param(default = 0.1, above = 0)]
    pub log_temperature: f64,
    /// Whether the log of an item's share of the log is taken off its score in training, so that popular items, which are negatives
    /// more often, are not pushed away for it.
    #[param(default = true)]
    pub log_q: bool,
    /// Values of each feature's embedding.
    #[param(default = 16, from = 1)]
    pub dims: usize,
    /// Hidden units of each tower.
    #[param(default = 128, from = 1, unit = "units")]
    pub hidden: usize,
    /// Values of an item's or a user's vector.
    #[param(default = 64, from = 1)]
    pub width: usize,
    /// Passes over the log.
    #[param(default = 20, from = 1)]
    pub epochs: usize,
    /// Pairs of a step, and items of its second task.
    #[param(default = 256, from = 2)]
    pub batch: usize,
    /// Step size of Adam at first; it falls to 0.
    #[param(default = 0.002, above = 0)]
    pub rate: f64,
}

/// What is done for rare items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
#[param(name = "regulariser", default = Cfm)]
pub enum Regulariser {
    /// Correlated feature masking: a feature drawn by chance and those that tell most of it are hidden in one view, the rest in the other.
    Cfm {
        /// Features hidden beside the drawn one; half stands for half of all, rounded down.
        #[param(none = "half")]
        n: Option<usize>,
    },
    /// Random halves of the features are hidden, one in each view.
    Rfm,
    /// A random half is hidden in each view, drawn apart.
    RfmAny,
    /// No second task: features of the log's items are hidden by chance.
    FeatureDropout,
    /// No views: vectors of different items are made orthogonal.
    SpreadOut,
}

/// Where the items of the second task come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Sampling {
    /// The catalogue, each item as often as any other.
    Uniform,
    /// The log, popular items more often.
    Log,
}

impl Method for SslItems {
    const CARD: Card = Card {
        slug: "ssl-item-recommendation",
        aliases: &["cfm", "two-tower"],
        title: "Self-supervised two towers with correlated feature masking",
        paper: "Yao, Yi, Cheng, Yu, Chen, Menon, Hong, Chi, Tjoa, Kang, Ettinger, Self-supervised Learning for Large-scale Item \
                Recommendations, CIKM 2021, arXiv 2007.12865",
        area: Area::Retrieval,
        verbs: &["retrieve train", "retrieve recommend"],
        summary: "Trains a tower of users and one of items on what was liked, and the items' tower on telling items by halves of their \
                  features.",
        useful_when: "recommend new or rare items, cold start, long tail, items with categories such as genre or brand, two-tower model, \
                      embeddings of users and items",
        cost: "time O(batch^2 x width + embeddings) a step; memory O((users + feature values) x dims)",
        params: Self::PARAMS,
    };
}

impl Recommender for SslItems {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn fit(&self, task: &Task, seed: Seed, progress: &dyn Progress) -> Result<Trained> {
        let log = task.interactions;
        log.check(task.items, task.users)?;
        let items = task.items.ok_or_else(|| {
            let want = "this method reads items by their features: name a table of them, or use item-knn or ease";
            Error::input("features of items", "none", want)
        })?;
        let users = with_numbers(task.users, log)?;
        let masking = self.masking(items, seed)?;
        if log.pairs().len() < 2 {
            return Err(Error::input("interactions", 1, "a softmax over a batch needs 2 at least"));
        }
        let start = |name: &str, features: &Features| {
            let rng = &mut seed.stream(name).rng(0);
            Learner::new(Tower::random(features, self.dims, self.hidden, self.width, rng))
        };
        let mut towers = [start("users", &users), start("items", items)];
        let mut apart = towers[1].tower.zeros();
        let data = Data { task, users: &users, items, masking, popularity: log.popularity() };
        let whole = log.pairs().len().div_ceil(self.batch);
        let (mut step, mut losses, mut bare) = (0, Vec::new(), 0);
        progress.begin("two towers", Some((self.epochs * whole) as u64));
        for epoch in 0..self.epochs {
            let mut pairs = log.pairs().to_vec();
            seed.stream("order").rng(epoch as u64).shuffle(&mut pairs);
            let mut sums = Vec::with_capacity(whole);
            // A pair that is left alone has nothing to be told from.
            for pairs in pairs.chunks(self.batch).filter(|pairs| pairs.len() > 1) {
                checkpoint(progress)?;
                let (loss, hidden) = self.step(&data, pairs, &mut towers, &mut apart, seed, step)?;
                let rate = self.rate * (1.0 - step as f64 / (self.epochs * whole) as f64);
                let [users, items] = &mut towers;
                rayon::join(|| users.step(rate), || items.step(rate));
                sums.push(loss);
                bare += hidden;
                step += 1;
                progress.advance(1);
            }
            losses.push(stats::mean(&sums));
            progress.note(&format!("loss {:.4}", stats::mean(&sums)));
        }
        let model = Model::Vectors { users: towers[0].tower.vectors(&users)?, items: towers[1].tower.vectors(items)? };
        Ok(Trained { model, losses, notes: notes(items, bare, 2 * step as usize * self.batch.min(items.rows())) })
    }
}

impl SslItems {
    /// How views are made; none where the second task has none.
    fn masking(&self, items: &Features, seed: Seed) -> Result<Option<Masking>> {
        let fields = items.fields().len();
        if fields == 0 {
            return Err(Error::input("features of items", "no categorical one", "name one at least"));
        }
        if self.regulariser == Regulariser::FeatureDropout && self.alpha >= 1.0 {
            return Err(Error::input("alpha", self.alpha, "it is the chance that a feature is hidden: below 1"));
        }
        let views = !matches!(self.regulariser, Regulariser::FeatureDropout | Regulariser::SpreadOut);
        if !views || self.alpha == 0.0 {
            return Ok(None);
        }
        if fields < 2 {
            let want = "masking needs at least two features of items: name more, or set alpha=0";
            return Err(Error::input("features of items", fields, want));
        }
        Ok(Some(match self.regulariser {
            Regulariser::Rfm => Masking::Random,
            Regulariser::RfmAny => Masking::RandomApart,
            Regulariser::Cfm { n: Some(n) } if n + 2 > fields => {
                let want = format!("of {fields} features one is drawn and one at least stays: at most {}", fields - 2);
                return Err(Error::input("n", n, want));
            }
            Regulariser::Cfm { n } => Masking::Correlated {
                information: mutual_information(items, self.information, self.many_values, seed.stream("information")),
                // Of two and three features half would leave the second view without any to hide.
                n: n.unwrap_or(fields / 2).min(fields - 2),
            },
            Regulariser::FeatureDropout | Regulariser::SpreadOut => return Ok(None),
        }))
    }
}

/// The users' features, and their number as one more. Who liked nothing has no number that could be learnt: the features alone.
fn with_numbers(features: Option<&Features>, log: &Interactions) -> Result<Features> {
    let mut fields: Vec<Field> = features.map_or(Vec::new(), |features| features.fields().to_vec());
    let number = |(user, items): (u32, &[u32])| (!items.is_empty()).then_some(user + 1);
    let values = (0..).zip(log.by_user().iter()).map(number).collect();
    fields.push(Field { name: "user".to_owned(), values, size: log.users() });
    let dense = features.and_then(Features::dense).map(|dense| dense.mapv(f64::from));
    Features::new(log.users(), fields, dense)
}

fn notes(items: &Features, bare: usize, views: usize) -> Vec<String> {
    let idle =
        items.fields().iter().filter(|field| field.size < 2 && field.values.iter().all(|v| v.len() == field.size));
    let mut notes: Vec<String> =
        idle.map(|field| format!("field `{}` is the same for all items: it says nothing", field.name)).collect();
    if bare > 0 {
        let share = 100.0 * bare as f64 / views.max(1) as f64;
        notes.push(format!("{share:.1}% of the views showed nothing of their item: its visible fields had no value"));
    }
    notes
}
