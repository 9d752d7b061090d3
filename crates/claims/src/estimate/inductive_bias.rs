//! Does a task need more information the more dimensions it has, and do networks bring more of it than kernels?

mod cnn;
mod identities;

use super::{curve, plot};
use crate::{Figure, Repetitions, Trial};
use cnn::{Cnn, SIDE};
use ndarray::{Array2, ArrayView2, Axis, s};
use quadrat_core::{By, Evidence, Relation, Result, Seed, checkpoint, stats};
use quadrat_data::builtin;
use quadrat_estimate::inductive_bias::{
    Fit, GpPosterior, HypothesisSampler, Kernel, Law, Retrain, Rows, Unit, median_distance, required_bias,
};
use quadrat_numeric::learners::{MlpRegressor, Standard};

struct Plan {
    /// Training rows of the teacher's tasks, and as many test rows.
    rows: usize,
    /// Dimensions of the teacher.
    dimensions: &'static [usize],
    /// Draws from the posterior where it is compared with the exact route.
    draws: usize,
    /// Most tasks.
    most: usize,
    /// Networks of each kind, images they learn, epochs and repetitions; none at quick scale.
    networks: Option<(usize, usize, usize, usize)>,
}

/// The error that is asked of every task: a twentieth of the target's variance, of which a fifth is left to the rows as
/// noise, so that no function is certain and wrong between them.
const EPS: f64 = 0.05;
const FLOOR: f64 = 0.01;
/// Dimensions whose information is compared.
const COMPARED: [usize; 2] = [5, 8];
/// Where samples reach.
const REACHED: usize = 6;
const INFORMATION: &str = "nats/error of 5% of the variance";
const SAMPLED: &str = "nats/1% quantile of samples";
const TAIL: &str = "nats/a third of the 1% quantile of samples";
const FAMILIES: &str = "nats/families, error of the median MLP";

