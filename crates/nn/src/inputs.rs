//! What a network is given.
//!
//! Most networks take rows of numbers and nothing else: these are *the* inputs. What does not belong among them (token
//! numbers, a time, a class, a condition) stands beside them under a name of its own, which a network declares by
//! [`Network::others`](crate::Network::others). [`Others`] and [`Rows`] hold them as plain arrays, [`Inputs`] as the
//! tensors of one pass.

use crate::Network;
use crate::forward::tensor_of;
use burn_tensor::{Device, Int, Tensor, TensorData};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use quadrat_core::{Error, Result};
use quadrat_numeric::check_finite;
use std::collections::BTreeMap;
use std::ops::Range;

/// An input that a network takes beside the rows of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Entries in a row.
    pub width: usize,
    /// Whole numbers from 0 to below this one; none: any finite numbers.
    pub below: Option<usize>,
}

impl Input {
    /// Rows of so many numbers.
    pub fn numbers(name: &str, width: usize) -> Self {
        Input { name: name.to_owned(), width, below: None }
    }

    /// Rows of so many whole numbers, each below `below`: tokens, classes, types.
    pub fn whole(name: &str, width: usize, below: usize) -> Self {
        Input { name: name.to_owned(), width, below: Some(below) }
    }

    fn told(&self) -> String {
        match self.below {
            Some(below) => format!("`{}`, {} whole numbers below {below}", self.name, self.width),
            None => format!("`{}`, {} numbers", self.name, self.width),
        }
    }
}

/// The rows of one named input, rows x width.
#[derive(Debug, Clone, PartialEq)]
pub enum Entries {
    /// Any numbers.
    Numbers(Array2<f32>),
    /// Whole numbers.
    Whole(Array2<u32>),
}

impl From<Array2<f32>> for Entries {
    fn from(rows: Array2<f32>) -> Self {
        Entries::Numbers(rows)
    }
}

impl From<Array2<u32>> for Entries {
    fn from(rows: Array2<u32>) -> Self {
        Entries::Whole(rows)
    }
}

impl Entries {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.dim().0
    }

    fn dim(&self) -> (usize, usize) {
        match self {
            Entries::Numbers(rows) => rows.dim(),
            Entries::Whole(rows) => rows.dim(),
        }
    }

    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        match self {
            Entries::Numbers(all) => Entries::Numbers(all.select(Axis(0), rows)),
            Entries::Whole(all) => Entries::Whole(all.select(Axis(0), rows)),
        }
    }

    /// The rows of both, if they are of one kind and width.
    pub(crate) fn joined(&self, other: &Entries) -> Option<Self> {
        match (self, other) {
            (Entries::Numbers(a), Entries::Numbers(b)) => join(a, b).map(Entries::Numbers),
            (Entries::Whole(a), Entries::Whole(b)) => join(a, b).map(Entries::Whole),
            _ => None,
        }
    }
}

/// The rows of both, if they are of one width.
pub(crate) fn join<T: Clone>(a: &Array2<T>, b: &Array2<T>) -> Option<Array2<T>> {
    concatenate(Axis(0), &[a.view(), b.view()]).ok()
}

/// Inputs by name, beside the rows of numbers.
pub type Others = BTreeMap<String, Entries>;

/// Rows that a network is asked about, borrowed: numbers, and the others by name. Views of arrays and samples become
/// them by themselves.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    numbers: ArrayView2<'a, f32>,
    others: &'a Others,
    /// Where these rows begin in the others.
    first: usize,
}

/// Most rows have none.
static NO_OTHERS: Others = Others::new();

impl<'a> From<ArrayView2<'a, f32>> for Rows<'a> {
    fn from(numbers: ArrayView2<'a, f32>) -> Self {
        Rows::new(numbers, &NO_OTHERS)
    }
}

