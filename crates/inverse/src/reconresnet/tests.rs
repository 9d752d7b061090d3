use super::network::{dropped, mirror};
use super::*;
use crate::Complex;
use crate::masks::{radial_golden, uniform, usual_centre, varden1d, varden2d};
use ndarray::{ArrayView2, Axis};
use proptest::prelude::*;
use quadrat_core::{Error, Rng, Silent};
use quadrat_nn::{
    At, Batch, Forward, Init, Inputs, Loss, Network, Parameters, Role, Spec, Tensor, gradients, initialise, predict,
};

fn mask(seed: u64) -> Cartesian {
    Cartesian::new(&varden1d([24, 20], 0.4, 0.1, Seed(seed)).unwrap()).unwrap()
}

/// A few smooth bumps, from 0 to 1.
fn picture(shape: [usize; 2], seed: u64) -> Array2<f32> {
    let mut rng = Seed(seed).rng(0);
    let bumps: Vec<[f64; 3]> = (0..4).map(|_| [rng.uniform(), rng.uniform(), 0.3 + 0.6 * rng.uniform()]).collect();
    Array2::from_shape_fn(shape, |(i, j)| {
        let value = bumps.iter().map(|[y, x, size]| {
            let apart = |at: usize, side: usize, middle: f64| at as f64 / side as f64 - 0.2 - 0.6 * middle;
            size * (-40.0 * (apart(i, shape[0], *y).powi(2) + apart(j, shape[1], *x).powi(2))).exp()
        });
        value.sum::<f64>().min(1.0) as f32
    })
}

fn tiny() -> ReconResNet {
    ReconResNet { features: 4, down: 1, blocks: 1, epochs: 2, batch: 2, rate: 1e-3, ..ReconResNet::default() }
}

/// Any noise.
fn noise(n: usize, rng: &mut Rng) -> Vec<Complex<f32>> {
    (0..n).map(|_| Complex::new(rng.normal() as f32, rng.normal() as f32)).collect()
}

fn largest(values: impl IntoIterator<Item = f32>) -> f32 {
    values.into_iter().fold(0.0, |a, b| a.max(b.abs()))
}

/// Golden: the same layers in PyTorch 2.15 (CPU; `ReflectionPad2d`, `Conv2d`, `InstanceNorm2d`, `PReLU`, `Dropout2d` off,
/// `ConvTranspose2d`, `Sigmoid`), parameter p's number i set to 0.3 sin(1 + 0.7 p + 1.9 i) in the order of the layers.
#[test]
fn answers_and_gradients_are_pytorchs() {
    let network = Regularised { shape: [20, 16], features: 4, down: 2, blocks: 2, dropout: 0.0 };
    let mut parameters = initialise(&network, Seed(0)).unwrap();
    for (p, parameter) in parameters.iter_mut().enumerate() {
        let values: Vec<f32> =
            (0..parameter.len()).map(|i| (0.3 * (1.0 + 0.7 * p as f64 + 1.9 * i as f64).sin()) as f32).collect();
        parameter.set(&values).unwrap();
    }
    let x = Array2::from_shape_fn((1, 320), |(_, at)| {
        let (i, j) = ((at / 16) as f64, (at % 16) as f64);
        (0.5 + 0.5 * (0.3 * i + 0.2 * j * j).sin()) as f32
    });
    let y = predict(&network, &parameters, x.view(), &[]).unwrap();
    let sum: f64 = y.iter().map(|v| f64::from(*v)).sum();
    assert!((sum - 165.358_410_240_509_56).abs() < 1e-3, "{sum}");
    for (i, j, want) in [
        (0, 0, 0.397_853),
        (0, 15, 0.578_343_9),
        (3, 7, 0.399_723_3),
        (10, 8, 0.000_474_5),
        (19, 0, 0.646_850_6),
        (19, 15, 0.505_308_9),
    ] {
        assert!((y[[0, 16 * i + j]] - want).abs() < 1e-5, "{i} {j}: {}", y[[0, 16 * i + j]]);
    }
    let batch = Batch::new(At { epoch: 0, step: 0 }, &[0], x.clone(), x.mapv(|v| 1.0 - v));
    let (loss, by) = gradients(&network, &parameters, Loss::AbsoluteError, &batch, Seed(1)).unwrap();
    assert!((loss - 0.380_463_659_763_336_2).abs() < 1e-5, "{loss}");
    for (p, want) in [
        (0, [0.007_894_683, -0.026_715_135, 0.012_457_067].as_slice()),
        (1, &[-0.053_759_947]),
        (2, &[0.036_980_49, -0.005_422_815_7, -0.001_707_102_4]),
        (4, &[-0.003_156_949_5, -0.011_759_345, 0.005_067_812]),
        (6, &[-0.026_942_424, 0.002_154_873_5, -0.006_473_018]),
        (7, &[0.019_058_786]),
        (8, &[-0.016_514_223, 0.002_035_813, -0.012_228_76]),
        (12, &[-0.003_579_045, -0.004_713_098, -0.000_042_124_4]),
        (15, &[0.064_526_446]),
        (16, &[-0.010_587_825, -0.006_178_099, 0.001_480_333]),
        (17, &[-0.003_232_793]),
    ] {
        let off = largest(by[p].iter().zip(want).map(|(a, b)| a - b));
        assert!(off < 2e-5, "parameter {p}: {:?}", &by[p][..want.len()]);
    }
}

