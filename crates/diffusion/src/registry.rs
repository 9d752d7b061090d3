//! The list of methods: one line a method. Each has its own interface, and its card says where.

use quadrat_core::{Card, Method};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    vec![
        &crate::SolverSearch::CARD,
        &crate::svdd::Svdd::CARD,
        &crate::FeynmanKac::CARD,
        &crate::inverse::Stsl::CARD,
        &crate::MinorityGuidance::CARD,
        &crate::BoundarySearch::CARD,
        #[cfg(feature = "networks")]
        &crate::AmbientDiffusion::CARD,
        #[cfg(feature = "networks")]
        &crate::mmd::MmdFinetune::CARD,
        #[cfg(feature = "networks")]
        &crate::forward_models::ForwardModels::CARD,
    ]
}
