//! A ticket put to a new task: by a probe, a prompt, or fine-tuning.

use super::SIDE;
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_data::builtin::photographs;
use quadrat_nn::{ConvNet, Network, Parameters, Samples, Trainer, initialise, predict};
use quadrat_regularize::{FixedMask, LinearProbe, Mapping, Prompt, Ticket, VisualPrompt, classes_of, random_mask};

/// The first `shots` rows of each class.
pub(super) fn few_of_each(samples: &Samples, shots: usize) -> Result<Samples> {
    let labels = classes_of(samples)?;
    let mut rows = Vec::new();
    for class in 0..samples.outputs() as u32 {
        let of_class = (0..labels.len() as u32).filter(|&row| labels[row as usize] == class).take(shots);
        let before = rows.len();
        rows.extend(of_class);
        if rows.len() - before < shots {
            let got = format!("{} images of class {class}", rows.len() - before);
            return Err(Error::input("images to adapt to", got, format!("{shots} of each class")));
        }
    }
    Ok(samples.select(&rows))
}

/// Images in the middle of black ones of the source's size.
pub(super) fn in_the_middle(images: &Array2<f32>, side: usize) -> Array2<f32> {
    let before = (SIDE - side).div_ceil(2);
    Array2::from_shape_fn((images.nrows(), SIDE * SIDE), |(row, i)| {
        let (y, x) = ((i / SIDE).wrapping_sub(before), (i % SIDE).wrapping_sub(before));
        if y < side && x < side { images[[row, y * side + x]] } else { 0.0 }
    })
}

pub(super) fn probe(
    network: &dyn Network,
    parameters: &Parameters,
    train: &Samples,
    test: &Samples,
    side: usize,
    seed: Seed,
) -> Result<Array2<f32>> {
    let train = train.with_inputs(in_the_middle(&train.inputs, side));
    let probe = LinearProbe::fit(network, parameters, &train, seed)?;
    probe.predict(network, parameters, in_the_middle(&test.inputs, side).view())
}

pub(super) fn prompt(
    network: &dyn Network,
    parameters: &Parameters,
    train: &Samples,
    test: &Samples,
    side: usize,
    epochs: usize,
    seed: Seed,
) -> Result<Array2<f32>> {
    let prompt = Prompt::new(network, [1, SIDE, SIDE], [1, side, side], train.outputs())?;
    let method = VisualPrompt { mapping: Mapping::Iterative, epochs, ..VisualPrompt::default() };
    let fitted = method.fit(&prompt, parameters, train, seed, &Silent)?;
    predict(&prompt, &fitted, test.inputs.view(), &[])
}

/// All that is alive of a network trained further, with a head of its own for the new classes.
pub(super) fn fine_tune(
    network: &ConvNet,
    state: &Ticket,
    train: &Samples,
    test: &Samples,
    side: usize,
    seed: Seed,
) -> Result<Array2<f32>> {
    let is_head = |name: &str| name.starts_with("fc2.");
    let network = ConvNet { outputs: train.outputs(), ..network.clone() };
    let mut parameters = initialise(&network, seed.stream("head"))?;
    for parameter in state.parameters.iter().filter(|p| !is_head(&p.name)) {
        parameters.get_mut(&parameter.name)?.set(&parameter.dense())?;
    }
    let masks = state.masks.iter().filter(|(name, _)| !is_head(name)).cloned().collect();
    let train = train.with_inputs(in_the_middle(&train.inputs, side));
    let trainer = Trainer { epochs: 50, batch: 32, rate: 1e-3, seed, ..Trainer::default() };
    let fit = trainer.fit_from(&network, parameters, &train, None, &mut [&mut FixedMask { masks }], &Silent)?;
    predict(&network, &fit.parameters, in_the_middle(&test.inputs, side).view(), &[])
}

/// Grey squares cut from the left or the right halves of the photographs, each of which is a class.
pub(super) fn textures(side: usize, n: usize, right: bool, seed: Seed) -> Result<Samples> {
    let pictures = photographs().iter().map(|photograph| {
        let pixels = photograph.pixels()?;
        pixels.mean_axis(Axis(0)).ok_or_else(|| Error::data(photograph.name, None, "no pixels"))
    });
    let pictures: Vec<Array2<f32>> = pictures.collect::<Result<_>>()?;
    let mut squares = Array2::zeros((n, side * side));
    for (i, mut square) in squares.outer_iter_mut().enumerate() {
        let (mut rng, picture) = (seed.rng(i as u64), &pictures[i % pictures.len()]);
        let (h, half) = (picture.nrows(), picture.ncols() / 2);
        let (top, left) = (rng.below(h - side + 1), rng.below(half - side + 1) + if right { half } else { 0 });
        square.iter_mut().enumerate().for_each(|(j, v)| *v = picture[[top + j / side, left + j % side]]);
    }
    Samples::classes(squares, (0..n).map(|i| (i % pictures.len()) as u32).collect(), pictures.len())
}

/// As many alive positions in each layer as the ticket has, drawn anew.
pub(super) fn reshuffled(ticket: &Ticket, seed: Seed) -> Vec<(String, Vec<bool>)> {
    let drawn = |(i, (name, mask)): (usize, &(String, Vec<bool>))| {
        let alive = mask.iter().filter(|alive| **alive).count();
        (name.clone(), random_mask(mask.len(), alive, &mut seed.stream(name).rng(i as u64)))
    };
    ticket.masks.iter().enumerate().map(drawn).collect()
}
