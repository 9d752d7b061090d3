//! Films that few have rated, made of any films.

use super::films::Films;
use crate::Trial;
use crate::trial::Quiet;
use quadrat_core::{Result, Seed, stats};
use quadrat_retrieval::recommend::{Interactions, Model, Quality, Recommender, Task};
use std::collections::HashSet;

/// Interactions that a rare film keeps.
const KEPT: u32 = 3;

/// A log to learn from, what was taken out of it, and the films that became rare.
pub struct Split {
    pub train: Interactions,
    pub test: Interactions,
    pub rare: Vec<u32>,
    pub others: Vec<u32>,
}

impl Split {
    pub fn new(log: &Interactions, seed: Seed) -> Result<Split> {
        let mut films: Vec<u32> = (0..log.items() as u32).collect();
        seed.stream("rare").rng(0).shuffle(&mut films);
        let others = films.split_off(2 * films.len() / 5);
        let rare: HashSet<u32> = films.iter().copied().collect();
        let mut order: Vec<usize> = (0..log.pairs().len()).collect();
        seed.stream("kept").rng(0).shuffle(&mut order);
        let mut rng = seed.stream("tenth").rng(0);
        let mut kept = vec![0; log.items()];
        let mut learnt = HashSet::new();
        for row in order {
            let (user, film) = log.pairs()[row];
            let learn = match rare.contains(&film) {
                true => kept[film as usize] < KEPT,
                false => rng.uniform() >= 0.1,
            };
            if learn {
                kept[film as usize] += 1;
                learnt.insert((user, film));
            }
        }
        let train = log.filtered(|user, film| learnt.contains(&(user, film)))?;
        let test = log.filtered(|user, film| !learnt.contains(&(user, film)))?;
        Ok(Split { train, test, rare: films, others })
    }

    /// Recall@50 of the rare films among all.
    pub fn tail_recall(&self, method: &dyn Recommender, films: &Films, seed: Seed, trial: &Trial) -> Result<f64> {
        let progress = &Quiet(trial.progress);
        let task = Task { interactions: &self.train, items: Some(&films.items), users: None };
        let model = method.fit(&task, seed.stream("model"), progress)?.model;
        Ok(Quality::of(&model, &self.train, &self.test, std::slice::from_ref(&self.rare), progress)?[0].recall_at_50)
    }

    /// Recall@50 of the rare films where no others are ranked: whatever their popularity does to them all counts for nothing.
    pub fn shelf_recall(&self, model: &Model) -> Result<f64> {
        let mut recalls = Vec::new();
        for (user, liked) in self.test.by_user().iter().enumerate() {
            let known = &self.train.by_user()[user];
            let scores = model.scores(user, known)?;
            let mut shelf: Vec<u32> =
                self.rare.iter().copied().filter(|film| known.binary_search(film).is_err()).collect();
            shelf.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b)));
            let first: HashSet<u32> = shelf.iter().copied().take(50).collect();
            let shelf: HashSet<u32> = shelf.into_iter().collect();
            let liked: Vec<&u32> = liked.iter().filter(|film| shelf.contains(film)).collect();
            if !liked.is_empty() {
                recalls.push(liked.iter().filter(|film| first.contains(film)).count() as f64 / liked.len() as f64);
            }
        }
        Ok(stats::mean(&recalls))
    }
}
