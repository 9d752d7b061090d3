//! Subjects with one defect each, all of which are found, and sound ones, none of which is refused.

mod subjects;

use super::material::{CHOSEN, ROWS};
use super::{Answer, Certificate, Kind, Law, Outcome, Request, Status, certify};
use quadrat_core::{Rng, Seed, Silent};
use quadrat_select::{D2, FacilityLocation, Herding, KCenter, Leverage, Random, ScoreSampler, Stratified};
use rayon::prelude::*;
use std::time::Instant;
use subjects::*;

/// Name, kind, how it is made, and the law that it breaks.
type Exhibit = (&'static str, Kind, fn() -> Closure, Law);

const DEFECTS: &[Exhibit] = &[
    (
        "a loop that never comes to the last row",
        Kind::Selector,
        || selector(|_, n, k, mut rng| if k == n { (0..n).collect() } else { rng.sample(n - 1, k) }),
        Law::Order,
    ),
    (
        "a shuffle that moves every row (Sattolo's)",
        Kind::Selector,
        || {
            selector(|_, n, k, mut rng| {
                let mut all: Vec<usize> = (0..n).collect();
                (1..n).rev().for_each(|i| all.swap(i, rng.below(i)));
                all.truncate(k);
                all
            })
        },
        Law::Order,
    ),
    (
        "early rows preferred by a third",
        Kind::Selector,
        || {
            selector(|_, n, k, mut rng| {
                rng.weighted_sample(&(0..n).map(|i| if 2 * i < n { 4.0 } else { 3.0 }).collect::<Vec<_>>(), k)
            })
        },
        Law::Order,
    ),
    (
        "one row more where k is even",
        Kind::Selector,
        || selector(|_, n, k, mut rng| rng.sample(n, (k + usize::from(k % 2 == 0)).min(n))),
        Law::Count,
    ),
    (
        "as many rows as there are where more are wanted",
        Kind::Selector,
        || closure(|request| chosen(Seed(request.seed).rng(0).sample(request.rows.len(), request.k.unwrap_or(0)))),
        Law::Impossible,
    ),
    (
        "rows counted from 1",
        Kind::Selector,
        || selector(|_, n, k, mut rng| rng.sample(n, k).into_iter().map(|row| row + 1).collect()),
        Law::Range,
    ),
    (
        "a seed from the clock",
        Kind::Selector,
        || {
            let mut clock = 0;
            selector(move |_, n, k, _| {
                clock += 1;
                Seed(clock).rng(0).sample(n, k)
            })
        },
        Law::SameSeed,
    ),
    (
        "the seed of the first request for all",
        Kind::Selector,
        || {
            let mut kept: Option<Rng> = None;
            selector(move |_, n, k, rng| kept.get_or_insert(rng).sample(n, k))
        },
        Law::SameSeed,
    ),
    (
        "the same choice for every seed",
        Kind::Design,
        || selector(|_, n, k, _| Seed(5).rng(0).sample(n, k)),
        Law::OtherSeed,
    ),
    (
        "draws with replacement, sold as a design",
        Kind::Design,
        || selector(|_, n, k, mut rng| (0..k).map(|_| rng.below(n)).collect()),
        Law::Distinct,
    ),
    (
        "inclusion probabilities a fifth too even",
        Kind::Design,
        || {
            comb_design(|p| {
                let open: Vec<f64> = p.iter().copied().filter(|p| *p < 1.0).collect();
                let mean = open.iter().sum::<f64>() / open.len() as f64;
                p.iter().map(|p| if *p >= 1.0 { *p } else { mean + (p - mean) * 0.6 }).collect()
            })
        },
        Law::Frequency,
    ),
    (
        "rows one after the other in proportion to size, sold as that inclusion",
        Kind::Design,
        || {
            closure(|request| match sizes(request) {
                Some((_, k, mut rng)) => {
                    let size: Vec<f64> = request.rows.iter().map(|row| row[0].powi(2)).collect();
                    let squared: Vec<Vec<f64>> = size.iter().map(|size| vec![*size]).collect();
                    let inclusion = Some(proportional(&squared, k));
                    Outcome::Answer(Answer { rows: rng.weighted_sample(&size, k), inclusion, ..Answer::default() })
                }
                None => too_many(),
            })
        },
        Law::Frequency,
    ),
    ("square roots of weights", Kind::Weighted, || draws(|w, _| w.iter().map(|w| w.sqrt()).collect()), Law::RowWeight),
    (
        "weights normalised to the number of rows",
        Kind::Weighted,
        || {
            draws(|w, n| {
                let sum: f64 = w.iter().sum();
                w.iter().map(|w| w * n as f64 / sum).collect()
            })
        },
        Law::Totals,
    ),
    (
        "weights clipped at the mean one",
        Kind::Weighted,
        || {
            draws(|w, n| {
                let k = w.len() as f64;
                w.iter().map(|w| w.min(n as f64 / k)).collect()
            })
        },
        Law::RowWeight,
    ),
    ("a partner of any class", Kind::Resampler, || smote(on_segments, false), Law::Segments),
    (
        "a lambda up to 1.3",
        Kind::Resampler,
        || smote(|from, to, rng| towards(from, to, 1.3 * rng.uniform()), true),
        Law::Segments,
    ),
    (
        "a lambda for each column",
        Kind::Resampler,
        || smote(|from, to, rng| from.iter().zip(to).map(|(a, b)| a + rng.uniform() * (b - a)).collect(), true),
        Law::Segments,
    ),
    (
        "given rows in single precision",
        Kind::Resampler,
        || damaged(|answer| answer.points.iter_mut().flatten().for_each(|v| *v = f64::from(*v as f32))),
        Law::Originals,
    ),
    (
        "rows sorted by class",
        Kind::Resampler,
        || {
            damaged(|answer| {
                let mut all: Vec<_> = answer.labels.drain(..).zip(answer.points.drain(..)).collect();
                all.sort_by(|a, b| a.0.cmp(&b.0));
                (answer.labels, answer.points) = all.into_iter().unzip();
            })
        },
        Law::Originals,
    ),
    ("copies instead of new rows", Kind::Resampler, || smote(|from, _, _| from.to_vec(), true), Law::NoCopies),
    (
        "one new row too few",
        Kind::Resampler,
        || {
            damaged(|answer| {
                answer.points.pop();
                answer.labels.pop();
            })
        },
        Law::Balance,
    ),
];

/// Name, kind, and how it is made.
type Sound = (&'static str, Kind, fn() -> Closure);

const SOUND: &[Sound] = &[
    ("random", Kind::Selector, || ours(Random)),
    ("d2", Kind::Selector, || ours(D2)),
    ("k-center", Kind::Selector, || ours(KCenter)),
    ("herding", Kind::Selector, || ours(Herding::default())),
    ("random", Kind::Weighted, || ours(Random)),
    ("stratified", Kind::Weighted, || ours(Stratified::default())),
    ("leverage", Kind::Weighted, || {
        ours(ScoreSampler { scores: Box::new(Leverage::default()), ..ScoreSampler::default() })
    }),
    ("draws in proportion to size", Kind::Weighted, || draws(|w, _| w)),
    ("poisson", Kind::Weighted, poisson),
    ("uniform", Kind::Design, || selector(|_, n, k, mut rng| rng.sample(n, k))),
    ("random", Kind::Design, || ours(Random)),
    ("in proportion to size", Kind::Design, || comb_design(<[f64]>::to_vec)),
    ("poisson", Kind::Design, poisson),
    ("our smote", Kind::Resampler, our_smote),
    ("smote of all pairs", Kind::Resampler, || smote(on_segments, true)),
];

fn certificate(make: fn() -> Closure, kind: Kind, seed: u64) -> Certificate {
    certify(&mut make(), kind, Seed(seed), &Silent).unwrap()
}

/// Every defect with every seed of the questions.
#[test]
fn all_defects_are_found() {
    let seeds = if cfg!(debug_assertions) { 2 } else { 10 };
    let all: Vec<(&Exhibit, u64)> =
        DEFECTS.iter().flat_map(|defect| (0..seeds).map(move |seed| (defect, seed))).collect();
    // Gathered, since what a thread of the pool prints is lost.
    let missed: Vec<String> = all
        .par_iter()
        .filter_map(|((name, kind, make, law), seed)| {
            let certificate = certificate(*make, *kind, *seed);
            let broken: Vec<_> = certificate.broken().collect();
            let told = broken.iter().all(|item| !item.measured.is_empty() && item.look.is_some());
            let found = broken.iter().any(|item| item.law == *law) && told && !certificate.certified();
            (!found).then(|| format!("{name}, seed {seed}: {:#?}", certificate.items))
        })
        .collect();
    assert!(missed.is_empty(), "{} missed: {}", missed.len(), missed.join("\n"));
}

/// As many certificates of sound subjects, none of which is refused.
fn no_alarm(certificates: u64) {
    let started = Instant::now();
    let each = certificates.div_ceil(SOUND.len() as u64);
    let all: Vec<_> = SOUND.iter().flat_map(|subject| (0..each).map(move |seed| (subject, seed))).collect();
    let certificates = all.par_iter().map(|((name, kind, make), seed)| {
        let certificate = certificate(*make, *kind, *seed);
        let bad: Vec<_> = certificate.items.iter().filter(|item| item.status != Status::Holds).collect();
        let refused = (!bad.is_empty()).then(|| format!("{name}, {kind}, seed {seed}: {bad:#?}"));
        (certificate.requests, refused)
    });
    let (requests, refused): (Vec<u64>, Vec<Option<String>>) = certificates.unzip();
    let refused: Vec<String> = refused.into_iter().flatten().collect();
    assert!(refused.is_empty(), "{} refused: {}", refused.len(), refused.join("\n"));
    let requests: u64 = requests.iter().sum();
    println!("{} certificates, {requests} requests, {:.1} s", all.len(), started.elapsed().as_secs_f64());
}

#[test]
fn no_sound_subject_is_refused() {
    no_alarm(if cfg!(debug_assertions) { 90 } else { 200 });
}

/// `cargo test --release -p quadrat-claims --no-default-features certify -- --include-ignored --nocapture`
#[test]
#[ignore = "half a minute of processor time"]
fn no_sound_subject_of_a_thousand_is_refused() {
    no_alarm(1000);
}

/// What the certificate says would have been found is found.
#[test]
fn stated_deviations_are_found() {
    let runs = if cfg!(debug_assertions) { 10 } else { 100 };
    let sound = certificate(|| draws(|w, _| w), Kind::Weighted, 0);
    let by = sound.items.iter().find(|item| item.law == Law::Totals).and_then(|item| item.finds).unwrap();
    assert!((0.01..0.1).contains(&by), "{by}");
    // Weights that are all too large, or too small, by so much.
    let found = (0..runs).into_par_iter().filter(|seed| {
        let sign = if seed % 2 == 0 { 1.0 } else { -1.0 };
        let mut sound = draws(|w, _| w);
        let mut subject = move |request: &Request| match sound(request) {
            Outcome::Answer(Answer { rows, weights: Some(weights), .. }) => {
                let weights = Some(weights.iter().map(|w| w * (1.0 + sign * by)).collect());
                Outcome::Answer(Answer { rows, weights, ..Answer::default() })
            }
            other => other,
        };
        let certificate = certify(&mut subject, Kind::Weighted, Seed(1000 + seed), &Silent).unwrap();
        certificate.broken().any(|item| item.law == Law::Totals)
    });
    // 99 in 100 are promised: four standard errors less.
    let found = found.count() as f64;
    assert!(found >= 0.95 * runs as f64 - 0.5, "{found} of {runs}, by {by}");
}

/// Subjects that do not answer, and what is said of them.
#[test]
fn faults_are_laws_that_are_broken() {
    for (mut subject, part) in
        [
            (
                closure(|_| Outcome::Fault("no answer within 2 s".into())),
                "request 1 (12 rows, k = 4) has no answer: no answer within 2 s",
            ),
            (closure(|_| Outcome::Refused("no".into())), "was refused: `no`"),
            (
                closure(|request| {
                    Outcome::Answer(Answer { rows: vec![usize::MAX; request.k.unwrap()], ..Answer::default() })
                }),
                " of 12",
            ),
            (
                selector(|request, n, _, _| {
                    if request.id > 1500 { vec![] } else { Seed(request.seed).rng(0).sample(n, request.k.unwrap()) }
                }),
                "request 1501 (12 rows, k = 4) has 0 rows",
            ),
            (
                closure(|request| match sizes(request) {
                    Some((n, k, mut rng)) if request.rows[0].len() > 1 => chosen(rng.sample(n, k)),
                    _ => Outcome::Refused("no distances".into()),
                }),
                "(12 rows, k = 4, one column) was refused: `no distances`",
            ),
        ]
    {
        let certificate = certify(&mut subject, Kind::Selector, Seed(0), &Silent).unwrap();
        let item = certificate.broken().next().unwrap();
        assert!(item.measured.contains(part), "{item:?}");
        assert!(certificate.items.iter().any(|item| item.status == Status::NotReached));
    }
}

/// Two rows that stand for each other gain the same, whatever their values are: facility location takes the one that
/// comes first.
#[test]
fn ties_that_go_to_the_first_row_are_found() {
    let certificate = certificate(|| ours(FacilityLocation::default()), Kind::Selector, 5);
    let broken: Vec<Law> = certificate.broken().map(|item| item.law).collect();
    assert_eq!(broken, [Law::Order]);
}

/// Weights that single rows carry beyond what can be vouched for.
#[test]
fn weights_that_are_too_heavy_are_named() {
    let rare = || {
        closure(|request| match sizes(request) {
            Some((n, k, mut rng)) => {
                let p: Vec<f64> = request.rows.iter().map(|row| if row[0] > 1.2 { 1.0 } else { 0.02 }).collect();
                let sum: f64 = p.iter().sum();
                let rows: Vec<usize> = (0..k).map(|_| rng.weighted(&p)).collect();
                let weights = rows.iter().map(|row| sum / (k as f64 * p[*row])).collect();
                assert_eq!(n, p.len());
                Outcome::Answer(Answer { rows, weights: Some(weights), ..Answer::default() })
            }
            None => too_many(),
        }) as Closure
    };
    let certificate = certificate(rare, Kind::Weighted, 0);
    let item = certificate.broken().next().unwrap();
    assert!(item.law == Law::Weights && item.measured.contains("the mean one is 3"), "{item:?}");
}

#[test]
fn a_certificate_tells_its_power() {
    for (name, kind, make) in SOUND {
        let certificate = certificate(*make, *kind, 1);
        for item in certificate.items.iter().filter(|item| item.p.is_some()) {
            let finds = item.finds.unwrap();
            assert!(finds < 0.36 && item.repetitions >= 1000, "{name} {kind}: {item:?}");
        }
        assert!(certificate.requests > 1000 && certificate.items.len() == kind.laws().len());
    }
    assert_eq!((ROWS, CHOSEN), (12, 4), "the page about certificates says so");
}
