//! The list of methods: one line a method. Each has its own interface, and its card says where.

use quadrat_core::Card;

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    const CARDS: &[&Card] = &[];
    CARDS.to_vec()
}