fn dimension(r: usize) -> String {
    format!("r = {r}")
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = Plan {
        rows: trial.at(60, 300, 300),
        dimensions: trial.at(&[5, 6, 8], &[4, 5, 6, 8], &[4, 5, 6, 7, 8]),
        draws: trial.at(500, 10_000, 10_000),
        most: trial.at(2, 30, 60),
        networks: trial.at(Some((50, 60, 2, 1)), None, Some((50, 100, 20, 6))),
    };
    let mut evidence = plan.evidence();
    trial.repeat(&mut evidence, Repetitions { part: "teacher", pilot: 8, most: plan.most }, |seed| {
        plan.teacher(seed, trial)
    })?;
    if let Some((count, rows, epochs, most)) = plan.networks {
        let images = Images::load()?;
        trial.repeat(&mut evidence, Repetitions { part: "families", pilot: 0, most }, |seed| {
            families(&images, (count, rows, epochs), seed, trial)
        })?;
    }
    identities::add(&mut evidence, trial)?;
    let points = plan
        .dimensions
        .iter()
        .flat_map(|r| curve(&evidence, &dimension(*r), &[*r as f64], |_| INFORMATION.to_owned()).points);
    let series = quadrat_core::Series { name: "RBF functions, length scale 1".into(), points: points.collect() };
    evidence.plots =
        vec![plot("Information against the teacher's dimension", "dimension", "nats", (false, true), vec![series])];
    Ok(evidence)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut e = Evidence::new(
            "The inductive bias a task requires grows steeply with the dimension of its inputs; neural networks as a \
             hypothesis space carry far more of it than generic kernels, and the measure ranks architectures. (Qualitative; \
             the paper's own figures are on MNIST, CIFAR-10, Omniglot and a pendulum.)",
            format!(
                "A random smooth teacher (40 cosines of r inputs) on r-dimensional normal inputs, {0} training and {0} test \
                 rows, RBF functions of length scale 1 given the training rows up to a noise of 1% of the target's variance; \
                 information to reach an error of 5% of that variance, for every r, by the saddlepoint. At full scale \
                 retrained MLPs (64 hidden units) and CNNs (8 filters of 3 x 3) on MNIST images of 14 x 14 pixels, laws \
                 fitted to their test errors, against the RBF kernel on the same images at the error of the median MLP.",
                self.rows
            ),
        );
        let [few, many] = COMPARED;
        let (many_arm, few_arm) = (dimension(many), dimension(few));
        let share = many as f64 / few as f64;
        let says = format!("information grows faster than the dimension, from r = {few} to r = {many}");
        let relation = Relation::Above(share);
        e.expect(&says, INFORMATION, &many_arm, Some(&few_arm), relation).by(By::Ratio).matters(1.2);
        let says = "and faster than its square";
        let relation = Relation::Above(share * share);
        e.report(says, INFORMATION, &many_arm, Some(&few_arm), relation).by(By::Ratio);
        let says = format!("r = {REACHED}: where samples reach, the exact route agrees with their share to 0.15 nats");
        e.gate(&says, SAMPLED, "exact", Some("empirical"), Relation::Within(0.15));
        let says = "in the tail the fitted non-central chi-square says too little";
        e.report(says, TAIL, "ncx2 fit", Some("exact"), Relation::Below(0.0));
        if self.networks.is_some() {
            let says = "the kernel needs more information than MLPs";
            e.report(says, FAMILIES, "kernel", Some("MLP"), Relation::Above(0.0)).by(By::Median);
            let says = "CNNs carry more than MLPs";
            e.report(says, FAMILIES, "MLP", Some("CNN"), Relation::Above(0.0)).by(By::Median);
        }
        e.notes.push(
            "Errors are means over rows and outputs, targets standardised (the teacher) or one-hot (MNIST). Images are averaged \
             over 2 x 2 pixels; both networks use Adam at 1e-3, batches of 32 and the same number of epochs, nothing tuned for \
             either, and some MLPs fail to learn: medians are reported. Where a network's figure is an extrapolation of the \
             fitted law, the share of errors below is among the figures."
                .into(),
        );
        e.notes.push(
            "Changed after earlier runs: rank correlations over eight dimensions were asked, also at the error of ridge, a \
             target that loosens as the task hardens, so that information need not rise with it (measured: rank correlation \
             0.57). Functions that go through all rows exactly gave information up to millions of nats where they were \
             certain and wrong; a noise of 1% has ended that. MNIST by principal components, where information fell with \
             their number for the same reason, is gone, and families have a tenth of the images."
                .into(),
        );
        e
    }

    /// One task in every dimension.
    fn teacher(&self, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let mut found = Vec::new();
        for &r in self.dimensions {
            checkpoint(trial.progress)?;
            let mut rng = seed.rng(r as u64);
            let x = Array2::from_shape_simple_fn((2 * self.rows, r), || rng.normal());
            let y = standardised(cosines(&x, &mut rng));
            let (train, test) = halves(&x, &y);
            let space = GpPosterior::new(Kernel::Rbf { sigma: 1.0 }, FLOOR, train, test)?;
            let value = space.required_bias_exact(EPS, Unit::Nats)?.value;
            found.push((dimension(r), INFORMATION.to_owned(), value));
            if r == REACHED {
                found.extend(self.compare(&space, seed, trial)?);
            }
        }
        Ok(found)
    }

    /// The exact route and the fitted law, where samples reach and where they do not.
    fn compare(&self, space: &GpPosterior, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let losses = space.sample_losses(self.draws, seed, trial.progress)?;
        let quantile = stats::quantile(&losses, 0.01);
        let law = Law::noncentral(&losses)?;
        let mut found = Vec::new();
        for (metric, eps) in [(SAMPLED, quantile), (TAIL, quantile / 3.0)] {
            let mut figure = |arm: &str, value: f64| found.push((arm.to_owned(), metric.to_owned(), value));
            figure("exact", space.required_bias_exact(eps, Unit::Nats)?.value);
            figure("ncx2 fit", -law.log_cdf(eps));
            if metric == SAMPLED {
                figure("empirical", required_bias(&losses, eps, Fit::Empirical, Unit::Nats, seed)?.value);
            }
        }
        Ok(found)
    }
}