#[test]
fn the_official_network_has_its_parameters() {
    let count =
        |network: &dyn Network| network.parameters().iter().map(|s| s.shape.iter().product::<usize>()).sum::<usize>();
    let official = ReconResNet::default().architecture().at([256, 256]).unwrap();
    // 17,266,452 in the authors' code, of which 7,808 are biases that a normalisation takes off again.
    assert_eq!(count(&*official), 17_266_452 - 7_808);
    let [small, plain]: [usize; 2] = [
        Architecture::Residual { features: 16, down: 1, blocks: 4, dropout: 0.2 },
        Architecture::UNet { features: 22 },
    ]
    .map(|architecture| count(&*architecture.at([64, 64]).unwrap()));
    assert_eq!((small, plain), (84_520, 87_350));
}

#[test]
fn mirrored_places_are_numpys_reflect() {
    let places: Vec<usize> = (-3..8).map(|i| mirror(i, 5)).collect();
    assert_eq!(places, [3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1]);
    assert_eq!((mirror(7, 2), mirror(3, 1)), (1, 1));
}

/// What the gradient by w shows of the mask on x w.
struct Channels(usize, f32);

impl Network for Channels {
    fn inputs(&self) -> usize {
        self.0
    }
    fn outputs(&self) -> usize {
        self.0
    }
    fn parameters(&self) -> Vec<Spec> {
        vec![Spec::new("w", &[self.0], Role::Other, Init::Constant(1.0))]
    }
    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> quadrat_core::Result<Tensor<2>> {
        let channels = self.0 / 4;
        let x = inputs.numbers().reshape([1, channels, 2, 2]) * forward.vars().flat("w")?.reshape([1, channels, 2, 2]);
        Ok(dropped(forward, x, self.1).reshape([1, self.0]))
    }
}

