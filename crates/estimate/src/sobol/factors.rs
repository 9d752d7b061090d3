//! What indices are of: inputs alone or in groups, independent or coupled.
//!
//! A factor is a set of inputs whose share of the variance is wanted as one. With factors that are independent of each
//! other (inputs inside a factor may depend), S and T are the usual indices of the factors. With correlations across
//! factors they are those of Kucherenko, Tarantola and Annoni, "Estimation of global sensitivity indices for models with
//! dependent variables", Comput. Phys. Commun. 183 (2012): S_u = Var(E[Y | X_u]) / V counts what X_u says about Y, what it
//! shares with others included; T_u = E[Var(Y | X_~u)] / V counts what is left of the variance once all others are known.
//! First orders may then sum to more than 1, and T_u may be below S_u.
//!
//! Conditional draws need no further random numbers (Matheron's rule): with two independent draws z and z' of the normal
//! scores, z'_u + R_uw R_ww^-1 (z_w - z'_w) has the law of the scores u given z_w.

use super::{Input, check_inputs};
use crate::laws::{Inputs, Law, lower_inverse};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use quadrat_numeric::linalg::cholesky;

/// Inputs of a model with their joint law, and the sets of them that indices are of.
///
/// ```
/// use quadrat_estimate::Law;
/// use quadrat_estimate::sobol::{Factors, Input};
/// let input = |name: &str| Input { name: name.into(), law: Law::Uniform { min: 0.0, max: 1.0 } };
/// let factors = Factors::of(&[input("a"), input("b"), input("c")])?;
/// // Two coupled inputs are one factor, so that the factors are independent.
/// let factors = factors.grouped(&[Some("soil"), Some("soil"), None])?;
/// let correlations = ndarray::array![[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// let factors = factors.correlated(correlations.view())?;
/// assert_eq!(factors.names(), ["soil", "c"]);
/// assert!(!factors.dependent());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Factors {
    inputs: Vec<Input>,
    joint: Inputs,
    correlations: Option<Array2<f64>>,
    names: Vec<String>,
    members: Vec<Vec<usize>>,
    /// For each factor the slopes of its own scores on the others' and of the others' on its own; none where factors are
    /// independent of each other.
    slopes: Vec<[Array2<f64>; 2]>,
}

impl Factors {
    /// Every input alone, independent.
    ///
    /// # Errors
    /// No inputs, two of one name, laws that are none.
    pub fn of(inputs: &[Input]) -> Result<Factors> {
        check_inputs(inputs)?;
        Ok(Factors {
            joint: Inputs::independent(inputs.iter().map(|input| input.law).collect())?,
            correlations: None,
            names: inputs.iter().map(|input| input.name.clone()).collect(),
            members: (0..inputs.len()).map(|i| vec![i]).collect(),
            slopes: Vec::new(),
            inputs: inputs.to_vec(),
        })
    }