impl<'a> Rows<'a> {
    /// Numbers, and as many rows of each of the others. A network that takes no numbers is given rows of none.
    pub fn new(numbers: ArrayView2<'a, f32>, others: &'a Others) -> Self {
        Rows { numbers, others, first: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.nrows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of them.
    pub(crate) fn part(self, rows: Range<usize>) -> Self {
        let first = self.first + rows.start;
        Rows { numbers: self.numbers.slice_move(s![rows, ..]), first, ..self }
    }

    /// That these are what the network takes, as far as that does not depend on single entries.
    pub(crate) fn check_kind(&self, network: &dyn Network) -> Result<()> {
        if self.numbers.ncols() != network.inputs() {
            let want = format!("the network takes {}", network.inputs());
            return Err(Error::input("inputs", format!("rows of {} numbers", self.numbers.ncols()), want));
        }
        let declared = network.others();
        let told = || match declared.is_empty() {
            true => "the network takes rows of numbers alone".to_owned(),
            false => format!("the network takes {}", declared.iter().map(Input::told).collect::<Vec<_>>().join("; ")),
        };
        if let Some(name) = self.others.keys().find(|name| declared.iter().all(|input| input.name != **name)) {
            return Err(Error::input("inputs", format!("one called `{name}`"), told()));
        }
        for input in &declared {
            let entries = self.others.get(&input.name);
            let entries = entries.ok_or_else(|| Error::input("inputs", format!("no `{}`", input.name), told()))?;
            let (rows, width) = entries.dim();
            let kind = if matches!(entries, Entries::Whole(_)) { "whole numbers" } else { "numbers" };
            if width != input.width || matches!(entries, Entries::Whole(_)) != input.below.is_some() {
                return Err(Error::input(format!("input `{}`", input.name), format!("{width} {kind}"), told()));
            }
            if rows < self.first + self.len() {
                let want = format!("{}, as there are of the others", self.first + self.len());
                return Err(Error::input(format!("input `{}`", input.name), format!("{rows} rows"), want));
            }
        }
        Ok(())
    }

    /// That all numbers are finite.
    pub(crate) fn check_finite(&self) -> Result<()> {
        check_finite("inputs", self.numbers)?;
        for (name, entries) in self.others {
            if let Entries::Numbers(rows) = entries {
                check_finite(&format!("input `{name}`"), rows.view())?;
            }
        }
        Ok(())
    }

    /// The tensors of one pass, for a gradient graph if `tracked`.
    ///
    /// # Errors
    /// Another width than the network takes, a name that is missing or foreign, a whole number out of range.
    pub(crate) fn tensors(&self, network: &dyn Network, tracked: bool) -> Result<Inputs> {
        self.check_kind(network)?;
        let rows = self.first..self.first + self.len();
        let mut inputs = Inputs::of(tensor_of(self.numbers, tracked));
        for Input { name, width, below } in network.others() {
            let given = match self.others.get(&name) {
                Some(Entries::Numbers(all)) => Given::Numbers(tensor_of(all.slice(s![rows.clone(), ..]), tracked)),
                Some(Entries::Whole(all)) => {
                    let below = below.unwrap_or_default();
                    let some = all.slice(s![rows.clone(), ..]);
                    if let Some(((row, _), &n)) = some.indexed_iter().find(|(_, n)| **n as usize >= below) {
                        let what = format!("`{name}` of row {}", rows.start + row);
                        return Err(Error::input(what, n, format!("a whole number below {below}")));
                    }
                    let numbers: Vec<i32> = some.iter().map(|&n| n as i32).collect();
                    let device = if tracked { Device::flex().autodiff() } else { Device::flex() };
                    Given::Whole(Tensor::from_data(TensorData::new(numbers, [rows.len(), width]), &device))
                }
                None => continue,
            };
            inputs.others.push((name, given));
        }
        Ok(inputs)
    }
}

/// What a network is given in one pass: rows of numbers, and other inputs by name.
#[derive(Debug, Clone)]
pub struct Inputs {
    numbers: Tensor<2>,
    others: Vec<(String, Given)>,
}

#[derive(Debug, Clone)]
enum Given {
    Numbers(Tensor<2>),
    Whole(Tensor<2, Int>),
}

impl Inputs {
    /// Rows of numbers alone.
    pub fn of(numbers: Tensor<2>) -> Self {
        Inputs { numbers, others: Vec::new() }
    }

    /// The same others beside other numbers, as a network that prepares them for the one within needs.
    pub fn with(&self, numbers: Tensor<2>) -> Self {
        Inputs { numbers, others: self.others.clone() }
    }

    /// The same with another input of numbers, rows x width, in the place of one of that name: for a network that asks the one
    /// within it several times, at a time of its own each.
    pub fn beside(mut self, name: &str, numbers: Tensor<2>) -> Self {
        self.others.retain(|(other, _)| other != name);
        self.others.push((name.to_owned(), Given::Numbers(numbers)));
        self
    }

    /// The rows of numbers; of width 0 for a network that takes none.
    pub fn numbers(&self) -> Tensor<2> {
        self.numbers.clone()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.numbers.dims()[0]
    }

    /// Another input of numbers, rows x width.
    ///
    /// # Errors
    /// The network did not declare it, or as whole numbers.
    pub fn other(&self, name: &str) -> Result<Tensor<2>> {
        match self.find(name)? {
            Given::Numbers(rows) => Ok(rows.clone()),
            Given::Whole(_) => Err(Error::input(format!("input `{name}`"), "whole numbers", "read it by `whole`")),
        }
    }

    /// An input of whole numbers, rows x width.
    ///
    /// # Errors
    /// The network did not declare it, or as numbers of any kind.
    pub fn whole(&self, name: &str) -> Result<Tensor<2, Int>> {
        match self.find(name)? {
            Given::Whole(rows) => Ok(rows.clone()),
            Given::Numbers(_) => Err(Error::input(format!("input `{name}`"), "any numbers", "read it by `other`")),
        }
    }

    fn find(&self, name: &str) -> Result<&Given> {
        let found = self.others.iter().find(|(n, _)| n == name).map(|(_, given)| given);
        found.ok_or_else(|| Error::input("inputs", format!("no `{name}`"), "the network must declare it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Parameters;
    use crate::{Forward, Spec, predict};
    use quadrat_core::Seed;

    /// Adds up everything it is given.
    struct Sum;

    impl Network for Sum {
        fn inputs(&self) -> usize {
            2
        }
        fn others(&self) -> Vec<Input> {
            vec![Input::numbers("time", 1), Input::whole("class", 1, 3)]
        }
        fn outputs(&self) -> usize {
            1
        }
        fn parameters(&self) -> Vec<Spec> {
            Vec::new()
        }
        fn forward(&self, _: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
            Ok(inputs.numbers().sum_dim(1) + inputs.other("time")? + inputs.whole("class")?.float())
        }
    }

    fn given(time: impl Into<Entries>, class: impl Into<Entries>) -> Others {
        [("time".to_owned(), time.into()), ("class".to_owned(), class.into())].into()
    }

    #[test]
    fn named_inputs_arrive_with_their_rows() {
        let n = 600;
        let numbers = Array2::from_shape_fn((n, 2), |(i, j)| (i + j) as f32);
        let class = Array2::from_shape_fn((n, 1), |(i, _)| i as u32 % 3);
        let others = given(Array2::from_shape_fn((n, 1), |(i, _)| 0.5 * i as f32), class);
        let parameters = Parameters::new([], Seed(0)).unwrap();
        let sums = predict(&Sum, &parameters, Rows::new(numbers.view(), &others), &[]).unwrap();
        for (i, sum) in sums.iter().enumerate() {
            assert_eq!(*sum, (2 * i + 1) as f32 + 0.5 * i as f32 + (i % 3) as f32);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (time, class) = (Array2::<f32>::zeros((2, 1)), Array2::<u32>::zeros((2, 1)));
        let message = |numbers: usize, others: Others| {
            let numbers = Array2::<f32>::zeros((2, numbers));
            let parameters = Parameters::new([], Seed(0)).unwrap();
            let asked = predict(&Sum, &parameters, Rows::new(numbers.view(), &others), &[]);
            asked.unwrap_err().to_string()
        };
        let mut without = given(time.clone(), class.clone());
        without.remove("class");
        let mut foreign = given(time.clone(), class.clone());
        foreign.insert("noise".into(), time.clone().into());
        for (numbers, others, words) in [
            (3, given(time.clone(), class.clone()), "rows of 3 numbers"),
            (2, without, "no `class`"),
            (2, foreign, "`noise`"),
            (2, given(Array2::<f32>::zeros((2, 2)), class.clone()), "input `time`: got 2 numbers"),
            (2, given(class.clone(), class.clone()), "input `time`: got 1 whole numbers"),
            (2, given(time.clone(), Array2::<f32>::zeros((2, 1))), "input `class`: got 1 numbers"),
            (2, given(time.clone(), Array2::from_elem((2, 1), 3u32)), "`class` of row 0: got 3"),
            (2, given(Array2::from_elem((2, 1), f32::NAN), class.clone()), "input `time`, row 0"),
            (2, given(time, Array2::<u32>::zeros((1, 1))), "input `class`: got 1 rows"),
        ] {
            let message = message(numbers, others);
            assert!(message.contains(words), "{words}: {message}");
        }
        let message = predict(&Sum, &Parameters::default(), Array2::<f32>::zeros((1, 2)).view(), &[]);
        assert!(message.unwrap_err().to_string().contains("no `time`; the network takes"), "bare rows");
    }
}
