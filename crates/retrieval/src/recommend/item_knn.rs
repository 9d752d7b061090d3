//! Items that the same users liked.
//!
//! Sarwar, Karypis, Konstan, Riedl, "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001, for liked and not
//! liked: the similarity of two items is the cosine of their columns of users, a user's score of an item the sum of its similarities
//! to what he or she liked. Similarities that rest on few users are shrunk, as it became usual (Bell and Koren 2007).

use super::{Model, Recommender, Task, Trained};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::Csr;
use rayon::prelude::*;

/// Item-based neighbours: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct ItemKnn {
    /// Nearest items that are kept for each item.
    #[param(default = 50, from = 1, unit = "items")]
    pub k: usize,
    /// Added to the denominator of the cosine, so that pairs with few users in common count less.
    #[param(default = 10.0, from = 0)]
    pub shrinkage: f64,
}

impl Method for ItemKnn {
    const CARD: Card = Card {
        slug: "item-knn",
        aliases: &["item-based"],
        title: "Item-based neighbours",
        paper: "Sarwar, Karypis, Konstan, Riedl, Item-based Collaborative Filtering Recommendation Algorithms, WWW 2001",
        area: Area::Retrieval,
        verbs: &["retrieve train", "retrieve recommend"],
        summary: "Recommends the items whose users are those of the items that a user liked.",
        useful_when: "recommend items from a log of clicks or purchases, similar items, customers who bought this also bought",
        cost: "time O(sum over users of their interactions squared), memory O(items x k)",
        params: Self::PARAMS,
    };
}

impl Recommender for ItemKnn {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn fit(&self, task: &Task, _seed: Seed, progress: &dyn Progress) -> Result<Trained> {
        let (by_user, by_item) = (task.interactions.by_user(), task.interactions.by_item());
        progress.begin("item-knn", Some(by_item.len() as u64));
        let neighbours = |item: usize| -> Result<Vec<(u32, f32)>> {
            checkpoint(progress)?;
            let mut common = vec![0_u32; by_item.len()];
            for user in &by_item[item] {
                by_user[*user as usize].iter().for_each(|other| common[*other as usize] += 1);
            }
            common[item] = 0;
            let similarity = |other: usize| {
                let lengths = (by_item[item].len() as f64 * by_item[other].len() as f64).sqrt();
                f64::from(common[other]) / (lengths + self.shrinkage)
            };
            let near = (0..common.len()).filter(|other| common[*other] > 0);
            let mut near: Vec<(u32, f32)> = near.map(|other| (other as u32, similarity(other) as f32)).collect();
            // The lower item comes first where two are as near.
            near.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            near.truncate(self.k);
            near.sort_unstable_by_key(|(other, _)| *other);
            progress.advance(1);
            Ok(near)
        };
        let lists: Vec<Vec<(u32, f32)>> = (0..by_item.len()).into_par_iter().map(neighbours).collect::<Result<_>>()?;
        let mut similarities = Csr::new(by_item.len());
        lists.into_iter().for_each(|list| similarities.push_row(list));
        Ok(Trained { model: Model::Neighbours(similarities), losses: Vec::new(), notes: Vec::new() })
    }
}
