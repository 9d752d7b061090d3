//! The list of methods: one line each.

use crate::*;
use quadrat_core::{Card, Error, Params, Result, nearest};
use quadrat_nn::TrainMethod;

/// Makes a hook.
type Build = fn(&Params) -> Result<Box<dyn TrainMethod>>;

/// How a method is made from parameters as typed; what is no hook has none.
struct Method {
    card: &'static Card,
    build: Option<Build>,
}

const METHODS: &[Method] = &[
    Method { card: &PsKd::CARD, build: Some(|p| Ok(Box::new(ps_kd(p)?))) },
    Method { card: &WeightCompander::CARD, build: Some(|p| Ok(Box::new(weight_compander(p)?))) },
    Method { card: &RandomPruning::CARD, build: Some(|p| Ok(Box::new(random_pruning(p)?))) },
    Method { card: &RandomSparseSearch::CARD, build: None },
    Method { card: &TicketMaker::CARD, build: None },
    Method { card: &QuantNas::CARD, build: None },
    Method { card: &Sara::CARD, build: Some(|p| Ok(Box::new(sara(p)?))) },
    Method { card: &SelfTuningNetwork::CARD, build: Some(|p| Ok(Box::new(self_tuning_network(p)?))) },
    Method {
        card: &Lora::CARD,
        build: Some(|p| {
            let d = Lora::default();
            let rank = p.get_usize("rank", d.rank, 1..)?;
            let alpha = p.get_f64("alpha", d.alpha.into(), f64::from(f32::MIN_POSITIVE)..=1e6)? as f32;
            Ok(Box::new(Lora { rank, alpha, ..d }))
        }),
    },
    Method {
        card: &LabelSmoothing::CARD,
        build: Some(|p| {
            let d = LabelSmoothing::default();
            Ok(Box::new(LabelSmoothing { rate: p.get_f64("rate", d.rate.into(), 0.0..1.0)? as f32 }))
        }),
    },
    Method {
        card: &Mixup::CARD,
        build: Some(|p| {
            let d = Mixup::default();
            Ok(Box::new(Mixup { alpha: p.get_f64("alpha", d.alpha, f64::MIN_POSITIVE..=4.0)?, ..d }))
        }),
    },
    Method { card: &Augment::CARD, build: Some(|p| Ok(Box::new(augment(p)?))) },
    Method {
        card: &InputNoise::CARD,
        build: Some(|p| {
            let d = InputNoise::default();
            let deviation = p.get_f64("deviation", d.deviation.into(), 0.0..=1e6)? as f32;
            Ok(Box::new(InputNoise { deviation, ..d }))
        }),
    },
];

/// The cards of all methods.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The training hook called `name` (slug or alias) with the given parameters; what is not given has the default that
/// the card states.
///
/// ```
/// use quadrat_core::Params;
/// let hook = quadrat_regularize::build("ps-kd", &Params::from([("alpha", "0.5")]))?;
/// assert_eq!(hook.name(), "ps-kd");
/// assert!(quadrat_regularize::build("pskdd", &Params::none()).is_err());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// An unknown method (the nearest names are offered), one that is no hook, an unknown parameter, or a value that does
/// not fit.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn TrainMethod>> {
    let method = METHODS.iter().find(|method| method.card.is_called(name)).ok_or_else(|| {
        let near = nearest(name, METHODS.iter().map(|method| method.card.slug));
        Error::input("method", format!("`{name}`"), format!("the nearest training methods are {}", near.join(", ")))
    })?;
    params.check_names(method.card)?;
    let build = method.build.ok_or_else(|| {
        Error::input("method", format!("`{name}`"), "it is no hook of a training: see `quadrat show` for how to use it")
    })?;
    build(params)
}

/// The search for a sparse network with the given parameters: it comes before a training and is no hook of it.
///
/// # Errors
/// An unknown parameter, or a value that does not fit.
pub fn build_search(params: &Params) -> Result<RandomSparseSearch> {
    params.check_names(&RandomSparseSearch::CARD)?;
    let d = RandomSparseSearch::default();
    let scores =
        [("loss", Score::Loss), ("error", Score::Error), ("gradient-norm", Score::GradientNorm), ("snip", Score::Snip)];
    Ok(RandomSparseSearch {
        sparsity: Sparsity::Node(params.get_f64("sparsity", 0.75, 0.0..1.0)?),
        trials: params.get_usize("trials", d.trials, 1..)?,
        score: params.get_choice("score", d.score, &scores)?,
        rescale: params.get_bool("rescale", d.rescale)?,
    })
}

fn augment(p: &Params) -> Result<Augment> {
    let d = Augment::default();
    Ok(Augment {
        shift: p.get_usize("shift", d.shift, ..)?,
        flip: p.get_bool("flip", d.flip)?,
        crop: p.get_f64("crop", d.crop.into(), f64::from(f32::MIN_POSITIVE)..=1.0)? as f32,
        shape: p.get("shape").filter(|text| *text != "auto").map(Augment::parse_shape).transpose()?,
        ..d
    })
}

