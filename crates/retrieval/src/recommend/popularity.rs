//! What most users liked, for everybody.

use super::{Model, Recommender, Task, Trained};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};

/// Popularity: no parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Popularity {}

impl Method for Popularity {
    const CARD: Card = Card {
        slug: "popularity",
        aliases: &["most-popular"],
        title: "Popularity: the same list for everybody",
        paper: "a baseline without an author",
        area: Area::Retrieval,
        verbs: &["retrieve train", "retrieve recommend"],
        summary: "Ranks items by how many users liked them.",
        useful_when: "recommend items without knowing the user, new users, a baseline that every recommender has to beat",
        cost: "time O(interactions), memory O(items)",
        params: Self::PARAMS,
    };
}

impl Recommender for Popularity {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn fit(&self, task: &Task, _seed: Seed, _progress: &dyn Progress) -> Result<Trained> {
        let counts = task.interactions.popularity().into_iter().map(|count| count as f32).collect();
        Ok(Trained { model: Model::Popular(counts), losses: Vec::new(), notes: Vec::new() })
    }
}
