//! The list of claims.

use crate::Trial;
use quadrat_core::{Error, Evidence, Result};

/// A method's claim.
#[derive(Clone, Copy)]
pub struct Claim {
    /// The method's slug.
    pub slug: &'static str,
    /// Runs the experiment.
    pub run: fn(&Trial) -> Result<Evidence>,
}

/// All claims, in the catalogue's order.
pub const CLAIMS: &[Claim] = &[
    Claim { slug: "mig", run: crate::select::mig::run },
    Claim { slug: "diversify-conquer", run: crate::select::diversify_conquer::run },
    Claim { slug: "sensitivity-sampling", run: crate::select::sensitivity_sampling::run },
    Claim { slug: "smote", run: crate::robust::smote::run },
    Claim { slug: "dpp-least-squares", run: crate::select::dpp_least_squares::run },
    Claim { slug: "rs2", run: crate::select::rs2::run },
    Claim { slug: "adaptive-iscv", run: crate::estimate::adaptive_iscv::run },
    Claim { slug: "interp-extrap-split", run: crate::select::interp_extrap_split::run },
    Claim { slug: "adaptive-data-analysis", run: crate::estimate::adaptive_data_analysis::run },
    Claim { slug: "lasso-mtrl", run: crate::select::lasso_mtrl::run },
    Claim { slug: "inductive-bias", run: crate::estimate::inductive_bias::run },
    Claim { slug: "autoencoder-score", run: crate::estimate::autoencoder_score::run },
    Claim { slug: "perturbed-likelihood", run: crate::estimate::perturbed_likelihood::run },
    Claim { slug: "pretrain-mle-erm", run: crate::estimate::pretrain_mle_erm::run },
    Claim { slug: "inference-free-sparse", run: crate::retrieval::inference_free_sparse::run },
    Claim { slug: "learned-active", run: crate::select::learned_active::run },
    Claim { slug: "dred", run: crate::select::dred::run },
    Claim { slug: "multi-grained-uncertainty", run: crate::retrieval::multi_grained_uncertainty::run },
    Claim { slug: "language-guided-music", run: crate::retrieval::language_guided_music::run },
    Claim { slug: "spectr", run: crate::language::spectr::run },
    Claim { slug: "online-preference-optimisation", run: crate::language::online_preference_optimisation::run },
    #[cfg(feature = "networks")]
    Claim { slug: "self-sampled-solutions", run: crate::language::self_sampled_solutions::run },
    #[cfg(feature = "networks")]
    Claim { slug: "elr", run: crate::robust::elr::run },
    #[cfg(feature = "networks")]
    Claim { slug: "batchformer", run: crate::robust::batchformer::run },
    #[cfg(feature = "networks")]
    Claim { slug: "shrinkmatch", run: crate::robust::shrinkmatch::run },
    #[cfg(feature = "networks")]
    Claim { slug: "saa", run: crate::robust::saa::run },
    #[cfg(feature = "networks")]
    Claim { slug: "ovor", run: crate::robust::ovor::run },
    #[cfg(feature = "networks")]
    Claim { slug: "rcal", run: crate::robust::rcal::run },
    #[cfg(feature = "networks")]
    Claim { slug: "supnotmiwae", run: crate::robust::supnotmiwae::run },
    #[cfg(feature = "networks")]
    Claim { slug: "sampling-free", run: crate::robust::sampling_free::run },
    Claim { slug: "lol-prf", run: crate::retrieval::lol_prf::run },
    Claim { slug: "ssl-item-recommendation", run: crate::retrieval::ssl_item_recommendation::run },
    Claim { slug: "star", run: crate::retrieval::star::run },
    Claim { slug: "solver-search-usf", run: crate::diffusion::solver_search_usf::run },
    Claim { slug: "stsl-second-order-tweedie", run: crate::diffusion::stsl_second_order_tweedie::run },
    Claim { slug: "svdd", run: crate::diffusion::svdd::run },
    #[cfg(feature = "networks")]
    Claim { slug: "ambient-mixed-noise", run: crate::diffusion::ambient_mixed_noise::run },
    #[cfg(feature = "networks")]
    Claim { slug: "minority-guidance", run: crate::diffusion::minority_guidance::run },
    #[cfg(feature = "networks")]
    Claim { slug: "optimal-boundary-conditions-sr", run: crate::diffusion::optimal_boundary_conditions_sr::run },
    Claim { slug: "feynman-kac-correctors", run: crate::diffusion::feynman_kac_correctors::run },
    #[cfg(feature = "networks")]
    Claim { slug: "mmd-finetuning", run: crate::diffusion::mmd_finetuning::run },
    #[cfg(feature = "networks")]
    Claim { slug: "diffusion-forward-models", run: crate::diffusion::diffusion_forward_models::run },
    #[cfg(feature = "networks")]
    Claim { slug: "reconresnet", run: crate::inverse::reconresnet::run },
    #[cfg(feature = "networks")]
    Claim { slug: "adversarial-adaptive-sampling", run: crate::inverse::adversarial_adaptive_sampling::run },
    Claim { slug: "masked-diffusion-fhs", run: crate::language::masked_diffusion_fhs::run },
    #[cfg(feature = "networks")]
    Claim { slug: "ps-kd", run: crate::regularize::ps_kd::run },
    #[cfg(feature = "networks")]
    Claim { slug: "weight-compander", run: crate::regularize::weight_compander::run },
    #[cfg(feature = "networks")]
    Claim { slug: "random-pruning", run: crate::regularize::random_pruning::run },
    #[cfg(feature = "networks")]
    Claim { slug: "random-sparse-search", run: crate::regularize::random_sparse_search::run },
    #[cfg(feature = "networks")]
    Claim { slug: "quantnas", run: crate::regularize::quantnas::run },
    #[cfg(feature = "networks")]
    Claim { slug: "self-tuning-network", run: crate::regularize::self_tuning_network::run },
    #[cfg(feature = "networks")]
    Claim { slug: "ticket-reprogramming", run: crate::regularize::ticket_reprogramming::run },
    #[cfg(feature = "networks")]
    Claim { slug: "sara", run: crate::regularize::sara::run },
    #[cfg(feature = "networks")]
    Claim { slug: "ariel-volume-coding", run: crate::language::ariel_volume_coding::run },
    #[cfg(feature = "networks")]
    Claim { slug: "hyperfitting", run: crate::language::hyperfitting::run },
    #[cfg(feature = "networks")]
    Claim { slug: "sdap", run: crate::inverse::sdap::run },
];

/// Claims about data that may not be passed on: beyond smoke scale they need a folder ([`Trial::data`]).
pub const NEED_DATA: &[&str] = &["ssl-item-recommendation"];

/// The claim of a method, or an error that names those that have one.
pub fn find(slug: &str) -> Result<Claim> {
    CLAIMS.iter().find(|claim| claim.slug == slug).copied().ok_or_else(|| {
        let all: Vec<&str> = CLAIMS.iter().map(|claim| claim.slug).collect();
        let want =
            format!("textbook methods have no claim of their own, they are the rivals in those of {}", all.join(", "));
        Error::input("claim", format!("`{slug}`"), want)
    })
}
