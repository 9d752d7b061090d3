//! RCAL on features: a Gaussian for each class, cleaned of wrong labels; rare classes borrow from frequent ones.
//!
//! Zhang, Zhao, Yao, Yuan, Huang: "When Noisy Labels Meet Long Tail Dilemmas: A Representation Calibration Method", ICCV 2023
//! (arXiv 2211.10955), section 3.2. Of each class k the rows whose local outlier factor says that they lie apart are left out;
//! the others give its mean μ and covariance Σ. The most frequent classes that together hold half of the rows are heads. Every
//! other class borrows from the q heads whose means are nearest, d_c = |μ_c − μ_k|²,
//!
//! > w_c = n_c d_c / Σ n_j d_j,  μ'_k = γ Σ w_c μ_c + (1 − γ) μ_k,  Σ'_k = γ Σ w_c Σ_c + (1 − γ) Σ_k + α 1 1ᵀ,
//!
//! and new rows are drawn from N(μ', Σ'). The weights are as printed, and as the text says: of the q heads the *farther* ones
//! count more. α is added to every entry of the covariance, not to its diagonal alone. The paper leaves open the outlier
//! factor's neighbours and limit, γ, which α it takes, and how many rows are drawn: 20 and 1.5, 0.3, 0.1 in units of the heads'
//! mean variance, and balanced classes are ours.
//!
//! Features should come from a model that has seen no labels; [`training::Rcal`](crate::training) learns such features and goes
//! on with them. Where wrong labels are spread evenly over the classes, a rare one can hold more wrong rows than right ones:
//! then its right ones are the outliers, and no method that looks at one class alone can know. A note says of which classes
//! many rows were left out.

use crate::{Labelled, Origin, Resampled, Resampler, Strategy};
use ndarray::{Array1, Array2, Axis};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings};
use quadrat_numeric::linalg::{cholesky, gram, product};
use quadrat_numeric::neighbours::{nearest, squared_distance};
use quadrat_numeric::outliers::local_outlier_factors;
use rayon::prelude::*;

/// RCAL on features.
///
/// Errors: nominal columns; values that are not finite; more than 4,096 columns (reduce them first); a strategy that does not
/// fit. Classes without rows are left alone; one of a single row lends its heads' spread; duplicates and constant columns give
/// new rows that do not vary there, but for α.
///
/// Cost: time of the exact neighbours within each class, O(rows x columns²) for covariances, O(classes x columns³) for their
/// roots; memory O(classes x columns²) and the rows made.
///
/// Source: Zhang et al. 2023, section 3.2 and algorithm 1.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, Rcal, Resampler};
/// let x = ndarray::Array2::from_shape_fn((60, 2), |(i, j)| (i * i % (7 + j)) as f64 + f64::from(i < 10));
/// let data = Labelled::new(x, (0..60).map(|i| u32::from(i < 10)).collect());
/// assert_eq!(Rcal::default().resample(&data, Seed(0), &Silent)?.table(&data).counts(), [50, 50]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Rcal {
    /// How many rows each class shall have.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Heads that a rare class borrows from.
    #[param(default = 3, from = 1)]
    pub q: usize,
    /// Share of what is borrowed.
    #[param(default = 0.3, from = 0, to = 1)]
    pub gamma: f64,
    /// Added to every entry of a rare class's covariance, in units of the heads' mean variance.
    #[param(default = 0.1, from = 0)]
    pub alpha: f64,
    /// Which of the heads borrowed from counts more.
    #[param(default = Lenders::Farther)]
    pub lenders: Lenders,
    /// Share of all rows that the heads hold together.
    #[param(default = 0.5, above = 0, to = 1)]
    pub heads: f64,
    /// Neighbours by which a row is found to lie apart from its class.
    #[param(default = 20, from = 1)]
    pub neighbours: usize,
    /// Local outlier factor above which a row is left out.
    #[param(default = 1.5, from = 1)]
    pub threshold: f64,
}

/// How the heads that a class borrows from share its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Lenders {
    /// By rows times squared distance, as the paper has it.
    Farther,
    /// By rows times exp(-squared distance / mean squared distance); not the paper's.
    Nearer,
}

impl Method for Rcal {
    const CARD: Card = Card {
        slug: "rcal",
        aliases: &[],
        title: "RCAL: representation calibration",
        paper: "Zhang, Zhao, Yao, Yuan, Huang: When Noisy Labels Meet Long Tail Dilemmas: A Representation Calibration Method. \
                ICCV 2023, arXiv 2211.10955",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "New rows of rare classes from Gaussians that are cleaned of outliers and borrow from the nearest frequent \
                  classes.",
        useful_when: "imbalanced labels that are partly wrong, many classes with a long tail, embeddings of a model that saw no \
                      labels",
        cost: "time grows with the square of each class's rows and with the square of columns; memory with classes times \
               columns squared",
        params: Self::PARAMS,
    };
}

