use super::*;
use ndarray::ArrayView2;
use quadrat_core::{Rng, Silent};

const LN_2PI: f64 = 1.8378770664093453;

/// (2j - 1)!!, the even moments of a standard normal.
fn moment(j: usize) -> f64 {
    (1..=j).map(|i| (2 * i - 1) as f64).product()
}

fn moments(count: usize) -> impl Problem {
    Expectations {
        dim: 1,
        targets: count,
        values: |x: &[f64], phi: &mut [f64]| {
            phi.iter_mut().enumerate().for_each(|(j, phi)| *phi = x[0].powi(2 * j as i32 + 2));
        },
        ln_density: |_: usize, x: &[f64]| -0.5 * (x[0] * x[0] + LN_2PI),
        draw: |_: usize, rng: &mut Rng, x: &mut [f64]| x[0] = rng.normal(),
        shared: true,
    }
}

#[test]
fn tmp_explore() {
    let w: Vec<f64> = (1..=10).map(|j| moment(j).powi(-2)).collect();
    for family in [Family::Single, Family::Mixture(2)] {
        let iscv = AdaptiveIscv { budget: 20_000, family, ..AdaptiveIscv::default() };
        let t = std::time::Instant::now();
        let mut sq = 0.0;
        let reps = 40;
        let mut rounds = vec![];
        for r in 0..reps {
            let e = iscv.estimate(&moments(10), &w, Seed(r), &Silent).unwrap();
            sq += (0..10).map(|j| w[j] * (e.value[j] - moment(j + 1)).powi(2)).sum::<f64>() / reps as f64;
            rounds.push(e.rounds);
        }
        println!("moments {family:?}: {sq} rounds {rounds:?} {:?}", t.elapsed());
    }
    use crate::sobol::*;
    for b in [crate::functions::ishigami(), crate::functions::g_function(), crate::functions::beam().unwrap()] {
        let model = |x: ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = (b.model)(x)));
        let calls = 20_000;
        let reps = 24;
        let report = |name: &str, f: &dyn Fn(u64) -> SobolEstimate| {
            let t = std::time::Instant::now();
            let d = b.inputs.len();
            let (mut s, mut tt, mut cs, mut ct) = (0.0, 0.0, 0, 0);
            for r in 0..reps {
                let e = f(r);
                let o = &e.outputs[0];
                for i in 0..d {
                    s += (o.first[i].value - b.first[i]).powi(2) / reps as f64;
                    cs += usize::from(o.first[i].low <= b.first[i] && b.first[i] <= o.first[i].high);
                    if !b.total.is_empty() {
                        tt += (o.total[i].value - b.total[i]).powi(2) / reps as f64;
                        ct += usize::from(o.total[i].low <= b.total[i] && b.total[i] <= o.total[i].high);
                    }
                }
            }
            let n = (reps as usize * d) as f64;
            println!(
                "{} {name}: first {s:.2e} total {tt:.2e} cover {:.3} {:.3} {:?}",
                b.name,
                cs as f64 / n,
                ct as f64 / n,
                t.elapsed()
            );
        };
        for points in [DesignPoints::Scrambled, DesignPoints::Independent] {
            let m = Saltelli { calls, points, resamples: 200 };
            report(&format!("{points:?}"), &|r| m.estimate(&b.inputs, &model, Seed(r), &Silent).unwrap());
        }
        for centre in [false, true] {
            for signed in [Signed::Absolute, Signed::Split] {
                for (family, covariance) in [
                    (Family::Single, Covariance::Full),
                    (Family::Single, Covariance::Diagonal),
                    (Family::Mixture(2), Covariance::Full),
                ] {
                    let m = SobolIscv {
                        calls,
                        centre,
                        resamples: 200,
                        iscv: AdaptiveIscv { signed, family, covariance, ..AdaptiveIscv::default() },
                    };
                    report(&format!("iscv centre={centre} {signed:?} {family:?} {covariance:?}"), &|r| {
                        m.estimate(&b.inputs, &model, Seed(r), &Silent).unwrap()
                    });
                }
            }
        }
    }
}
