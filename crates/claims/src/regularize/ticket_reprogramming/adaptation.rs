//! New tasks, and a network put to them by a probe or a prompt.

use super::{SIDE, SOURCE};
use crate::networks::parts;
use ndarray::{Array2, Axis, concatenate};
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_nn::{ConvNet, Samples, predict};
use quadrat_regularize::{LinearProbe, Prompt, Ticket, VisualPrompt, classes_of};

/// The images that everything is drawn from, at the sizes at which they are shown.
pub(super) struct Images {
    pub digits: Samples,
    pub clothes: Samples,
    pub small_digits: Samples,
    pub small_clothes: Samples,
}

/// A new task: a few images of each class to adapt to, others to test on, and the pixels of their sides.
pub(super) struct Task {
    pub name: &'static str,
    pub side: usize,
    pub few: Samples,
    pub test: Samples,
}

/// The network's old task, rows to test it on, and the new ones. No image is used twice.
pub(super) fn tasks(
    all: &Images,
    [source, upstream, test]: [usize; 3],
    shots: usize,
    seed: Seed,
) -> Result<(Samples, Samples, Vec<Task>)> {
    let pool = 30 * shots;
    let [digits, digits_test] = parts(&all.digits, [source, upstream], seed);
    let sizes = [source, upstream, pool, test];
    let [clothes, clothes_test, ..] = parts(&all.clothes, sizes, seed);
    let [_, _, other, other_test] = parts(&all.small_clothes, sizes, seed);
    let [small, small_test] = parts(&all.small_digits, [pool, test], seed);
    let turned = |s: &Samples| {
        let last = s.inputs.ncols() - 1;
        s.with_inputs(Array2::from_shape_fn(s.inputs.dim(), |(row, i)| 1.0 - s.inputs[[row, last - i]]))
    };
    let task = |name, rows: &Samples, test: Samples| -> Result<Task> {
        Ok(Task { name, side: test.inputs.ncols().isqrt(), few: few_of_each(rows, shots)?, test })
    };
    let new = vec![task("digits", &small, small_test)?, task("clothes", &turned(&other), turned(&other_test))?];
    Ok((twenty(&digits, &clothes)?, twenty(&digits_test, &clothes_test)?, new))
}

/// Ten classes of digits, then ten of clothes.
fn twenty(digits: &Samples, clothes: &Samples) -> Result<Samples> {
    let joined = concatenate(Axis(0), &[digits.inputs.view(), clothes.inputs.view()]);
    let joined = joined.map_err(|e| Error::numeric("images", e.to_string()))?;
    let mut classes = classes_of(digits)?.to_vec();
    classes.extend(classes_of(clothes)?.iter().map(|label| label + 10));
    Samples::classes(joined, classes, SOURCE)
}

/// The first `shots` rows of each class.
fn few_of_each(samples: &Samples, shots: usize) -> Result<Samples> {
    let labels = classes_of(samples)?;
    let of = |class: u32| (0..labels.len() as u32).filter(move |&row| labels[row as usize] == class).take(shots);
    let rows: Vec<u32> = (0..samples.outputs() as u32).flat_map(of).collect();
    if rows.len() < shots * samples.outputs() {
        return Err(Error::input("images to adapt to", rows.len(), format!("{shots} of each class")));
    }
    Ok(samples.select(&rows))
}

/// A way to put a frozen network to a new task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    Probe,
    Prompt,
}

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Way::Probe => "probe",
            Way::Prompt => "prompt",
        }
    }

    /// Scores for the test images of a state that was adapted at a learning rate. A prompt takes so many steps: few
    /// images are one batch, so an epoch is a step.
    pub fn scores(
        self,
        (network, state): (&ConvNet, &Ticket),
        task: &Task,
        (rate, steps): (f64, usize),
        seed: Seed,
    ) -> Result<Array2<f32>> {
        let few = &task.few;
        match self {
            Way::Probe => {
                let few = few.with_inputs(in_the_middle(&few.inputs, task.side));
                let probe = LinearProbe::fit_at(rate, network, &state.parameters, &few, seed)?;
                probe.predict(network, &state.parameters, in_the_middle(&task.test.inputs, task.side).view())
            }
            Way::Prompt => {
                let prompt = Prompt::new(network, [1, SIDE, SIDE], [1, task.side, task.side], few.outputs())?;
                let method = VisualPrompt { epochs: steps, rate, ..VisualPrompt::default() };
                let fitted = method.fit(&prompt, &state.parameters, few, seed, &Silent)?;
                predict(&prompt, &fitted, task.test.inputs.view(), &[])
            }
        }
    }
}

/// Images in the middle of black ones of the source's size.
fn in_the_middle(images: &Array2<f32>, side: usize) -> Array2<f32> {
    let before = (SIDE - side).div_ceil(2);
    Array2::from_shape_fn((images.nrows(), SIDE * SIDE), |(row, i)| {
        let (y, x) = ((i / SIDE).wrapping_sub(before), (i % SIDE).wrapping_sub(before));
        if y < side && x < side { images[[row, y * side + x]] } else { 0.0 }
    })
}
