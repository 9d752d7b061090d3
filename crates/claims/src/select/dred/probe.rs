//! How much a trunk tells of the level: what a softmax regression from its activations to the level's number loses.

use ndarray::{Array1, Array2, Axis, concatenate};
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::layers::{Activation, Adam, Layers, Start};
use quadrat_select::levels::{Agent, Rehearsal};

/// Steps of Adam, and its step size: on standardised activations the loss has come to rest by then.
const STEPS: usize = 150;
const RATE: f64 = 0.05;
/// Rows of an episode.
const ROWS: usize = 8;

/// Mean log-loss in nats and accuracy on episodes that the probe has not seen. `episodes` are ten of each of `levels` levels, one
/// level after the other; of each ten, seven teach.
pub(super) fn level(agent: &Agent<f32>, episodes: &[Rehearsal], levels: usize, seed: Seed) -> Result<[f64; 2]> {
    let mut parts = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    let mut rng = seed.rng(0);
    for (at, episode) in episodes.iter().enumerate() {
        let rows = rng.sample(episode.seen.nrows(), ROWS);
        let (x, y) = &mut parts[usize::from(at % 10 >= 7)];
        x.push(agent.trunk(episode.seen.select(Axis(0), &rows).view()));
        y.extend(vec![at / 10; rows.len()]);
    }
    let [(teach, teach_y), (test, test_y)] = parts;
    let joined = |parts: &[Array2<f32>]| {
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(0), &views).map_err(|e| Error::numeric("probe", e.to_string()))
    };
    let (mut teach, mut test) = (joined(&teach)?, joined(&test)?);
    let mean = teach.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(teach.ncols()));
    let spread = teach.std_axis(Axis(0), 0.0).mapv(|s: f32| s.max(1e-3));
    for x in [&mut teach, &mut test] {
        *x -= &mean;
        *x /= &spread;
    }
    let mut net = Layers::<f32>::random(&[teach.ncols(), levels], Activation::Relu, Start::Uniform, &mut rng);
    let (mut adam, mut slope) = (Adam::new(&net), net.zeros());
    for _ in 0..STEPS {
        let values = net.forward(teach.clone());
        let mut delta = shares(&values[1]);
        teach_y.iter().enumerate().for_each(|(row, level)| delta[[row, *level]] -= 1.0);
        delta /= teach_y.len() as f32;
        net.backward(&values, delta, &mut slope);
        adam.step(&mut net, &mut slope, RATE);
    }
    let found = shares(&net.outputs(test.view()));
    let (mut loss, mut right) = (0.0, 0.0);
    for (row, level) in found.outer_iter().zip(&test_y) {
        loss -= f64::from(row[*level].max(1e-12)).ln();
        right += f64::from(u8::from(row.iter().all(|share| *share <= row[*level])));
    }
    let n = test_y.len() as f64;
    Ok([loss / n, right / n])
}

/// Softmax of each row.
fn shares(scores: &Array2<f32>) -> Array2<f32> {
    let mut shares = scores.clone();
    for mut row in shares.outer_iter_mut() {
        let most = row.fold(f32::NEG_INFINITY, |most, score| most.max(*score));
        row.mapv_inplace(|score| (score - most).exp());
        let sum = row.sum();
        row /= sum;
    }
    shares
}
