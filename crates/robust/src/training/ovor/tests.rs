use super::*;
use quadrat_core::Silent;
use quadrat_nn::{Vit, predict};
use quadrat_numeric::calibration::likeliest;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-3 * (1.0 + b.abs())
}

/// Four clusters in six columns; the first two are learnt first.
fn clusters(classes: Range<u32>, of: usize, seed: u64) -> Samples {
    let mut rng = Seed(seed).rng(0);
    let labels: Vec<u32> = (0..120).map(|i| classes.start + i % classes.len() as u32).collect();
    let inputs = Array2::from_shape_fn((120, 6), |(i, j)| {
        (if j == labels[i] as usize { 4.0 } else { 0.0 } + 0.7 * rng.normal()) as f32
    });
    Samples::classes(inputs, labels, of).unwrap()
}

fn base() -> (Model, Parameters) {
    let network = Mlp::new(6, &[24], 2);
    let trainer = Trainer { epochs: 20, batch: 20, rate: 5e-3, ..Trainer::default() };
    let fit = trainer.fit(&network, &clusters(0..2, 2, 1), None, &mut [], &Silent).unwrap();
    (Model::Mlp(network), fit.parameters)
}

fn trainer() -> Trainer {
    Trainer { epochs: 20, batch: 20, rate: 1e-2, seed: Seed(3), ..Trainer::default() }
}

#[test]
fn new_classes_are_learnt_and_all_else_stays_to_the_bit() {
    let (network, parameters) = base();
    let new = clusters(2..4, 4, 2);
    let method = Ovor { thresholds: Thresholds::Auto, ..Ovor::default() };
    let extended = method.extend(&network, &parameters, &new, &trainer(), &Silent).unwrap();
    assert_eq!((extended.network.outputs(), extended.outliers), (4, 80));
    assert!(extended.thresholds[0] < extended.thresholds[1]);
    for name in ["fc1.weight", "fc1.bias"] {
        assert_eq!(extended.fit.parameters.get(name).unwrap().values(), parameters.get(name).unwrap().values());
    }
    let old = |p: &Parameters, name: &str, n: usize| p.get(name).unwrap().values()[..n].to_vec();
    for (name, n) in [("fc2.weight", 48), ("fc2.bias", 2)] {
        assert_eq!(old(&extended.fit.parameters, name, n), old(&parameters, name, n), "{name}");
    }
    let said = predict(&extended.network, &extended.fit.parameters, new.inputs.view(), &[]).unwrap();
    let right = likeliest(said.view()).iter().zip(new.labels().unwrap()).filter(|(a, b)| a == b).count();
    assert!(right > 100, "{right} of 120");
    let again = method.extend(&network, &parameters, &new, &trainer(), &Silent).unwrap();
    assert_eq!(again.fit.parameters.fingerprint(), extended.fit.parameters.fingerprint());
}

#[test]
fn what_does_not_fit_is_refused() {
    let (network, parameters) = base();
    let refused = |method: Ovor, samples: &Samples| {
        method.extend(&network, &parameters, samples, &trainer(), &Silent).unwrap_err().to_string()
    };
    assert!(refused(Ovor::default(), &clusters(1..3, 4, 2)).contains("class 1 in row 0"));
    assert!(refused(Ovor::default(), &clusters(0..2, 2, 2)).contains("0 new classes"));
    let crossed = Ovor { t_id: -1.0, t_ood: -2.0, ..Ovor::default() };
    assert!(refused(crossed, &clusters(2..4, 4, 2)).contains("t_ood above t_id"));
    let few = Outliers { draws: 1, boundary: 3, ..Outliers::default() };
    let error = refused(Ovor { outliers: few, ..Ovor::default() }, &clusters(2..4, 4, 2));
    assert!(error.contains("80 of 3 candidates"), "{error}");
}

/// Both hinges by their definition, and their slopes; none where scores are beyond the thresholds.
#[test]
fn hinges_have_the_slopes_of_their_definition() {
    for x in [-3.0, -0.1, 0.3, 0.99, 1.5, 40.0] {
        let (value, slope) = huber(x);
        let h = f64::from(x).max(0.0);
        assert!(close(f64::from(value), if h < 1.0 { 0.5 * h * h } else { h - 0.5 }));
        let by = (f64::from(huber(x + 1e-2).0) - f64::from(huber(x - 1e-2).0)) / 2e-2;
        assert!((by - f64::from(slope)).abs() < 2e-2, "{x}: {by} {slope}");
    }
}