#[test]
fn dropout_takes_whole_channels_as_often_as_it_says() {
    let (channels, rate) = (4000, 0.2);
    let network = Channels(4 * channels, rate);
    let parameters = initialise(&network, Seed(0)).unwrap();
    let (ones, far) = (Array2::ones((1, 4 * channels)), Array2::from_elem((1, 4 * channels), -1e6));
    let batch = Batch::new(At { epoch: 0, step: 0 }, &[0], ones, far);
    let (_, by) = gradients(&network, &parameters, Loss::AbsoluteError, &batch, Seed(3)).unwrap();
    let masks: Vec<f32> = by[0].iter().map(|g| g * (4 * channels) as f32).collect();
    let mut gone = 0;
    for channel in masks.chunks(4) {
        assert!(channel.iter().all(|v| *v == channel[0]), "{channel:?}");
        assert!(channel[0] == 0.0 || (channel[0] - 1.25).abs() < 1e-5, "{channel:?}");
        gone += usize::from(channel[0] == 0.0);
    }
    // Five standard deviations: a false alarm in two million seeds.
    let apart = gone as f64 - 800.0;
    assert!(apart.abs() < 5.0 * (4000.0 * 0.2 * 0.8_f64).sqrt(), "{gone}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// The measured samples are there afterwards, so that a second time changes nothing.
    #[test]
    fn cartesian_consistency_is_a_projection(seed: u64) {
        let op = Cartesian::new(&varden2d([24, 20], 0.3, 0.1, Seed(seed)).unwrap()).unwrap();
        let (truth, answer) = (picture([24, 20], seed), picture([24, 20], seed ^ 1));
        let y = op.measure(truth.view()).unwrap();
        let samples = |image: &[Complex<f32>]| {
            let mut samples = y.clone();
            op.operator().forward(image, &mut samples).unwrap();
            samples
        };
        let hard = op.corrected(answer.view(), &y, Consistency::Hard).unwrap();
        let apart = |a: &[Complex<f32>], b: &[Complex<f32>]| largest(a.iter().zip(b).map(|(a, b)| (a - b).norm()));
        prop_assert!(apart(&samples(&hard), &y) < 2e-6);
        let off = op.corrected(answer.view(), &y, Consistency::Off).unwrap();
        prop_assert!(largest(off.iter().zip(&answer).map(|(a, b)| (a - Complex::new(*b, 0.0)).norm())) < 2e-6);
        // λ = 3: three quarters of the way.
        let soft = op.corrected(answer.view(), &y, Consistency::Soft { lambda: 3.0 }).unwrap();
        let between: Vec<_> = samples(&off).iter().zip(&y).map(|(a, b)| a.scale(0.25) + b.scale(0.75)).collect();
        prop_assert!(apart(&samples(&soft), &between) < 3e-6);
        // What was not measured stays the answer's: the correction is nearer to the truth.
        let error = |image: &[Complex<f32>]| -> f32 {
            image.iter().zip(&truth).map(|(a, b)| (a - Complex::new(*b, 0.0)).norm_sqr()).sum()
        };
        prop_assert!(error(&hard) <= error(&off) * 1.0001);
    }
}

#[test]
fn radial_consistency_keeps_what_agrees_and_mends_what_does_not() {
    let shape = [32, 28];
    let (truth, answer) = (picture(shape, 5), picture(shape, 6));
    let error = |image: &[Complex<f32>]| -> f64 {
        let squares = image.iter().zip(&truth).map(|(a, b)| f64::from((a - Complex::new(*b, 0.0)).norm_sqr()));
        squares.sum::<f64>()
    };
    let before = error(&answer.iter().map(|v| Complex::new(*v, 0.0)).collect::<Vec<_>>());
    let mut errors = vec![before];
    for spokes in [8, 24, 64] {
        let op = Radial::golden(shape, spokes, 64).unwrap();
        let y = op.measure(truth.view()).unwrap();
        let same = op.corrected(truth.view(), &y, Consistency::Hard).unwrap();
        assert!(error(&same) < 1e-8, "{spokes}");
        errors.push(error(&op.corrected(answer.view(), &y, Consistency::Hard).unwrap()));
        // The start is in the image's unit.
        let start = op.start(&y).unwrap();
        let scale = op.scale(start.view(), &y).unwrap();
        assert!((scale - 1.0).abs() < 1e-4, "{scale}");
    }
    // Every spoke helps, and the full set (which leaves out the corners of k-space) mends nearly all.
    assert!(errors.is_sorted_by(|a, b| a > b) && errors[3] < 0.01 * before, "{errors:?}");
}

/// The full set gridded with the measured samples in their places, as the paper has it.
#[test]
fn radial_consistency_is_gridding_of_the_completed_set() {
    let (shape, spokes, full) = ([32, 32], 10, 80);
    let all = radial_golden(shape, full).unwrap();
    let (measured, missing) = all.view().split_at(Axis(0), 64 * spokes);
    let (op, whole) = (Radial::new(shape, measured, missing).unwrap(), Radial::golden(shape, full, full).unwrap());
    let (truth, answer) = (picture(shape, 8), picture(shape, 9));
    let y = op.measure(truth.view()).unwrap();
    let ours = op.corrected(answer.view(), &y, Consistency::Hard).unwrap();
    let mut completed = whole.measure(answer.view()).unwrap();
    completed[..y.len()].copy_from_slice(&y);
    // From an image of 0 the correction is the gridded set.
    let zero = Array2::zeros(shape);
    let gridded = |samples: &[Complex<f32>]| whole.corrected(zero.view(), samples, Consistency::Hard).unwrap();
    let (theirs, own) = (gridded(&completed), gridded(&whole.measure(answer.view()).unwrap()));
    let size = |values: &[Complex<f32>]| values.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>().sqrt();
    let answer: Vec<Complex<f32>> = answer.iter().map(|v| Complex::new(*v, 0.0)).collect();
    let less =
        |a: &[Complex<f32>], b: &[Complex<f32>]| -> Vec<Complex<f32>> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    // What is put back is the same, to rounding; and gridding gives an image back but for a few hundredths.
    let (put, by_gridding) = (less(&ours, &answer), less(&theirs, &own));
    let apart = size(&less(&put, &by_gridding)) / size(&put);
    assert!(apart < 1e-4, "{apart}");
    let lost = size(&less(&own, &answer)) / size(&answer);
    assert!(lost < 0.1, "{lost}");
}

#[test]
fn slices_are_varied_within_their_range_and_evenly() {
    let flat = Array2::from_elem((33, 32), 0.5_f32);
    let side = Array2::from_shape_fn((32, 32), |(_, j)| if j < 16 { 1.0_f32 } else { 0.0 });
    let (n, mut powers, mut left) = (400, 0.0, 0);
    for i in 0..n {
        let mut rng = Seed(11).rng(i);
        let image = vary(&flat, &mut rng);
        assert!(image.iter().all(|v| (0.0..=1.0).contains(v)));
        powers += (f64::from(image[[16, 16]]).ln() / 0.5_f64.ln()).ln();
        let image = vary(&side, &mut Seed(12).rng(i));
        left += usize::from(image[[16, 4]] > image[[16, 27]]);
    }
    // Five standard deviations each: a false alarm in a million seeds.
    let mean = powers / n as f64;
    assert!(mean.abs() < 5.0 * 0.35 / (n as f64).sqrt(), "{mean}");
    assert!((left as f64 - 200.0).abs() < 5.0 * 10.0, "{left}");
}

#[test]
fn training_lowers_the_difference_and_has_the_same_bits_on_any_threads() {
    let slices: Vec<Array2<f32>> = (0..6).map(|i| picture([24, 20], i)).collect();
    let (one, two) = (mask(1), mask(2));
    let method = ReconResNet { epochs: 12, rate: 3e-3, ..tiny() };
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| method.fit(&slices, &[&one, &two], None, Seed(4), &Silent).unwrap())
    };
    let (model, curve) = fit(1);
    assert!(curve[11].train_loss < 0.8 * curve[0].train_loss, "{curve:?}");
    let (again, same) = fit(2);
    let values = |model: &Model| model.parameters.iter().flat_map(|p| p.values()).collect::<Vec<f32>>();
    assert_eq!((values(&model), &curve), (values(&again), &same));
    let y = one.measure(slices[0].view()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let images = [model.reconstruct(&one, &y).unwrap(), pool.install(|| again.reconstruct(&one, &y).unwrap())];
    assert_eq!(images[0], images[1]);
}

