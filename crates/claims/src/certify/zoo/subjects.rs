//! How subjects are made: of textbook parts, and of our own methods.

use super::super::{Answer, Outcome, Request};
use ndarray::Array2;
use quadrat_core::{Rng, Seed, Silent};
use quadrat_numeric::Points;
use quadrat_robust::{Labelled, Resampler, Smote};
use quadrat_select::{Pool, Selector};

pub type Closure = Box<dyn FnMut(&Request) -> Outcome>;

pub fn closure(f: impl FnMut(&Request) -> Outcome + 'static) -> Closure {
    Box::new(f)
}

/// The parts of a request, unless it wants more rows than there are.
pub fn sizes(request: &Request) -> Option<(usize, usize, Rng)> {
    let (n, k) = (request.rows.len(), request.k?);
    (k <= n).then(|| (n, k, Seed(request.seed).rng(0)))
}

pub fn too_many() -> Outcome {
    Outcome::Refused("more rows than there are".into())
}

pub fn chosen(rows: Vec<usize>) -> Outcome {
    Outcome::Answer(Answer { rows, ..Answer::default() })
}

/// A choice of rows from (request, n, k, rng), where k <= n.
pub fn selector(mut f: impl FnMut(&Request, usize, usize, Rng) -> Vec<usize> + 'static) -> Closure {
    closure(move |request| match sizes(request) {
        Some((n, k, rng)) => chosen(f(request, n, k, rng)),
        None => too_many(),
    })
}

/// Inclusion probabilities in proportion to the first column, none above 1.
pub fn proportional(rows: &[Vec<f64>], k: usize) -> Vec<f64> {
    let mut p = vec![0.0; rows.len()];
    loop {
        let open = |p: &[f64], i: usize| p[i] < 1.0;
        let sum: f64 = (0..rows.len()).filter(|i| open(&p, *i)).map(|i| rows[i][0]).sum();
        let left = k as f64 - p.iter().filter(|p| **p >= 1.0).count() as f64;
        let share = |i: usize| left * rows[i][0] / sum;
        let above = (0..rows.len()).find(|i| open(&p, *i) && share(*i) >= 1.0 - 1e-12);
        match above {
            Some(i) => p[i] = 1.0,
            None => {
                (0..rows.len()).filter(|i| p[*i] < 1.0).collect::<Vec<_>>().into_iter().for_each(|i| p[i] = share(i));
                return p;
            }
        }
    }
}

/// k different rows with these inclusion probabilities: a comb of k teeth over the rows in random order.
pub fn comb(p: &[f64], mut rng: Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    rng.shuffle(&mut order);
    let start = rng.uniform();
    let (mut at, mut rows) = (0.0_f64, Vec::new());
    for row in order {
        let next = at + p[row];
        // A tooth at start, start + 1, ... lies in [at, next).
        if (next - start + 1e-12).ceil() > (at - start + 1e-12).ceil() {
            rows.push(row);
        }
        at = next;
    }
    rows
}

/// A fixed-size design with probabilities in proportion to the first column; `stated` is what it says of them.
pub fn comb_design(stated: fn(&[f64]) -> Vec<f64>) -> Closure {
    closure(move |request| match sizes(request) {
        Some((_, k, rng)) => {
            let p = proportional(&request.rows, k);
            Outcome::Answer(Answer { rows: comb(&p, rng), inclusion: Some(stated(&p)), ..Answer::default() })
        }
        None => too_many(),
    })
}

/// Every row for itself with a probability in proportion to the first column.
pub fn poisson() -> Closure {
    closure(|request| match sizes(request) {
        Some((n, k, mut rng)) => {
            let p = proportional(&request.rows, k);
            let rows: Vec<usize> = (0..n).filter(|i| rng.uniform() < p[*i]).collect();
            let weights = Some(rows.iter().map(|row| 1.0 / p[*row]).collect());
            Outcome::Answer(Answer { rows, weights, inclusion: Some(p), random_size: true, ..Answer::default() })
        }
        None => too_many(),
    })
}

