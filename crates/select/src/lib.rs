//! Choose samples.
//!
//! Every method is a struct of parameters with defaults that implements [`Selector`]: one verb takes a [`Pool`] and a
//! budget and returns a [`Selection`]. A pool carries whatever is known of the rows; a method says which parts it reads
//! ([`Selector::needs`]) and what it will cost ([`Selector::cost`]) before it runs.

mod cluster;
mod convex;
pub mod court;
pub mod coverage;
mod d2;
mod deita;
mod dpp_least_squares;
mod dred;
mod facility_location;
mod feature_space;
mod graph;
pub mod greedy;
mod herding;
mod interp_extrap_split;
mod k_center;
mod lasso_mtrl;
mod learned_active;
pub mod levels;
mod mig;
mod pool;
mod qdit;
mod random;
mod refine;
mod registry;
mod regress;
mod rows;
mod rs2;
mod sensitivity;
mod similarity;
mod stratified;
mod top_score;
mod weighted_fit;

pub use cluster::{ClusterSelector, Clusters, Partition, Within};
pub use court::{Apart, Case, Court, Ruling, Standing, Trial};
pub use d2::D2;
pub use deita::Deita;
pub use dpp_least_squares::{Design, DesignSampler, PoolBasis, PoolDesign, Sampler, features_at};
pub use dred::{Added, Dred, DredTrained, new_levels};
pub use facility_location::FacilityLocation;
pub use feature_space::{Basis, Family, FeatureSpace, FinitePool};
pub use graph::{LabelGraph, Normalise};
pub use herding::Herding;
pub use interp_extrap_split::{
    Averages, Buckets, Far, FoldScores, OverlapReport, Qrel, ReSTTest, ReSTrain, RegimeSummary, Resampled,
    SimilarityKFold, Sizes, Split, SplitProtocol, TrainingSets, nn_similarity, overlap_report, regime_contrast,
    regime_summary,
};
pub use k_center::KCenter;
pub use lasso_mtrl::{
    Head, LinearMtl, Penalty, Relevance, Representation, Rule, Task, TaskAllocator, TaskBuying, TaskPredictor,
};
pub use learned_active::{
    AnswerTable, Classical, Family as ReplyFamily, Game, Grid, LearnedPolicy, Level, LinearBandit, QueryPolicy,
    QueryProblem, QueryRule, Reply, Session, SessionState, Trained, Trainer, mean_losses, play, worst_loss,
};
pub use mig::{Gain, Mig, Phi, Scaling, labels_from_clusters};
pub use pool::{Cost, Needs, Pool, Selection, Selector};
pub use qdit::Qdit;
pub use random::Random;
pub use refine::{AskTell, DiversifyConquer, IterativeRefine, JudgeBy, RefineState, Update};
pub use registry::{build, cards, selectors, without_effect};
pub use regress::{Regression, lp_regress};
pub use rs2::{RoundDraw, Rounds, RoundsState, Rs2, cosine, iterations, shares};
pub use sensitivity::{
    Draw, LevSens, Leverage, LeverageMode, LewisWeights, RootLeverage, RowNorm, RowScores, ScoreSampler, Scores,
    Sensitivity, SensitivityMode, Uniform, inclusion_probabilities, plan,
};
pub use similarity::Similarity;
pub use stratified::{Allocation, Stratified};
pub use top_score::TopScore;
pub use weighted_fit::WeightedFit;