#[test]
fn a_training_that_was_stopped_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let slices: Vec<Array2<f32>> = (0..3).map(|i| picture([24, 20], i)).collect();
    let op = mask(1);
    let (whole, _) = tiny().fit(&slices, &[&op], None, Seed(4), &Silent).unwrap();
    // A cosine over two epochs, stopped after one.
    struct Stop(std::sync::atomic::AtomicUsize);
    impl quadrat_core::Progress for Stop {
        fn cancelled(&self) -> bool {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2
        }
    }
    let stopped = tiny().fit(&slices, &[&op], Some(&state), Seed(4), &Stop(0.into()));
    assert!(matches!(stopped, Err(Error::Cancelled)) && state.exists());
    let (resumed, _) = tiny().fit(&slices, &[&op], Some(&state), Seed(4), &Silent).unwrap();
    let values = |model: &Model| model.parameters.iter().flat_map(|p| p.values()).collect::<Vec<f32>>();
    assert_eq!(values(&whole), values(&resumed));
    let other = tiny().fit(&slices, &[&mask(2)], Some(&state), Seed(4), &Silent).unwrap_err().to_string();
    assert!(other.contains("slices"), "{other}");
}

/// A model that was not trained.
fn fresh(architecture: Architecture) -> Model {
    let parameters = initialise(&*architecture.at([16, 16]).unwrap(), Seed(5)).unwrap();
    Model { architecture, parameters, consistency: Consistency::Hard }
}

