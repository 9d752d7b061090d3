mod designs;

use super::*;
use crate::by_point;
use crate::functions::{Benchmark, beam, g_function, ishigami};
use ndarray::{Array2, s};
use proptest::prelude::*;
use quadrat_core::{Seed, Silent};

fn uniform(names: &[&str]) -> Vec<Input> {
    names.iter().map(|name| Input { name: (*name).into(), law: Law::Uniform { min: 0.0, max: 1.0 } }).collect()
}

/// Every input alone.
fn each(inputs: &[Input]) -> Factors {
    Factors::of(inputs).unwrap()
}

fn run(model: &Benchmark) -> impl Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync {
    let f = model.model;
    move |x| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = f(x)))
}

/// Outputs of a design with 8 base points and 3 inputs that stand for no model.
fn made_up() -> Array2<f64> {
    Array2::from_shape_fn((40, 1), |(k, _)| {
        let k = k as f64;
        (1.7 * k).sin() + 0.3 * (0.9 * k * k).cos() + 5.0
    })
}

#[test]
fn indices_of_a_file_are_those_of_salib() {
    // SALib 1.6.0: sobol.analyze(problem, y, calc_second_order=False) on the same 40 numbers.
    let first = [-0.49511653053058324, -1.6143308949936268, -1.0813879317336035];
    let total = [1.1044097139972335, 1.9967622083984669, 1.1420545366213815];
    let found = Saltelli { resamples: 100, ..Saltelli::default() }
        .indices(&each(&uniform(&["a", "b", "c"])), made_up().view(), Seed(1), &Silent)
        .unwrap();
    for (index, expected) in found.outputs[0].first.iter().zip(first).chain(found.outputs[0].total.iter().zip(total)) {
        assert!((index.value - expected).abs() < 1e-9, "{index:?} {expected}");
    }
    assert!(found.warnings.iter().any(|w| w.contains("too few")), "{:?}", found.warnings);
}

#[test]
fn designs_are_recognised_and_disorder_is_not() {
    let inputs = ishigami().inputs;
    let saltelli = Saltelli { calls: 100, ..Saltelli::default() };
    let design = saltelli.design(&each(&inputs), Seed(3)).unwrap();
    assert_eq!(design.dim(), (100, 3));
    saltelli.check_design(&each(&inputs), design.view()).unwrap();
    let swapped = |a: usize, b: usize| {
        let mut other = design.clone();
        let row = design.row(a).to_owned();
        other.row_mut(a).assign(&design.row(b));
        other.row_mut(b).assign(&row);
        saltelli.check_design(&each(&inputs), other.view()).unwrap_err().to_string()
    };
    for (a, b) in [(0, 1), (1, 2), (3, 4), (0, 5), (7, 97)] {
        assert!(swapped(a, b).contains("in the order in which they were written"), "{a} {b}");
    }
    assert!(saltelli.check_design(&each(&inputs), design.slice(s![..99, ..])).is_err());
    assert!(saltelli.check_design(&each(&inputs), design.slice(s![.., ..2])).is_err());
    assert!(saltelli.check_design(&each(&inputs[..2]), design.view()).is_err());
    let mut broken = design.clone();
    broken[[4, 1]] = f64::NAN;
    assert!(saltelli.check_design(&each(&inputs), broken.view()).is_err());
}

#[test]
fn known_models_are_found_within_their_errors() {
    // Six standard errors for each of 28 indices and two methods: one false alarm in ten million.
    for model in [ishigami(), g_function()] {
        let f = run(&model);
        let saltelli = Saltelli { calls: 8000, resamples: 200, ..Saltelli::default() };
        let iscv = SobolIscv { calls: 8000, resamples: 200, ..SobolIscv::default() };
        for found in [
            saltelli.estimate(&each(&model.inputs), &f, Seed(1), &Silent).unwrap(),
            iscv.estimate(&each(&model.inputs), &f, Seed(1), &Silent).unwrap(),
        ] {
            assert!(found.calls <= 8000);
            let output = &found.outputs[0];
            let pairs = output.first.iter().zip(&model.first).chain(output.total.iter().zip(&model.total));
            for (index, truth) in pairs {
                assert!((index.value - truth).abs() < 6.0 * index.se, "{}: {index:?} {truth}", model.name);
            }
        }
    }
}

/// 95% intervals on independent points, both methods: of 200 runs x 3 + 3 indices each index covers between 85% and 100%.
/// With a true coverage of 93% or more, 170 or fewer of 200 happen once in 20,000 times.
#[test]
fn intervals_cover() {
    let model = ishigami();
    let f = run(&model);
    let saltelli = Saltelli { calls: 2500, resamples: 0, points: DesignPoints::Independent, ..Saltelli::default() };
    let iscv = SobolIscv { calls: 3500, resamples: 0, ..SobolIscv::default() };
    let covered = |estimate: &dyn Fn(Seed) -> SobolEstimate| {
        let mut covered = [0; 6];
        for seed in 0..200 {
            let output = &estimate(Seed(seed)).outputs[0];
            let pairs = output.first.iter().zip(&model.first).chain(output.total.iter().zip(&model.total));
            for (count, (index, truth)) in covered.iter_mut().zip(pairs) {
                *count += usize::from(index.low <= *truth && *truth <= index.high);
            }
        }
        covered
    };
    let fixed = covered(&|seed| saltelli.estimate(&each(&model.inputs), &f, seed, &Silent).unwrap());
    let adaptive = covered(&|seed| iscv.estimate(&each(&model.inputs), &f, seed, &Silent).unwrap());
    assert!(fixed.iter().chain(&adaptive).all(|count| *count > 170), "{fixed:?} {adaptive:?}");
}