/// k draws with replacement in proportion to the first column, with weights made of 1 / (k times the probability).
pub fn draws(weigh: fn(Vec<f64>, usize) -> Vec<f64>) -> Closure {
    closure(move |request| {
        let (n, k) = (request.rows.len(), request.k.unwrap_or(1));
        let mut rng = Seed(request.seed).rng(0);
        let sizes: Vec<f64> = request.rows.iter().map(|row| row[0]).collect();
        let sum: f64 = sizes.iter().sum();
        let rows: Vec<usize> = (0..k).map(|_| rng.weighted(&sizes)).collect();
        let weights = rows.iter().map(|row| sum / (k as f64 * sizes[*row])).collect();
        Outcome::Answer(Answer { rows, weights: Some(weigh(weights, n)), ..Answer::default() })
    })
}

/// One of our selectors.
pub fn ours(selector: impl Selector + 'static) -> Closure {
    closure(move |request| {
        let points = Array2::from_shape_fn((request.rows.len(), request.rows[0].len()), |(i, j)| request.rows[i][j]);
        let class = |label: &String| label.bytes().map(u32::from).sum::<u32>() % 3;
        let pool = Pool::of_points(Points::F64(points)).with_classes(request.labels.iter().map(class).collect());
        match selector.select(&pool, request.k.unwrap_or(0), Seed(request.seed), &Silent) {
            Ok(selection) => {
                Outcome::Answer(Answer { rows: selection.indices, weights: selection.weights, ..Answer::default() })
            }
            Err(error) => Outcome::Refused(error.to_string()),
        }
    })
}

/// Our SMOTE.
pub fn our_smote() -> Closure {
    closure(|request| {
        let names = ["common", "rare", "scarce"];
        let y = request.labels.iter().map(|l| names.iter().position(|n| n == l).unwrap_or(0) as u32).collect();
        let x = Array2::from_shape_fn((request.rows.len(), request.rows[0].len()), |(i, j)| request.rows[i][j]);
        let data = Labelled::new(x, y);
        match Smote::default().resample(&data, Seed(request.seed), &Silent) {
            Ok(grown) => {
                let table = grown.table(&data);
                Outcome::Answer(Answer {
                    points: table.x.rows().into_iter().map(|row| row.to_vec()).collect(),
                    labels: table.y.iter().map(|class| names[*class as usize].to_owned()).collect(),
                    ..Answer::default()
                })
            }
            Err(error) => Outcome::Refused(error.to_string()),
        }
    })
}

/// The textbook: base and partner from the class, and a new row made of both.
pub fn smote(make: impl Fn(&[f64], &[f64], &mut Rng) -> Vec<f64> + 'static, own_class: bool) -> Closure {
    closure(move |request| {
        if request.rows.len() != request.labels.len() {
            return Outcome::Refused("labels do not fit".into());
        }
        let mut rng = Seed(request.seed).rng(0);
        let (mut points, mut labels) = (request.rows.clone(), request.labels.clone());
        let of =
            |name: &str| -> Vec<usize> { (0..request.rows.len()).filter(|i| request.labels[*i] == name).collect() };
        let names = ["common", "rare", "scarce"];
        let largest = names.iter().map(|name| of(name).len()).max().unwrap_or(0);
        for name in names {
            let rows = of(name);
            for _ in 0..if rows.is_empty() { 0 } else { largest - rows.len() } {
                let base = rows[rng.below(rows.len())];
                let partner = if own_class { rows[rng.below(rows.len())] } else { rng.below(request.rows.len()) };
                points.push(make(&request.rows[base], &request.rows[partner], &mut rng));
                labels.push(name.to_owned());
            }
        }
        Outcome::Answer(Answer { points, labels, ..Answer::default() })
    })
}

/// `from` and `lambda` of the way to `to`.
pub fn towards(from: &[f64], to: &[f64], lambda: f64) -> Vec<f64> {
    from.iter().zip(to).map(|(a, b)| a + lambda * (b - a)).collect()
}

pub fn on_segments(from: &[f64], to: &[f64], rng: &mut Rng) -> Vec<f64> {
    towards(from, to, rng.uniform())
}

/// An answer of the textbook's, damaged afterwards.
pub fn damaged(damage: fn(&mut Answer)) -> Closure {
    let mut sound = smote(on_segments, true);
    closure(move |request| match sound(request) {
        Outcome::Answer(mut answer) => {
            damage(&mut answer);
            Outcome::Answer(answer)
        }
        other => other,
    })
}
