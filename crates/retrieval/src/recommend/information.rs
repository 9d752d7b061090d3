//! How much two fields tell of each other.

use super::{Features, Field};
use ndarray::Array2;
use quadrat_core::{Choice, Seed};

/// How mutual information is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Estimator {
    /// The frequencies are taken for the probabilities, as the paper has it; fields of many values get too much.
    Plugin,
    /// Plug-in, less what is left of it when one of the two fields is shuffled over the items.
    Adjusted,
    /// Plug-in, divided by the root of the product of both entropies.
    Normalised,
}

/// What counts as the value of an item that has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum ManyValues {
    /// Each of them, with an equal share of the item.
    Spread,
    /// All of them together, as one value.
    Joint,
}

/// Shuffles whose mean is what chance leaves.
const SHUFFLES: usize = 8;

/// Fields x fields: the mutual information of each pair in nats, every row counted once and a missing value as a value of its own,
///
/// `MI(V, W) = sum over values v, w of P(v, w) ln(P(v, w) / (P(v) P(w)))`,
///
/// and on the diagonal the entropy of the field. `seed` is for the shuffles of [`Estimator::Adjusted`].
///
/// Cost: for each pair of fields O(values of a row in one x in the other) a row, and a sort of these.
pub fn mutual_information(features: &Features, estimator: Estimator, many: ManyValues, seed: Seed) -> Array2<f64> {
    let fields: Vec<Vec<Vec<u32>>> = features.fields().iter().map(|field| symbols(field, many)).collect();
    let entropies: Vec<f64> = fields.iter().map(|rows| entropy(rows)).collect();
    let mut table = Array2::from_diag(&ndarray::arr1(&entropies));
    for i in 0..fields.len() {
        for j in i + 1..fields.len() {
            let plugin = information(&fields[i], &fields[j]);
            let value = match estimator {
                Estimator::Plugin => plugin,
                Estimator::Normalised => {
                    let scale = (entropies[i] * entropies[j]).sqrt();
                    if scale > 0.0 { plugin / scale } else { 0.0 }
                }
                Estimator::Adjusted => {
                    let stream = seed.stream("shuffles").stream(&format!("{i} {j}"));
                    let by_chance = |shuffle: usize| {
                        let mut rows = fields[j].clone();
                        stream.rng(shuffle as u64).shuffle(&mut rows);
                        information(&fields[i], &rows)
                    };
                    plugin - (0..SHUFFLES).map(by_chance).sum::<f64>() / SHUFFLES as f64
                }
            };
            table[[i, j]] = value;
            table[[j, i]] = value;
        }
    }
    if estimator == Estimator::Normalised {
        table.diag_mut().fill(1.0);
    }
    table
}

/// The values of each row, one at least.
fn symbols(field: &Field, many: ManyValues) -> Vec<Vec<u32>> {
    let lists = field.values.iter().map(|values| if values.is_empty() { vec![0] } else { values.to_vec() });
    if many == ManyValues::Spread {
        return lists.collect();
    }
    let mut known = std::collections::HashMap::new();
    lists
        .map(|mut values| {
            values.sort_unstable();
            let next = known.len() as u32;
            vec![*known.entry(values).or_insert(next)]
        })
        .collect()
}

fn entropy(rows: &[Vec<u32>]) -> f64 {
    let each = rows.iter().flat_map(|values| values.iter().map(|v| (u64::from(*v), 1.0 / values.len() as f64)));
    -masses(each.collect()).iter().map(|(_, mass)| mass / rows.len() as f64).map(|p| p * p.ln()).sum::<f64>()
}

fn information(a: &[Vec<u32>], b: &[Vec<u32>]) -> f64 {
    let n = a.len() as f64;
    let alone = |rows: &[Vec<u32>]| {
        let each = rows.iter().flat_map(|values| values.iter().map(|v| (u64::from(*v), 1.0 / values.len() as f64)));
        let masses = masses(each.collect());
        let most = masses.last().map_or(0, |(value, _)| *value as usize);
        let mut table = vec![0.0; most + 1];
        masses.into_iter().for_each(|(value, mass)| table[value as usize] = mass);
        table
    };
    let (of_a, of_b) = (alone(a), alone(b));
    let mut pairs = Vec::new();
    for (a, b) in a.iter().zip(b) {
        let share = 1.0 / (a.len() * b.len()) as f64;
        pairs.extend(a.iter().flat_map(|v| b.iter().map(move |w| ((u64::from(*v) << 32) | u64::from(*w), share))));
    }
    let of_pair = |(pair, mass): (u64, f64)| {
        let (v, w) = ((pair >> 32) as usize, (pair & u64::from(u32::MAX)) as usize);
        mass / n * (mass * n / (of_a[v] * of_b[w])).ln()
    };
    masses(pairs).into_iter().map(of_pair).sum()
}

/// The sum of each value's shares, by value: in an order that no hash decides, so that the bits are always the same.
fn masses(mut shares: Vec<(u64, f64)>) -> Vec<(u64, f64)> {
    shares.sort_by_key(|(value, _)| *value);
    let mut sums: Vec<(u64, f64)> = Vec::new();
    for (value, share) in shares {
        match sums.last_mut().filter(|(last, _)| *last == value) {
            Some((_, sum)) => *sum += share,
            None => sums.push((value, share)),
        }
    }
    sums
}