fn ps_kd(p: &Params) -> Result<PsKd> {
    let d = PsKd::default();
    Ok(PsKd {
        alpha: p.get_f64("alpha", d.alpha.into(), 0.0..=1.0)? as f32,
        growth: p.get_choice(
            "growth",
            d.growth,
            &[("linear", Growth::Linear), ("cosine", Growth::Cosine), ("constant", Growth::Constant)],
        )?,
        teacher: p.get_choice(
            "teacher",
            d.teacher,
            &[("on-the-fly", Teacher::OnTheFly), ("epoch-end", Teacher::EpochEnd)],
        )?,
        ..d
    })
}

fn weight_compander(p: &Params) -> Result<WeightCompander> {
    let d = WeightCompander::default();
    let functions = [
        ("arctan", Compander::Arctan),
        ("tanh", Compander::Tanh),
        ("softsign", Compander::Softsign),
        ("mu-law", Compander::MuLaw),
    ];
    Ok(WeightCompander {
        compander: p.get_choice("function", d.compander, &functions)?,
        scale: p.get_f64("scale", d.scale.into(), f64::from(f32::MIN_POSITIVE)..=1e6)? as f32,
        expansion: p.get_f64("expansion", d.expansion.into(), f64::from(f32::MIN_POSITIVE)..=1e6)? as f32,
        learn: p.get_bool("learn", d.learn)?,
        start: p.get_choice("start", d.start, &[("matched", Start::Matched), ("plain", Start::Plain)])?,
        penalty: p.get_f64("penalty", d.penalty.into(), 0.0..=1e6)? as f32,
        ..d
    })
}

fn random_pruning(p: &Params) -> Result<RandomPruning> {
    let d = RandomPruning::default();
    let rules = [
        ("uniform", Rule::Uniform),
        ("uniform-plus", Rule::UniformPlus),
        ("er", Rule::Er),
        ("erk", Rule::Erk),
        ("erk-plus", Rule::ErkPlus),
        ("snip", Rule::Snip),
        ("grasp", Rule::Grasp),
    ];
    Ok(RandomPruning {
        density: p.get_f64("density", d.density, f64::MIN_POSITIVE..=1.0)?,
        rule: p.get_choice("rule", d.rule, &rules)?,
        draw: p.get_choice("draw", d.draw, &[("exact", Draw::Exact), ("bernoulli", Draw::Bernoulli)])?,
        rescale: p.get_bool("rescale", d.rescale)?,
        ..d
    })
}

fn sara(p: &Params) -> Result<Sara> {
    let d = Sara::default();
    let given = |name: &str| p.get(name).is_some_and(|value| value != "none");
    let select = match (given("threshold"), given("budget")) {
        (true, true) => return Err(Error::input("sara", "threshold and budget", "give only one of them")),
        (true, false) => Select::Threshold(p.get_f64("threshold", 0.0, f64::MIN_POSITIVE..=1e6)? as f32),
        (false, true) => Select::Budget(p.get_usize("budget", 0, 1..)?),
        (false, false) => Select::Fraction(p.get_f64("fraction", 0.1, f64::MIN_POSITIVE..=1.0)?),
    };
    let progressive = match p.get("progressive") {
        Some("none") => None,
        _ => Some(p.get_f64("progressive", 0.5, f64::MIN_POSITIVE..1.0)?),
    };
    let picks = [("smallest", Pick::Smallest), ("largest", Pick::Largest), ("random", Pick::Random)];
    Ok(Sara {
        select,
        pick: p.get_choice("pick", d.pick, &picks)?,
        lambda: p.get_f64("lambda", d.lambda.into(), 0.0..=1e6)? as f32,
        progressive,
        ..d
    })
}

fn self_tuning_network(p: &Params) -> Result<SelfTuningNetwork> {
    let d = SelfTuningNetwork::default();
    let share = p.get_f64("validation", 0.2, f64::MIN_POSITIVE..1.0)?;
    Ok(SelfTuningNetwork {
        hypers: p.get("tune").unwrap_or("dropout").split('+').map(Hyper::parse).collect::<Result<_>>()?,
        validation: Validation::Share(share),
        variant: p.get_choice("variant", d.variant, &[("plain", Variant::Plain), ("centred", Variant::Centred)])?,
        train_steps: p.get_usize("train-steps", d.train_steps, 1..)?,
        valid_steps: p.get_usize("valid-steps", d.valid_steps, 1..)?,
        warmup: p.get_usize("warmup", d.warmup, ..)?,
        batch: p.get_usize("batch", d.batch, 1..)?,
        rate: p.get_f64("rate", d.rate, 0.0..=1e3)?,
        scale_rate: p.get_f64("scale-rate", d.scale_rate, 0.0..=1e3)?,
        tau: p.get_f64("tau", d.tau, 0.0..=1e3)?,
        keep_best: p.get_bool("keep-best", d.keep_best)?,
        ..d
    })
}
