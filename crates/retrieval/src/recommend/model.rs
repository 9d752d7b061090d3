//! What was learnt, and the lists it gives.

use super::Interactions;
use ndarray::{Array1, Array2};
use quadrat_core::{Error, Progress, Result, checkpoint};
use quadrat_numeric::Csr;
use rayon::prelude::*;

/// Scores items for users.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// The items' own scores, the same for everybody.
    Popular(Array1<f32>),
    /// Items x items, few of each row: the score of an item is the sum of its values in the rows of what the user liked.
    Neighbours(Csr),
    /// The same with all values.
    Linear(Array2<f32>),
    /// Vectors, a row each: the score is the inner product.
    Vectors {
        /// Of the users.
        users: Array2<f32>,
        /// Of the items.
        items: Array2<f32>,
    },
}

impl Model {
    /// The scores of all items for a user who liked `liked`. Vectors need the user to be one of those that were learnt from.
    ///
    /// # Errors
    /// A user that is not there; scores that are not finite.
    pub fn scores(&self, user: usize, liked: &[u32]) -> Result<Array1<f32>> {
        let scores = match self {
            Model::Popular(scores) => scores.clone(),
            Model::Neighbours(similarities) => {
                let mut scores = Array1::zeros(similarities.cols);
                for item in liked {
                    let (others, values) = similarities.row(*item as usize);
                    others.iter().zip(values).for_each(|(other, value)| scores[*other as usize] += value);
                }
                scores
            }
            Model::Linear(weights) => {
                let mut scores = Array1::zeros(weights.ncols());
                liked.iter().for_each(|item| scores += &weights.row(*item as usize));
                scores
            }
            Model::Vectors { users, .. } if user >= users.nrows() => {
                return Err(Error::input("user", user, format!("there are {}, numbered from 0", users.nrows())));
            }
            Model::Vectors { users, items } => items.dot(&users.row(user)),
        };
        match scores.iter().find(|score| !score.is_finite()) {
            Some(score) => {
                Err(Error::numeric("scores", format!("user {user} has a score of {score}: train at a lower rate")))
            }
            None => Ok(scores),
        }
    }
}

/// For each of `users` the `k` items with the highest scores among those that the user has not liked yet, best first, the lower item
/// where two are equal; all of them if there are fewer.
///
/// Cost: O(items) scores a user, shared by the threads.
///
/// # Errors
/// A `k` of 0; as [`Model::scores`]; the user's cancelling.
pub fn recommend(
    model: &Model,
    known: &Interactions,
    users: &[u32],
    k: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<(u32, f32)>>> {
    if k == 0 {
        return Err(Error::input("k", 0, "ask for 1 item at least"));
    }
    let of_user = |user: &u32| {
        checkpoint(progress)?;
        let user = *user as usize;
        if user >= known.users() {
            return Err(Error::input("user", user, format!("there are {}, numbered from 0", known.users())));
        }
        let liked = &known.by_user()[user];
        let scores = model.scores(user, liked)?;
        let unseen = (0..scores.len() as u32).filter(|item| liked.binary_search(item).is_err());
        let mut found: Vec<(u32, f32)> = unseen.map(|item| (item, scores[item as usize])).collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if k < found.len() {
            found.select_nth_unstable_by(k, order);
            found.truncate(k);
        }
        found.sort_unstable_by(order);
        Ok(found)
    };
    users.par_iter().map(of_user).collect()
}