/// A class's Gaussian.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassLaw {
    /// Rows of the class.
    pub rows: usize,
    /// The mean.
    pub mean: Array1<f64>,
    /// The covariance.
    pub covariance: Array2<f64>,
    /// The heads that it borrows from and their weights; none for a head.
    pub lenders: Vec<(u32, f64)>,
}

/// The Gaussians of all classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// One a class; none of a class without rows.
    pub classes: Vec<Option<ClassLaw>>,
    /// Which rows their means and covariances were computed from.
    pub kept: Vec<bool>,
}

/// Columns beyond which covariances of all classes are too much for a machine.
const COLUMNS: usize = 4096;

impl Rcal {
    /// Clean each class, and let rare ones borrow.
    ///
    /// # Errors
    /// As [`Rcal`].
    pub fn calibrate(&self, data: &Labelled, progress: &dyn Progress) -> Result<Calibrated> {
        data.check_numeric()?;
        if data.x.ncols() > COLUMNS {
            let want =
                format!("at most {COLUMNS}, whose covariances fit in memory: use fewer (principal components, say)");
            return Err(Error::input("columns", data.x.ncols(), want));
        }
        let robust = |class: usize| {
            let rows = data.rows_of(class as u32);
            if rows.is_empty() { Ok(None) } else { self.robust(data, &rows, progress).map(Some) }
        };
        let found = (0..data.classes.len()).into_par_iter().map(robust).collect::<Result<Vec<_>>>()?;
        let mut kept = vec![false; data.y.len()];
        let mut classes = Vec::with_capacity(found.len());
        for one in found {
            classes.push(one.map(|(law, rows)| {
                rows.into_iter().for_each(|row| kept[row] = true);
                law
            }));
        }
        let heads = heads(&classes, self.heads);
        let lending: Vec<(u32, ClassLaw)> =
            heads.iter().filter_map(|c| Some((*c, classes[*c as usize].clone()?))).collect();
        let variance = lending.iter().map(|(_, law)| law.covariance.diag().mean().unwrap_or(0.0)).sum::<f64>();
        let alpha = self.alpha * variance / lending.len().max(1) as f64;
        for (class, law) in classes.iter_mut().enumerate() {
            if let Some(law) = law.as_mut().filter(|_| !heads.contains(&(class as u32))) {
                self.borrow(law, &lending, alpha);
            }
        }
        Ok(Calibrated { classes, kept })
    }

    /// A class's mean and covariance without its outliers, and the rows that are left. The densest row's factor is at most 1,
    /// so that some are.
    fn robust(&self, data: &Labelled, rows: &[usize], progress: &dyn Progress) -> Result<(ClassLaw, Vec<usize>)> {
        let x = data.x.select(Axis(0), rows);
        let factors = local_outlier_factors(x.view(), self.neighbours, progress)?;
        let inside: Vec<usize> = (0..rows.len()).filter(|i| factors[*i] <= self.threshold).collect();
        let x = x.select(Axis(0), &inside);
        let mean = x.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(x.ncols()));
        let covariance = gram((&x - &mean).view(), None)? / (inside.len().max(2) - 1) as f64;
        let law = ClassLaw { rows: rows.len(), mean, covariance, lenders: Vec::new() };
        Ok((law, inside.into_iter().map(|i| rows[i]).collect()))
    }

    /// μ' and Σ' of a rare class.
    fn borrow(&self, law: &mut ClassLaw, heads: &[(u32, ClassLaw)], alpha: f64) {
        let squared = |head: &ClassLaw| squared_distance(&head.mean.to_vec(), &law.mean.to_vec());
        let mut near: Vec<(f64, &(u32, ClassLaw))> = heads.iter().map(|head| (squared(&head.1), head)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.0.cmp(&b.1.0)));
        near.truncate(self.q);
        let mean_distance = near.iter().map(|(d, _)| d).sum::<f64>() / near.len().max(1) as f64;
        let weigh = |(d, (_, head)): &(f64, &(u32, ClassLaw))| match self.lenders {
            // Means that all coincide leave the counts.
            _ if mean_distance == 0.0 => head.rows as f64,
            Lenders::Farther => head.rows as f64 * d / mean_distance,
            Lenders::Nearer => head.rows as f64 * (-d / mean_distance).exp(),
        };
        let weights: Vec<f64> = near.iter().map(weigh).collect();
        let sum: f64 = weights.iter().sum();
        law.mean *= 1.0 - self.gamma;
        law.covariance *= 1.0 - self.gamma;
        law.covariance += alpha;
        for (w, (_, (class, head))) in weights.iter().map(|w| w / sum).zip(&near) {
            law.mean.scaled_add(self.gamma * w, &head.mean);
            law.covariance.scaled_add(self.gamma * w, &head.covariance);
            law.lenders.push((*class, w));
        }
    }
}

