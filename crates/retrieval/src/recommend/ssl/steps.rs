//! A step of training: L_main of a batch of the log, and beside it L_self of a batch of the catalogue.

use super::super::masking::{View, view};
use super::super::tower::{Learner, Tower, dense};
use super::super::{Features, Interactions, Mask, Masking, Task};
use super::objective::{Contrast, accidental_hits, contrast, others, spread_out};
use super::{Regulariser, Sampling, SslItems};
use quadrat_core::{Result, Rng, Seed};

/// What all steps see.
pub struct Data<'a> {
    pub task: &'a Task<'a>,
    pub users: &'a Features,
    pub items: &'a Features,
    pub masking: Option<Masking>,
    pub popularity: Vec<u32>,
}

impl SslItems {
    /// Adds the derivatives of both losses to the towers' slopes. Gives the loss, and how many views showed nothing.
    pub fn step(
        &self,
        data: &Data,
        pairs: &[(u32, u32)],
        [users, items]: &mut [Learner; 2],
        apart: &mut Tower,
        seed: Seed,
        step: u64,
    ) -> Result<(f64, usize)> {
        let tower = &items.tower;
        let second = self.alpha > 0.0 && self.regulariser != Regulariser::FeatureDropout;
        // Both sides add to slopes of their own, in whatever order they run: the sum's order is fixed.
        let (main, other) = rayon::join(
            || {
                self.main(
                    data,
                    pairs,
                    (&users.tower, &mut users.slope),
                    (tower, &mut items.slope),
                    &mut seed.stream("log").rng(step),
                )
            },
            || match second {
                true => self.second(data, tower, apart, &mut seed.stream("second").rng(step)),
                false => Ok((0.0, 0)),
            },
        );
        let (main, (other, bare)) = (main?, other?);
        if second {
            items.slope.take(apart);
        }
        Ok((main + self.alpha * other, bare))
    }

    /// L_main of a batch of the log.
    fn main(
        &self,
        data: &Data,
        pairs: &[(u32, u32)],
        (user_tower, user_slope): (&Tower, &mut Tower),
        (item_tower, item_slope): (&Tower, &mut Tower),
        rng: &mut Rng,
    ) -> Result<f64> {
        let (users, items): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
        let dropped = self.regulariser == Regulariser::FeatureDropout && self.alpha > 0.0;
        let hidden = |_, rng: &mut Rng| dropped && rng.uniform() < self.alpha;
        let values = if dropped { self.value_dropout } else { 0.0 };
        let shown = view(data.items, &items, hidden, values, rng);
        let queries = user_tower.forward(view(data.users, &users, |_, _| false, 0.0, rng), dense(data.users, &users));
        let answers = item_tower.forward(shown, dense(data.items, &items));
        let labels = accidental_hits(data.task.interactions, &users, &items);
        let all = data.task.interactions.pairs().len() as f64;
        let shares =
            self.log_q.then(|| items.iter().map(|item| f64::from(data.popularity[*item as usize]) / all).collect());
        let Contrast { value, left, right } =
            contrast(&queries.vectors, &answers.vectors, &labels, self.log_temperature, shares)?;
        user_tower.backward(&queries, left, user_slope);
        item_tower.backward(&answers, right, item_slope);
        Ok(value)
    }

    /// L_self of items of the catalogue, or the spread of their vectors; derivatives are weighed by alpha.
    fn second(&self, data: &Data, tower: &Tower, slope: &mut Tower, rng: &mut Rng) -> Result<(f64, usize)> {
        let rows = self.drawn(data.task.interactions, data.items.rows(), rng);
        let alpha = self.alpha as f32;
        let Some(masking) = &data.masking else {
            let pass = tower.forward(view(data.items, &rows, |_, _| false, 0.0, rng), dense(data.items, &rows));
            let (value, by) = spread_out(&pass.vectors);
            tower.backward(&pass, by * alpha, slope);
            return Ok((value, 0));
        };
        let masks = masking.draw(data.items.fields().len(), rng);
        let [one, other] =
            masks.map(|mask: Mask| view(data.items, &rows, |field, _| mask[field], self.value_dropout, rng));
        let nothing =
            |view: &View| (0..rows.len()).filter(|row| view.iter().all(|lists| lists[*row].is_empty())).count();
        let bare = nothing(&one) + nothing(&other);
        let (one, other) = (tower.forward(one, None), tower.forward(other, None));
        let Contrast { value, left, right } =
            contrast(&one.vectors, &other.vectors, &others(&rows), self.temperature, None)?;
        tower.backward(&one, left * alpha, slope);
        tower.backward(&other, right * alpha, slope);
        Ok((value, bare))
    }

    /// Items of a batch of the second task: each once where they come from the catalogue.
    pub fn drawn(&self, log: &Interactions, items: usize, rng: &mut Rng) -> Vec<u32> {
        match self.sampling {
            Sampling::Uniform => rng.sample(items, self.batch).into_iter().map(|row| row as u32).collect(),
            Sampling::Log => (0..self.batch).map(|_| log.pairs()[rng.below(log.pairs().len())].1).collect(),
        }
    }
}