#[test]
fn images_of_any_size_and_unit_are_taken() {
    for architecture in
        [Architecture::Residual { features: 4, down: 2, blocks: 1, dropout: 0.2 }, Architecture::UNet { features: 3 }]
    {
        let model = fresh(architecture);
        for shape in [[16, 16], [33, 17], [5, 40]] {
            let image = picture(shape, 3);
            let answer = model.enhance(image.view()).unwrap();
            assert_eq!(answer.dim(), image.dim());
            assert!(answer.iter().all(|v| (0.0..=1.0).contains(v)));
        }
        let image = picture([24, 20], 3);
        let op = mask(4);
        let y = op.measure(image.view()).unwrap();
        let loud: Vec<_> = y.iter().map(|v| v.scale(1024.0)).collect();
        let (one, thousand) = (model.reconstruct(&op, &y).unwrap(), model.reconstruct(&op, &loud).unwrap());
        let apart = largest(one.iter().zip(&thousand).map(|(a, b)| a - b / 1024.0));
        assert!(apart < 1e-5, "{apart}");
    }
}

#[test]
fn models_are_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let model = Model {
        consistency: Consistency::Soft { lambda: 2.5 },
        ..fresh(Architecture::Residual { features: 4, down: 1, blocks: 2, dropout: 0.1 })
    };
    model.save(&path, serde_json::json!({ "pattern": "radial:30" })).unwrap();
    let (read, notes) = Model::load(&path).unwrap();
    assert_eq!((read.architecture, read.consistency), (model.architecture, model.consistency));
    assert_eq!(notes["pattern"], "radial:30");
    let image = picture([16, 16], 1);
    assert_eq!(read.enhance(image.view()).unwrap(), model.enhance(image.view()).unwrap());
    assert!(model.save(&path, serde_json::Value::Null).is_err(), "it is there already");
    // A folder without a model, another kind of model, a damaged one.
    assert!(Model::load(folder.path()).is_err());
    let file = path.join("model.safetensors");
    quadrat_nn::save_parameters(&file, &Parameters::default(), &serde_json::json!({ "other": 1 })).unwrap();
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.contains("no model of this kind") && error.contains("model.safetensors"), "{error}");
    std::fs::write(&file, b"text").unwrap();
    assert!(Model::load(&path).is_err());
}