#[test]
fn the_bootstrap_and_the_delta_method_agree() {
    let model = beam().unwrap();
    let f = run(&model);
    let method =
        |resamples| Saltelli { calls: 8000, resamples, points: DesignPoints::Independent, ..Saltelli::default() };
    let iscv = |resamples| SobolIscv { calls: 13_000, resamples, ..SobolIscv::default() };
    let pairs = [
        [0, 1000].map(|r| method(r).estimate(&each(&model.inputs), &f, Seed(4), &Silent).unwrap()),
        [0, 1000].map(|r| iscv(r).estimate(&each(&model.inputs), &f, Seed(4), &Silent).unwrap()),
    ];
    for [delta, bootstrap] in pairs {
        let (delta, bootstrap) = (&delta.outputs[0], &bootstrap.outputs[0]);
        for (d, b) in delta.first.iter().zip(&bootstrap.first).chain(delta.total.iter().zip(&bootstrap.total)) {
            assert_eq!(d.value, b.value);
            assert!((d.se / b.se - 1.0).abs() < 0.25, "{d:?} {b:?}");
        }
    }
}

#[test]
fn several_outputs_share_one_sample() {
    let inputs = uniform(&["a", "b"]);
    let model = |x: ArrayView2<f64>| {
        Ok(by_point(x, 2, &|x: &[f64], y: &mut [f64]| y.copy_from_slice(&[x[0] + x[1], 1e6 + 1e-3 * x[1]])))
    };
    let saltelli = Saltelli { calls: 4096, ..Saltelli::default() };
    let iscv = SobolIscv { calls: 4096, ..SobolIscv::default() };
    for found in [
        saltelli.estimate(&each(&inputs), &model, Seed(2), &Silent).unwrap(),
        iscv.estimate(&each(&inputs), &model, Seed(2), &Silent).unwrap(),
    ] {
        let near =
            |index: &Index, truth: f64| assert!((index.value - truth).abs() < 6.0 * index.se + 0.02, "{index:?}");
        assert_eq!(found.outputs.len(), 2);
        found.outputs[0].first.iter().chain(&found.outputs[0].total).for_each(|index| near(index, 0.5));
        near(&found.outputs[1].total[0], 0.0);
        near(&found.outputs[1].first[1], 1.0);
        assert!((found.outputs[1].mean - 1e6).abs() < 1.0);
    }
}

#[test]
fn awkward_inputs_have_answers() {
    let inputs = uniform(&["a", "b"]);
    assert!(Factors::of(&uniform(&["a", "a"])).unwrap_err().to_string().contains("a name of its own"));
    assert!(Factors::of(&[]).unwrap_err().to_string().contains("at least one"));
    let model = |value: f64| move |x: ArrayView2<f64>| Ok(Array2::from_elem((x.nrows(), 1), value));
    let saltelli = Saltelli { calls: 400, ..Saltelli::default() };
    let iscv = SobolIscv { calls: 400, ..SobolIscv::default() };
    for (inputs, calls, value, part) in [
        (&inputs, 400, 3.0, "lacks"),
        (&inputs, 400, 0.0, "lacks"),
        (&inputs, 400, f64::NAN, "finite output"),
        (&inputs, 400, f64::INFINITY, "finite output"),
        (&inputs, 7, 1.0, "at least"),
        (&inputs, 0, 1.0, "at least"),
    ] {
        let errors = [
            Saltelli { calls, ..saltelli }.estimate(&each(inputs), &model(value), Seed(1), &Silent).unwrap_err(),
            SobolIscv { calls, ..iscv }.estimate(&each(inputs), &model(value), Seed(1), &Silent).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    let empty = |_: ArrayView2<f64>| Ok(Array2::zeros((0, 1)));
    assert!(saltelli.estimate(&each(&inputs), &empty, Seed(1), &Silent).is_err());
    assert!(iscv.estimate(&each(&inputs), &empty, Seed(1), &Silent).is_err());
    let many: Vec<Input> = (0..600).map(|i| Input { name: i.to_string(), law: inputs[0].law }).collect();
    assert!(
        Saltelli { calls: 10_000, ..saltelli }.design(&each(&many), Seed(1)).unwrap_err().to_string().contains("512")
    );
    // One input: both indices are 1.
    let one = uniform(&["a"]);
    let square = |x: ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = x[0] * x[0]));
    let found = saltelli.estimate(&each(&one), &square, Seed(1), &Silent).unwrap();
    assert!((found.outputs[0].first[0].value - 1.0).abs() < 0.1 && (found.outputs[0].total[0].value - 1.0).abs() < 0.1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Indices do not change when the output is shifted and scaled.
    #[test]
    fn units_do_not_matter(shift in -1e3_f64..1e3, scale in 1e-3_f64..1e3, seed in any::<u64>()) {
        let model = ishigami();
        let f = model.model;
        let plain = |x: ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = f(x)));
        let other = |x: ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = shift + scale * f(x)));
        let saltelli = Saltelli { calls: 640, resamples: 10, ..Saltelli::default() };
        let iscv = SobolIscv { calls: 900, resamples: 10, ..SobolIscv::default() };
        let pairs = [
            [&plain as &Model, &other].map(|m| saltelli.estimate(&each(&model.inputs), m, Seed(seed), &Silent)),
            [&plain as &Model, &other].map(|m| iscv.estimate(&each(&model.inputs), m, Seed(seed), &Silent)),
        ];
        for [a, b] in pairs {
            // Too few points for a positive variance: both say so.
            let (Ok(a), Ok(b)) = (a, b) else { continue };
            for (a, b) in a.outputs[0].first.iter().zip(&b.outputs[0].first) {
                prop_assert!((a.value - b.value).abs() < 1e-5 * (1.0 + a.value.abs()), "{a:?} {b:?}");
            }
        }
    }
}