    /// Inputs with the same group's name become one factor; those without one stay alone.
    ///
    /// # Errors
    /// Another number of entries than inputs; a group with the name of an input that stands alone.
    pub fn grouped(mut self, groups: &[Option<&str>]) -> Result<Factors> {
        if groups.len() != self.inputs.len() {
            let want = format!("give one for each of {} inputs", self.inputs.len());
            return Err(Error::input("groups", groups.len(), want));
        }
        let mut factors: Vec<(&str, bool, Vec<usize>)> = Vec::new();
        for (i, (input, group)) in self.inputs.iter().zip(groups).enumerate() {
            let name = group.unwrap_or(&input.name);
            match factors.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, true, members)) if group.is_some() => members.push(i),
                Some(_) => {
                    let want = "a group must not have the name of an input outside it";
                    return Err(Error::input("group", format!("`{name}`"), want));
                }
                None => factors.push((name, group.is_some(), vec![i])),
            }
        }
        self.names = factors.iter().map(|(name, ..)| (*name).to_owned()).collect();
        self.members = factors.into_iter().map(|(.., members)| members).collect();
        self.couple()
    }

    /// Couples the inputs by a Gaussian copula: `correlations` are those of their normal scores.
    ///
    /// # Errors
    /// A matrix of another size, that is not symmetric with ones on its diagonal, or that is not positive definite.
    pub fn correlated(mut self, correlations: ArrayView2<f64>) -> Result<Factors> {
        self.joint = Inputs::correlated(self.joint.laws().to_vec(), correlations)?;
        self.correlations = Some(correlations.to_owned());
        self.couple()
    }

    /// The slopes, where a correlation crosses factors.
    fn couple(mut self) -> Result<Factors> {
        self.slopes.clear();
        let Some(r) = &self.correlations else { return Ok(self) };
        let crosses = |members: &Vec<usize>| {
            members.iter().any(|i| (0..r.nrows()).any(|k| r[[*i, k]] != 0.0 && !members.contains(&k)))
        };
        if !self.members.iter().any(crosses) {
            return Ok(self);
        }
        let precision = inverse(r.view())?;
        for (own, rest) in self.members.iter().zip(self.rests()) {
            let block = |matrix: &Array2<f64>, rows: &[usize], columns: &[usize]| {
                matrix.select(Axis(0), rows).select(Axis(1), columns)
            };
            let of_rest = -inverse(block(&precision, own, own).view())?.dot(&block(&precision, own, &rest));
            let of_own = block(r, &rest, own).dot(&inverse(block(r, own, own).view())?);
            self.slopes.push([of_rest, of_own]);
        }
        Ok(self)
    }

    /// For each factor the inputs outside it.
    fn rests(&self) -> Vec<Vec<usize>> {
        let outside = |members: &Vec<usize>| (0..self.inputs.len()).filter(|i| !members.contains(i)).collect();
        self.members.iter().map(outside).collect()
    }

    /// The inputs.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Their joint law.
    pub fn joint(&self) -> &Inputs {
        &self.joint
    }

    /// The factors' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many factors.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The inputs of a factor.
    pub fn members(&self, factor: usize) -> &[usize] {
        &self.members[factor]
    }

    /// Whether factors depend on each other, which changes what their indices mean.
    pub fn dependent(&self) -> bool {
        !self.slopes.is_empty()
    }

    pub(super) fn law(&self, input: usize) -> &Law {
        &self.inputs[input].law
    }

    /// Inputs and their coupled normal scores from numbers in (0, 1); no scores where nothing is coupled.
    pub(super) fn at_uniform(&self, u: &[f64]) -> (Vec<f64>, Vec<f64>) {
        if self.correlations.is_none() {
            return (u.iter().zip(&self.inputs).map(|(u, input)| input.law.at_uniform(*u)).collect(), Vec::new());
        }
        let mut z: Vec<f64> = u.iter().map(|u| quadrat_core::stats::normal_quantile(*u)).collect();
        self.joint.couple(&mut z);
        (z.iter().zip(&self.inputs).map(|(z, input)| input.law.at_normal(*z)).collect(), z)
    }

    /// Writes into `row` the inputs of a factor (or, with `own` false, all others) as drawn given the rest of the scores
    /// `z`, with the randomness of the scores `other`.
    pub(super) fn draw_given(&self, factor: usize, own: bool, z: &[f64], other: &[f64], row: &mut [f64]) {
        let members = &self.members[factor];
        let rest: Vec<usize> = (0..self.inputs.len()).filter(|i| !members.contains(i)).collect();
        let (drawn, given) = if own { (members, &rest) } else { (&rest, members) };
        let slope = &self.slopes[factor][usize::from(!own)];
        for (row_of, i) in drawn.iter().enumerate() {
            let shift: f64 = given.iter().enumerate().map(|(k, w)| slope[[row_of, k]] * (z[*w] - other[*w])).sum();
            row[*i] = self.law(*i).at_normal(other[*i] + shift);
        }
    }
}

/// The inverse of a symmetric positive definite matrix.
fn inverse(matrix: ArrayView2<f64>) -> Result<Array2<f64>> {
    let half = lower_inverse(&cholesky(matrix)?);
    Ok(half.t().dot(&half))
}
