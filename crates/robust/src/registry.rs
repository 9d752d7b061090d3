//! The list of resamplers: one line a method.

use crate::*;
use quadrat_core::{Card, Error, Params, Result, nearest};

/// How a resampler is made from parameters as typed.
struct Method {
    card: &'static Card,
    build: fn(&Params) -> Result<Box<dyn Resampler>>,
}

const METHODS: &[Method] = &[
    Method { card: &Smote::CARD, build: |p| Ok(Box::new(smote(p)?)) },
    Method {
        card: &SmoteNc::CARD,
        build: |p| {
            let d = SmoteNc::default();
            Ok(Box::new(SmoteNc { strategy: strategy(p)?, k: p.get_usize("k", d.k, 1..)?, generator: generator(p)? }))
        },
    },
    Method {
        card: &SmoteN::CARD,
        build: |p| {
            let d = SmoteN::default();
            Ok(Box::new(SmoteN { strategy: strategy(p)?, k: p.get_usize("k", d.k, 1..)?, generator: generator(p)? }))
        },
    },
    Method {
        card: &BorderlineSmote::CARD,
        build: |p| {
            let d = BorderlineSmote::default();
            Ok(Box::new(BorderlineSmote {
                strategy: strategy(p)?,
                k: p.get_usize("k", d.k, 1..)?,
                m: p.get_usize("m", d.m, 1..)?,
                kind: p.get_choice("kind", d.kind, &[("1", Kind::One), ("2", Kind::Two)])?,
                generator: generator(p)?,
            }))
        },
    },
    Method {
        card: &Adasyn::CARD,
        build: |p| {
            let d = Adasyn::default();
            Ok(Box::new(Adasyn { strategy: strategy(p)?, k: p.get_usize("k", d.k, 1..)?, generator: generator(p)? }))
        },
    },
    Method { card: &TomekLinks::CARD, build: |p| Ok(Box::new(TomekLinks { strategy: strategy(p)? })) },
    Method {
        card: &EditedNearestNeighbours::CARD,
        build: |p| {
            let d = EditedNearestNeighbours::default();
            let k = p.get_usize("k", d.k, 1..)?;
            Ok(Box::new(EditedNearestNeighbours { strategy: strategy(p)?, k, agree: agree(p)? }))
        },
    },
    Method { card: &Chain::SMOTE_TOMEK, build: |p| Ok(Box::new(Chain::smote_tomek(smote(p)?))) },
    Method { card: &Chain::SMOTE_ENN, build: |p| Ok(Box::new(Chain::smote_enn(smote(p)?, agree(p)?))) },
    Method {
        card: &RandomOverSampling::CARD,
        build: |p| Ok(Box::new(RandomOverSampling { strategy: strategy(p)?, generator: generator(p)? })),
    },
    Method {
        card: &RandomUnderSampling::CARD,
        build: |p| Ok(Box::new(RandomUnderSampling { strategy: strategy(p)?, generator: generator(p)? })),
    },
];

/// The cards of all resamplers.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The resampler called `name` (slug or alias) with the given parameters; what is not given has the default that the
/// card states.
///
/// ```
/// use quadrat_core::Params;
/// let resampler = quadrat_robust::build("smote", &Params::from([("k", "3"), ("ratio", "0.5")]))?;
/// assert_eq!(resampler.card().slug, "smote");
/// assert!(quadrat_robust::build("smoet", &Params::none()).is_err());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), a value that does not fit, or more than one of
/// `strategy`, `ratio`, `counts` and `percent`.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn Resampler>> {
    let method = METHODS.iter().find(|method| method.card.is_called(name)).ok_or_else(|| {
        let near = nearest(name, METHODS.iter().map(|method| method.card.slug));
        Error::input("method", format!("`{name}`"), format!("the nearest resamplers are {}", near.join(", ")))
    })?;
    params.check_names(method.card)?;
    (method.build)(params)
}

fn smote(p: &Params) -> Result<Smote> {
    let d = Smote::default();
    Ok(Smote {
        strategy: strategy(p)?,
        k: p.get_usize("k", d.k, 1..)?,
        gap: p.get_choice("gap", d.gap, &[("segment", Gap::Segment), ("per-attribute", Gap::PerAttribute)])?,
        generator: generator(p)?,
    })
}

fn generator(p: &Params) -> Result<Generator> {
    let choices = [("streams", Generator::Streams), ("numpy-legacy", Generator::NumpyLegacy)];
    p.get_choice("generator", Generator::default(), &choices)
}

fn agree(p: &Params) -> Result<Agree> {
    p.get_choice("agree", Agree::default(), &[("all", Agree::All), ("most", Agree::Most)])
}

/// The strategy that `strategy`, `ratio`, `counts` or `percent` ask for. The value `none` is as good as not given.
fn strategy(p: &Params) -> Result<Strategy> {
    let given = |name: &&str| p.get(name).is_some_and(|value| value != "none");
    let asked: Vec<&str> = ["ratio", "counts", "percent"].into_iter().filter(given).collect();
    let named = [
        ("auto", Strategy::Auto),
        ("not-majority", Strategy::NotMajority),
        ("minority", Strategy::Minority),
        ("all", Strategy::All),
    ];
    let strategy = p.get_choice("strategy", Strategy::Auto, &named)?;
    match asked[..] {
        [] => Ok(strategy),
        [one] if strategy == Strategy::Auto => match one {
            "ratio" => Ok(Strategy::Ratio(p.get_f64("ratio", 1.0, f64::MIN_POSITIVE..=1.0)?)),
            "percent" => Ok(Strategy::Percent(p.get_usize("percent", 100, 1..=u32::MAX as usize)? as u32)),
            _ => Ok(Strategy::Counts(counts(p.get("counts").unwrap_or_default())?)),
        },
        _ => {
            let got = asked.join(" and ");
            let want = "give only one of strategy, ratio, counts and percent";
            Err(Error::input("strategy", format!("`{got}` and others"), want))
        }
    }
}

/// `NAME=ROWS,NAME=ROWS`. A name may contain `=`; one with a comma cannot be given this way.
fn counts(text: &str) -> Result<std::collections::BTreeMap<String, usize>> {
    let pair = |pair: &str| {
        let (name, rows) = pair.rsplit_once('=')?;
        Some((name.trim().to_owned(), rows.trim().parse().ok()?))
    };
    let want =
        || Error::input("counts", format!("`{text}`"), "write NAME=ROWS,NAME=ROWS, for example spam=500,ham=800");
    text.split(',').map(|one| pair(one).ok_or_else(want)).collect()
}