/// The fewest of the most frequent classes that hold this share of all rows, the lower class first where counts tie.
fn heads(classes: &[Option<ClassLaw>], share: f64) -> Vec<u32> {
    let mut counts: Vec<(usize, u32)> =
        classes.iter().zip(0..).filter_map(|(law, class)| Some((law.as_ref()?.rows, class))).collect();
    counts.sort_by_key(|(rows, class)| (std::cmp::Reverse(*rows), *class));
    let all: usize = counts.iter().map(|(rows, _)| rows).sum();
    let mut held = 0;
    let needed = |(rows, class): (usize, u32)| {
        let more = (held as f64) < share * all as f64;
        held += rows;
        more.then_some(class)
    };
    counts.into_iter().map_while(needed).collect()
}

impl ClassLaw {
    /// Draws, a row each: row i from stream i.
    ///
    /// # Errors
    /// A covariance that is not finite.
    pub fn draw(&self, count: usize, seed: Seed) -> Result<Array2<f64>> {
        let d = self.mean.len();
        let mut normal = Array2::zeros((count, d));
        for (i, mut row) in normal.outer_iter_mut().enumerate() {
            let mut rng = seed.rng(i as u64);
            row.mapv_inplace(|_: f64| rng.normal());
        }
        Ok(product(normal.view(), self.root()?.t())? + &self.mean)
    }

    /// L with Σ = L Lᵀ. A covariance of few rows is singular: its diagonal is raised until it is not, by a millionth of the
    /// mean variance first and tenfold then.
    fn root(&self) -> Result<Array2<f64>> {
        let variance = self.covariance.diag().mean().unwrap_or(0.0);
        if variance == 0.0 {
            return Ok(Array2::zeros(self.covariance.raw_dim()));
        }
        let mut raised = self.covariance.clone();
        let mut by = 1e-6 * variance;
        loop {
            match cholesky(raised.view()) {
                Err(_) if by < variance => raised.diag_mut().mapv_inplace(|v| v + by),
                root => return root,
            }
            by *= 10.0;
        }
    }
}

impl Resampler for Rcal {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check_numeric()?;
        let wanted = self.strategy.new_rows(data)?;
        if wanted.is_empty() {
            return Ok(Resampled::of_kept(data, 0..data.y.len()));
        }
        let calibrated = self.calibrate(data, progress)?;
        let seed = seed.stream("rcal");
        let (mut origin, mut y): (Vec<Origin>, _) = ((0..data.y.len()).map(Origin::Kept).collect(), data.y.clone());
        let mut synthetic = Array2::zeros((0, data.x.ncols()));
        for (class, count) in wanted {
            let Some(law) = &calibrated.classes[class as usize] else { continue };
            let made = law.draw(count, seed.stream(&class.to_string()))?;
            let rows = data.rows_of(class).into_iter().filter(|row| calibrated.kept[*row]).collect::<Vec<_>>();
            let near = nearest(data.x.select(Axis(0), &rows).view(), made.view(), None, 1, progress)?;
            origin.extend(near.index.iter().map(|place| Origin::Drawn { near: rows[*place as usize] }));
            y.resize(y.len() + count, class);
            let wrong = |e: ndarray::ShapeError| Error::numeric("new rows", e.to_string());
            synthetic.append(Axis(0), made.view()).map_err(wrong)?;
        }
        Ok(Resampled { origin, synthetic, y, notes: calibrated.notes(data) })
    }
}

impl Calibrated {
    /// Which rows were left out, and who borrows from whom.
    fn notes(&self, data: &Labelled) -> Vec<String> {
        const SHOWN: usize = 8;
        let mut left_out = vec![0; self.classes.len()];
        self.kept.iter().zip(&data.y).filter(|(kept, _)| !**kept).for_each(|(_, y)| left_out[*y as usize] += 1);
        let mut notes = Vec::new();
        let all: usize = left_out.iter().sum();
        if all > 0 {
            notes.push(format!("{all} rows lie apart from their classes: what is drawn does not follow them"));
        }
        let mut borrowers = Vec::new();
        for ((law, class), out) in self.classes.iter().zip(0..).zip(left_out) {
            let Some(law) = law else { continue };
            if 10 * out > 3 * law.rows {
                let rows = law.rows;
                notes.push(format!(
                    "{out} of the {rows} rows of {} lie apart: are its labels right?",
                    data.class(class)
                ));
            }
            let lenders = law.lenders.iter().map(|(head, weight)| format!("{} ({weight:.2})", data.class(*head)));
            let lenders: Vec<String> = lenders.collect();
            if !lenders.is_empty() {
                borrowers.push(format!("{} from {}", data.class(class), lenders.join(", ")));
            }
        }
        if !borrowers.is_empty() {
            let more =
                if borrowers.len() > SHOWN { format!("; {} more", borrowers.len() - SHOWN) } else { String::new() };
            borrowers.truncate(SHOWN);
            notes.push(format!("borrows: {}{more}", borrowers.join("; ")));
        }
        notes
    }
}

#[cfg(test)]
mod tests;
