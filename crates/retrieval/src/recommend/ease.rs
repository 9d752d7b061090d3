//! EASE: a linear model of each item by all others, in closed form.
//!
//! Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv 1905.03375: with X (users x items, 1 where liked) the
//! weights B minimise |X - X B|^2 + lambda |B|^2 with a diagonal of 0, and equation 8 gives them: with P = (X'X + lambda I)^-1,
//! B_ij = -P_ij / P_jj off the diagonal. A user's scores are x B.

use super::{Model, Recommender, Task, Trained};
use ndarray::Array2;
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::linalg::solve;

/// EASE: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Ease {
    /// Weight of the squared weights.
    #[param(default = 250.0, above = 0)]
    pub lambda: f64,
}

/// More items than this need more than 10 GB for their weights.
const MOST: usize = 25_000;

impl Method for Ease {
    const CARD: Card = Card {
        slug: "ease",
        aliases: &["ease-r"],
        title: "EASE: a shallow linear autoencoder",
        paper: "Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, arXiv 1905.03375",
        area: Area::Retrieval,
        verbs: &["retrieve train", "retrieve recommend"],
        summary: "Scores each item by a weighted sum over what a user liked, with the weights that predict best in closed form.",
        useful_when: "recommend items from a log of clicks or purchases, a strong baseline without training or features, some thousands \
                      of items",
        cost: "time O(items^3), memory O(items^2); at most 25,000 items",
        params: Self::PARAMS,
    };
}

impl Recommender for Ease {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn fit(&self, task: &Task, _seed: Seed, progress: &dyn Progress) -> Result<Trained> {
        let n = task.interactions.items();
        if n > MOST {
            let want = format!(
                "ease inverts a matrix of items x items, of at most {MOST}: leave out rare items, or use item-knn"
            );
            return Err(Error::input("items", n, want));
        }
        progress.begin("ease", None);
        checkpoint(progress)?;
        let mut gram = Array2::from_diag_elem(n, self.lambda);
        for items in task.interactions.by_user().iter() {
            for i in items {
                items.iter().for_each(|j| gram[[*i as usize, *j as usize]] += 1.0);
            }
        }
        let inverse = solve(gram.view(), Array2::eye(n).view())?;
        let weight = |(i, j): (usize, usize)| if i == j { 0.0 } else { (-inverse[[i, j]] / inverse[[j, j]]) as f32 };
        let weights = Array2::from_shape_fn((n, n), weight);
        Ok(Trained { model: Model::Linear(weights), losses: Vec::new(), notes: Vec::new() })
    }
}