fn only(op: &Cartesian) -> Vec<&dyn Acquisition> {
    vec![op]
}

#[test]
fn what_does_not_fit_is_named() {
    let op = mask(1);
    let right = picture([24, 20], 1);
    let said = |slices: &[Array2<f32>], acquisitions: &[&dyn Acquisition], method: ReconResNet| {
        method.fit(slices, acquisitions, None, Seed(1), &Silent).map(|_| ()).unwrap_err().to_string()
    };
    let square = Cartesian::new(&uniform([8, 8], 2, 2).unwrap()).unwrap();
    for (slices, acquisitions, method, words) in [
        (vec![], only(&op), tiny(), "0 slices"),
        (vec![right.clone()], vec![], tiny(), "0 acquisitions"),
        (vec![right.clone(), picture([24, 24], 1)], only(&op), tiny(), "slice 1"),
        (vec![&right * 2.0], only(&op), tiny(), "divide by the volume's maximum"),
        (vec![right.mapv(|_| f32::NAN)], only(&op), tiny(), "NaN"),
        (vec![right.mapv(|_| 0.0)], only(&op), tiny(), "0 everywhere"),
        (vec![right.clone()], only(&square), tiny(), "[8, 8]"),
        (vec![right.clone()], only(&op), ReconResNet { down: 7, ..tiny() }, "at most 6 halvings"),
        (vec![right.clone()], only(&op), ReconResNet { dropout: 1.0, ..tiny() }, "dropout"),
        (vec![right.clone()], only(&op), ReconResNet { features: 0, ..tiny() }, "channel"),
        (vec![right.clone()], only(&op), ReconResNet { rate: f64::NAN, ..tiny() }, "learning rate"),
        (vec![right.clone()], only(&op), ReconResNet { epochs: 0, ..tiny() }, "epochs"),
        (vec![right.clone()], only(&op), ReconResNet { batch: 0, ..tiny() }, "batch"),
    ] {
        let error = said(&slices, &acquisitions, method);
        assert!(error.contains(words), "{words}: {error}");
    }
    let model = fresh(Architecture::Residual { features: 4, down: 1, blocks: 1, dropout: 0.2 });
    let y = op.measure(right.view()).unwrap();
    let refused = |y: &[Complex<f32>], words: &str| {
        let error = model.reconstruct(&op, y).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    refused(&vec![Complex::new(0.0, 0.0); y.len()], "0 everywhere");
    refused(&y[1..], "samples");
    let mut lost = y.clone();
    lost[3].re = f32::NAN;
    refused(&lost, "sample 3");
    assert!(model.enhance(Array2::from_elem((16, 16), -1.0).view()).is_err());
    assert!(op.measure(ArrayView2::from(&[[1.0_f32]])).is_err());
    let error = Radial::golden([16, 16], 9, 8).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("at most 8"), "{error}");
    assert!(Radial::golden([16, 16], 0, 8).is_err());
    assert!(Cartesian::new(&crate::masks::Pattern::new(&[4], vec![true; 4]).unwrap()).is_err());
    let centre = usual_centre(0.3);
    assert!((centre - 0.08).abs() < 1e-12);
}

#[test]
fn noise_is_mixed_by_a_soft_consistency() {
    let op = mask(3);
    let mut rng = Seed(9).rng(0);
    let y = noise(op.operator().samples(), &mut rng);
    let zero = Array2::zeros((24, 20));
    let norm = |how| -> f32 { op.corrected(zero.view(), &y, how).unwrap().iter().map(|v| v.norm_sqr()).sum() };
    let (hard, soft) = (norm(Consistency::Hard), norm(Consistency::Soft { lambda: 1.0 }));
    assert!((soft / hard - 0.25).abs() < 1e-4, "{soft} {hard}");
}
