//! The list of selectors: one line a method.

use crate::*;
use quadrat_core::{Card, Entry, Method, Params, Result};

const METHODS: &[Entry<dyn Selector>] = &[
    of::<Mig>(),
    of::<DiversifyConquer>(),
    of::<ClusterSelector>(),
    of::<ScoreSampler>(),
    of::<PoolDesign>(),
    of::<Rs2>(),
    of::<Random>(),
    of::<Stratified>(),
    of::<TopScore>(),
    of::<KCenter>(),
    of::<FacilityLocation>(),
    of::<Herding>(),
    of::<D2>(),
    of::<Qdit>(),
    of::<Deita>(),
];

const fn of<T: Selector + Method + 'static>() -> Entry<dyn Selector> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// Methods of this area that are no selectors: each has its own interface, and its card says where.
const OTHERS: &[&Card] = &[&SplitProtocol::CARD, &TaskAllocator::CARD, &Trainer::CARD, &Dred::CARD];

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
    Entry::find(METHODS, "selectors", name, params)
}

/// Sentences about parameters that were given and change nothing beside the others.
pub fn without_effect(card: &Card, params: &Params) -> Vec<String> {
    let value = |name: &str| {
        let default = card.params.iter().find(|param| param.name == name).map_or("", |param| param.default);
        params.get(name).unwrap_or(default).to_owned()
    };
    let idle = card.params.iter().filter_map(|param| {
        let (of, values) = param.only?;
        let is = value(of);
        (params.get(param.name).is_some() && !values.contains(&is.as_str())).then(|| {
            let (name, values) = (param.name, values.join(" or "));
            format!("--{name} changes nothing: it is for --{of} {values}, and --{of} is {is}")
        })
    });
    idle.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn parameters_that_change_nothing_are_told() {
        let params = selectors().into_iter().flat_map(|card| card.params.iter().map(move |param| (card, param)));
        let mut told = Vec::new();
        for (card, param) in params {
            let Some((of, values)) = param.only else { continue };
            let (name, slug) = (param.name, card.slug);
            assert!(card.params.iter().any(|p| p.name == of), "{slug} {name} {of}");
            let idle = |value: &str| without_effect(card, &Params::from([(name, "1"), (of, value)])).len();
            assert!(idle("something else") == 1 && values.iter().all(|value| idle(value) == 0), "{slug} {name}");
            told.push((slug, name));
        }
        for known in [("mig", "beta"), ("diversify-conquer", "within-temperature"), ("sensitivity-sampling", "p")] {
            assert!(told.contains(&known), "{known:?}");
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
