//! The list of selectors: one line a method.
//!
//! A method's file has a static `CARD` and, if it takes parameters, `from_params(&Params) -> Result<Self>`, which reads
//! each parameter that the card lists with a typed getter (range checked, the struct's own default). Adding a line here
//! is all that the command line, the catalogue and the checklist tests need.

use crate::{ClusterSelector, DiversifyConquer, PoolDesign, Rs2, ScoreSampler};
use crate::{D2, Deita, FacilityLocation, Herding, KCenter, Mig, Qdit, Random, Selector, Stratified, TopScore};
use crate::{cluster, dpp_least_squares, refine, rs2, sensitivity};
use crate::{
    d2, deita, facility_location, herding, interp_extrap_split, k_center, lasso_mtrl, learned_active, mig, qdit,
    random, stratified, top_score,
};
use quadrat_core::{Card, Error, Params, Result, nearest};

/// How a selector is made from parameters as typed.
struct Method {
    card: &'static Card,
    build: fn(&Params) -> Result<Box<dyn Selector>>,
}

const METHODS: &[Method] = &[
    Method { card: &mig::CARD, build: |p| Ok(Box::new(Mig::from_params(p)?)) },
    Method { card: &refine::CARD, build: |p| Ok(Box::new(DiversifyConquer::from_params(p)?)) },
    Method { card: &cluster::CARD, build: |p| Ok(Box::new(ClusterSelector::from_params(p)?)) },
    Method { card: &sensitivity::CARD, build: |p| Ok(Box::new(ScoreSampler::from_params(p)?)) },
    Method { card: &dpp_least_squares::CARD, build: |p| Ok(Box::new(PoolDesign::from_params(p)?)) },
    Method { card: &rs2::CARD, build: |p| Ok(Box::new(Rs2::from_params(p)?)) },
    Method { card: &random::CARD, build: |_| Ok(Box::new(Random)) },
    Method { card: &stratified::CARD, build: |p| Ok(Box::new(Stratified::from_params(p)?)) },
    Method { card: &top_score::CARD, build: |_| Ok(Box::new(TopScore)) },
    Method { card: &k_center::CARD, build: |_| Ok(Box::new(KCenter)) },
    Method { card: &facility_location::CARD, build: |p| Ok(Box::new(FacilityLocation::from_params(p)?)) },
    Method { card: &herding::CARD, build: |p| Ok(Box::new(Herding::from_params(p)?)) },
    Method { card: &d2::CARD, build: |_| Ok(Box::new(D2)) },
    Method { card: &qdit::CARD, build: |p| Ok(Box::new(Qdit::from_params(p)?)) },
    Method { card: &deita::CARD, build: |p| Ok(Box::new(Deita::from_params(p)?)) },
];

/// Parameters that have an effect only where another has one of some values: (method, parameter, the other, values).
const ONLY: &[(&str, &str, &str, &[&str])] = &[
    ("mig", "a", "phi", &["pow"]),
    ("mig", "beta", "phi", &["pow"]),
    ("mig", "alpha", "phi", &["exp"]),
    ("diversify-conquer", "temperature", "update", &["softmax"]),
    ("diversify-conquer", "within-temperature", "within", &["softmax"]),
    ("kmq", "temperature", "within", &["softmax"]),
    ("sensitivity-sampling", "mode", "importance", &["sensitivity", "lev-sens"]),
    ("sensitivity-sampling", "ridge", "importance", &["leverage"]),
    ("sensitivity-sampling", "sketch", "importance", &["leverage"]),
    ("sensitivity-sampling", "p", "importance", &["sensitivity", "lev-sens", "lewis", "root-leverage", "row-norm"]),
];

/// Methods of this area that are no selectors: each has its own interface, and its card says where.
const OTHERS: &[&Card] = &[&interp_extrap_split::CARD, &lasso_mtrl::CARD, &learned_active::CARD];

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    selectors().into_iter().chain(OTHERS.iter().copied()).collect()
}

/// The cards of the selectors: what [`build`] can make.
pub fn selectors() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The selector called `name` (slug or alias) with the given parameters; what is not given has the default that the
/// card states.
///
/// ```
/// use quadrat_core::Params;
/// let selector = quadrat_select::build("stratified", &Params::from([("allocation", "equal")]))?;
/// assert_eq!(selector.card().slug, "stratified");
/// assert!(quadrat_select::build("stratfied", &Params::none()).is_err());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered) or a value that does not fit.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn Selector>> {
    let method = METHODS.iter().find(|method| method.card.is_called(name)).ok_or_else(|| {
        let near = nearest(name, METHODS.iter().map(|method| method.card.slug));
        Error::input("method", format!("`{name}`"), format!("the nearest selectors are {}", near.join(", ")))
    })?;
    params.check_names(method.card)?;
    (method.build)(params)
}

/// Sentences about parameters that were given and change nothing beside the others.
pub fn without_effect(card: &Card, params: &Params) -> Vec<String> {
    let value = |name: &str| {
        let default = card.params.iter().find(|param| param.name == name).map_or("", |param| param.default);
        params.get(name).unwrap_or(default).to_owned()
    };
    let own = ONLY.iter().filter(|(slug, ..)| *slug == card.slug);
    own.filter(|(_, name, of, values)| params.get(name).is_some() && !values.contains(&value(of).as_str()))
        .map(|(_, name, of, values)| {
            let (is, values) = (value(of), values.join(" or "));
            format!("--{name} changes nothing: it is for --{of} {values}, and --{of} is {is}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn parameters_that_change_nothing_are_told() {
        for (slug, name, of, values) in ONLY {
            let card = selectors().into_iter().find(|card| card.slug == *slug).unwrap();
            let is_param = |name: &str| card.params.iter().any(|param| param.name == name);
            assert!(is_param(name) && is_param(of), "{slug} {name} {of}");
            let idle = |value: &str| without_effect(card, &Params::from([(*name, "1"), (*of, value)])).len();
            assert!(idle("something else") == 1 && values.iter().all(|value| idle(value) == 0), "{slug} {name}");
        }
    }

    #[test]
    fn names_are_unique_and_every_card_is_filled_in() {
        let mut names = HashSet::new();
        for card in cards() {
            for name in std::iter::once(card.slug).chain(card.aliases.iter().copied()) {
                assert!(names.insert(name), "{name} names two methods");
                assert_eq!(build(name, &Params::none()).is_ok(), card.verbs.contains(&"select"), "{name}");
            }
            for text in [card.title, card.paper, card.summary, card.useful_when, card.cost] {
                assert!(!text.is_empty(), "{}", card.slug);
            }
            assert!(card.params.iter().all(|p| !p.help.is_empty() && !p.default.is_empty()), "{}", card.slug);
        }
    }

    #[test]
    fn every_listed_parameter_accepts_its_default_and_refuses_nonsense() {
        for card in selectors() {
            for param in card.params {
                assert!(build(card.slug, &Params::from([(param.name, param.default)])).is_ok(), "{card:?} {param:?}");
                let error = build(card.slug, &Params::from([(param.name, "no such value")])).err().unwrap().to_string();
                assert!(error.starts_with(param.name), "{error}");
            }
        }
    }
}