/// Every outlier lies at a boundary row plus noise, and none that was left out lies farther.
#[test]
fn outliers_are_those_of_a_search_of_all_pairs() {
    let mut rng = Seed(5).rng(0);
    let z = Array2::from_shape_simple_fn((40, 3), || 2.0 * rng.normal() as f32 + 1.0);
    let (k, boundary, draws) = (4, 5, 12);
    let method = Outliers { k, boundary, draws, per_class: 7, ..Outliers::default() };
    let found = method.sample(z.view(), 2, Seed(1)).unwrap();
    let wide = z.mapv(f64::from);
    let unit: Vec<Array2<f64>> =
        wide.outer_iter().map(|row| (&row / row.dot(&row).sqrt()).insert_axis(ndarray::Axis(0))).collect();
    let distance = |v: &Array2<f64>, k: usize| {
        let mut all: Vec<f64> = unit.iter().map(|u| (u - v).mapv(|d| d * d).sum()).collect();
        all.sort_by(f64::total_cmp);
        all[k - 1]
    };
    let mut edge: Vec<usize> = (0..40).collect();
    edge.sort_by(|a, b| distance(&unit[*b], k).total_cmp(&distance(&unit[*a], k)));
    let mut rng = Seed(1).rng(0);
    let noise = Array2::from_shape_simple_fn((draws, 3), || f64::from(0.1 * rng.normal() as f32));
    let mut candidates: Vec<(f64, Array2<f64>)> = Vec::new();
    for row in &edge[..boundary] {
        let length = wide.row(*row).dot(&wide.row(*row)).sqrt();
        for e in noise.outer_iter() {
            let v = &unit[*row] + &e;
            candidates.push((distance(&v, k), v * length));
        }
    }
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert_eq!(found.dim(), (14, 3));
    for (found, (_, wanted)) in found.outer_iter().zip(&candidates) {
        assert!(found.iter().zip(wanted).all(|(a, b)| close(f64::from(*a), *b)), "{found} {wanted}");
    }
}

/// Two classes of known law: the discriminant's weights are Σ⁻¹ μ.
#[test]
fn discriminants_and_class_means_do_without_old_rows() {
    let rows = clusters(0..2, 2, 1);
    let x = rows.inputs.mapv(f64::from);
    let mut whole = ClassStatistics::new(6);
    whole.add(x.view(), rows.labels().unwrap()).unwrap();
    let mut parts = ClassStatistics::new(6);
    for class in 0..2 {
        let own: Vec<usize> = (0..120).filter(|i| rows.labels().unwrap()[*i] == class).collect();
        parts.add(x.select(ndarray::Axis(0), &own).view(), &vec![class; own.len()]).unwrap();
    }
    let (a, b) = (whole.discriminant(0.1).unwrap(), parts.discriminant(0.1).unwrap());
    assert!(a.0.iter().zip(&b.0).chain(a.1.iter().zip(&b.1)).all(|(a, b)| (a - b).abs() < 1e-9));
    let said = |(weight, bias): (Array2<f64>, ndarray::Array1<f64>)| (x.dot(&weight.t()) + &bias).mapv(|v| v as f32);
    for scores in [said(a), said(whole.nearest_mean())] {
        let right = likeliest(scores.view()).iter().zip(rows.labels().unwrap()).filter(|(a, b)| a == b).count();
        assert!(right > 115, "{right}");
    }
    assert!(parts.add(x.view(), rows.labels().unwrap()).is_err());
    assert!(parts.add(x.view(), &[2]).is_err());
}

/// One prompt for all classes: the rest of a transformer stays to the bit, and so do the outputs of old classes.
#[test]
fn a_prompt_is_tuned_and_kept() {
    let vit = Vit { width: 8, heads: 2, layers: 2, ..Vit::new([1, 8, 8], 2) };
    let images = |classes: Range<u32>, of: usize| {
        let mut rng = Seed(9).rng(0);
        let labels: Vec<u32> = (0..40).map(|i| classes.start + i % classes.len() as u32).collect();
        let pixel =
            |(i, j): (usize, usize)| if j / 16 == labels[i] as usize { 1.0 } else { 0.3 * rng.uniform() as f32 };
        Samples::classes(Array2::from_shape_fn((40, 64), pixel), labels.clone(), of).unwrap()
    };
    let start = initialise(&vit, Seed(0)).unwrap();
    let method = Ovor { prompt: true, thresholds: Thresholds::Auto, ..Ovor::default() };
    let network = Model::Vit(vit);
    let first = method.extend(&network, &start, &images(2..4, 4), &trainer(), &Silent).unwrap();
    let second = method.extend(&first.network, &first.fit.parameters, &images(4..6, 6), &trainer(), &Silent).unwrap();
    let value = |p: &Parameters, name: &str| p.get(name).unwrap().values();
    for parameter in start.iter().filter(|p| !p.name.starts_with("head")) {
        assert_eq!(value(&second.fit.parameters, &parameter.name), parameter.values(), "{}", parameter.name);
    }
    assert_eq!(value(&second.fit.parameters, "head.weight")[..16], value(&start, "head.weight"));
    assert_eq!(value(&second.fit.parameters, "head.weight")[..32], value(&first.fit.parameters, "head.weight"));
    let prompt = "block1.prefix";
    assert_ne!(value(&first.fit.parameters, prompt), value(&second.fit.parameters, prompt), "one for all, tuned on");
    assert_eq!(first.fit.parameters.get(prompt).unwrap().shape, [4, 8]);
    let error = method.extend(&network, &start, &images(2..3, 3), &trainer(), &Silent).unwrap_err();
    assert!(error.to_string().contains("at least two"), "{error}");
    let mlp = base();
    let error = method.extend(&mlp.0, &mlp.1, &clusters(2..4, 4, 2), &trainer(), &Silent).unwrap_err();
    assert!(error.to_string().contains("--model vit"));
}
