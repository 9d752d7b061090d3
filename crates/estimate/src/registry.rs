//! The list of methods: one line a method. Each has its own interface, and its card says where.

use quadrat_core::Card;

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    const CARDS: &[&Card] = &[
        &crate::adaptive_iscv::CARD,
        &crate::adaptive_data_analysis::CARD,
        &crate::inductive_bias::CARD,
        &crate::pretrain_mle_erm::CARD,
    ];
    CARDS.to_vec()
}
