//! The list of methods: one line a method. Each has its own interface, and its card says where.

use crate::svdd::Svdd;
use crate::{FeynmanKac, SolverSearch};
use quadrat_core::{Card, Method};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    const CARDS: &[&Card] = &[&SolverSearch::CARD, &Svdd::CARD, &FeynmanKac::CARD];
    CARDS.to_vec()
}