/// Kernel, MLPs and CNNs on the same images.
fn families(
    images: &Images,
    (count, rows, epochs): (usize, usize, usize),
    seed: Seed,
    trial: &Trial,
) -> Result<Vec<Figure>> {
    let (x, y) = images.draw(2 * rows, seed);
    let scaled = Standard::fit(x.slice(s![..rows, ..]), &vec![1.0; rows]).apply(x.view());
    let ((train, test), (raw_train, raw_test)) = (halves(&scaled, &y), halves(&x, &y));
    let kernel = GpPosterior::new(Kernel::Rbf { sigma: median_distance(train.x) }, 0.0, train, test)?;
    let net = MlpRegressor { epochs, ..MlpRegressor::default() };
    let mlps = Retrain(|seed| Ok(square(net.fit(train.x, train.y, seed)?.predict(test.x).view(), test.y)));
    let cnn = Cnn { epochs, batch: 32, rate: 1e-3 };
    let cnns = Retrain(|seed| Ok(cnn.errors((raw_train.x, raw_train.y), (raw_test.x, raw_test.y), seed).1));
    let mlp_losses = mlps.sample_losses(count, seed.stream("MLP"), trial.progress)?;
    let cnn_losses = cnns.sample_losses(count, seed.stream("CNN"), trial.progress)?;
    let eps = stats::median(&mlp_losses);
    let mut found: Vec<Figure> = Vec::new();
    let mut figure = |arm: &str, metric: &str, value: f64| found.push((arm.to_owned(), metric.to_owned(), value));
    figure("kernel", FAMILIES, kernel.required_bias_exact(eps, Unit::Nats)?.value);
    for (arm, losses) in [("MLP", &mlp_losses), ("CNN", &cnn_losses)] {
        figure(arm, "error/median on test rows", stats::median(losses));
        figure(arm, FAMILIES, -Law::noncentral(losses)?.log_cdf(eps));
        let share = losses.iter().filter(|loss| **loss <= eps).count() as f64 / losses.len() as f64;
        figure(arm, "share of errors below/families, error of the median MLP", share);
    }
    Ok(found)
}

/// MNIST, pixels averaged over 2 x 2 and divided by 255.
struct Images {
    x: Array2<f64>,
    y: Vec<u32>,
}

impl Images {
    fn load() -> Result<Images> {
        let (pixels, y, _) = builtin::labelled("mnist")?;
        let full = 2 * SIDE;
        let x = Array2::from_shape_fn((pixels.nrows(), SIDE * SIDE), |(i, at)| {
            let corner = 2 * (at / SIDE) * full + 2 * (at % SIDE);
            [0, 1, full, full + 1].map(|by| pixels[[i, corner + by]]).iter().sum::<f64>() / (4.0 * 255.0)
        });
        Ok(Images { x, y })
    }

    /// Random images, with their classes one-hot.
    fn draw(&self, rows: usize, seed: Seed) -> (Array2<f64>, Array2<f64>) {
        let chosen = seed.stream("images").rng(0).sample(self.y.len(), rows);
        let y =
            Array2::from_shape_fn((chosen.len(), 10), |(i, k)| f64::from(u8::from(self.y[chosen[i]] as usize == k)));
        (self.x.select(Axis(0), &chosen), y)
    }
}

/// The first half of the rows for training, the second for testing.
fn halves<'a>(x: &'a Array2<f64>, y: &'a Array2<f64>) -> (Rows<'a>, Rows<'a>) {
    let half = x.nrows() / 2;
    let part = |range: std::ops::Range<usize>| Rows { x: x.slice(s![range.clone(), ..]), y: y.slice(s![range, ..]) };
    (part(0..half), part(half..x.nrows()))
}

/// A smooth function of all inputs: 40 cosines of random directions.
fn cosines(x: &Array2<f64>, rng: &mut quadrat_core::Rng) -> Array2<f64> {
    const WAVES: usize = 40;
    let directions = Array2::from_shape_simple_fn((x.ncols(), WAVES), || rng.normal());
    let waves: Vec<(f64, f64)> = (0..WAVES).map(|_| (std::f64::consts::TAU * rng.uniform(), rng.normal())).collect();
    let angles = x.dot(&directions);
    let value = |row: ndarray::ArrayView1<f64>| {
        row.iter().zip(&waves).map(|(angle, (phase, height))| height * (angle + phase).cos()).sum::<f64>()
    };
    angles.map_axis(Axis(1), value).insert_axis(Axis(1))
}

fn standardised(y: Array2<f64>) -> Array2<f64> {
    let ones = vec![1.0; y.nrows()];
    Standard::fit(y.view(), &ones).apply(y.view())
}

fn square(predicted: ArrayView2<f64>, y: ArrayView2<f64>) -> f64 {
    (&predicted - &y).iter().map(|e| e * e).sum::<f64>() / y.len() as f64
}
