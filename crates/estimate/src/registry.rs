//! The list of methods: one line a method. Each has its own interface, and its card says where; those that make rows share
//! one.

use crate::autoencoder_score::AutoencoderGenerator;
use crate::perturbed_likelihood::PerturbedMle;
use crate::{Generator, adaptive_data_analysis, adaptive_iscv, inductive_bias, pretrain_mle_erm};
use quadrat_core::{Card, Entry, Method, Params, Result};

/// Methods that make rows.
const GENERATORS: &[Entry<dyn Generator>] = &[of::<AutoencoderGenerator>(), of::<PerturbedMle>()];

const fn of<T: Generator + Method + 'static>() -> Entry<dyn Generator> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    const CARDS: &[&Card] = &[
        &adaptive_iscv::CARD,
        &adaptive_data_analysis::CARD,
        &inductive_bias::CARD,
        &AutoencoderGenerator::CARD,
        &PerturbedMle::CARD,
        &pretrain_mle_erm::CARD,
    ];
    CARDS.to_vec()
}

/// The generator called `name`, with its parameters as typed.
///
/// # Errors
/// An unknown name (the nearest are offered), parameters that the method does not take, values out of range.
///
/// ```
/// use quadrat_core::Params;
/// assert!(quadrat_estimate::build_generator("autoencoder-score", &Params::from([("noise", "0.1")])).is_ok());
/// ```
pub fn build_generator(name: &str, params: &Params) -> Result<Box<dyn Generator>> {
    Entry::find(GENERATORS, "methods that make rows", name, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Settings;

    #[test]
    fn cards_that_say_so_can_be_built_and_the_defaults_are_theirs() {
        for card in cards() {
            let built = build_generator(card.slug, &Params::none());
            assert_eq!(built.is_ok(), card.verbs.contains(&"sample"), "{}", card.slug);
            if built.is_ok() {
                let defaults: Params = card.params.iter().map(|p| (p.name, p.default)).collect();
                assert!(build_generator(card.slug, &defaults).is_ok(), "{}", card.slug);
            }
        }
        assert!(build_generator("autoencoder-scor", &Params::none()).is_err());
        for (name, value) in [
            ("noise", "a"),
            ("noise", ""),
            ("hidden", "-3"),
            ("criterion", "best"),
            ("sampler", "gibbs"),
            ("quadrature", "gauss:0"),
            ("chains", "1"),
            ("thin", "0"),
            ("step", "0"),
            ("guard", "-1"),
            ("sigma", "1"),
        ] {
            assert!(build_generator("autoencoder-score", &Params::from([(name, value)])).is_err(), "{name} {value}");
        }
        let parsed =
            AutoencoderGenerator::from_params(&Params::from([("noise", "0.1, 0.4"), ("hidden", "8,8")])).unwrap();
        assert_eq!((parsed.learner.noise, parsed.learner.hidden), (vec![0.1, 0.4], vec![8, 8]));
        assert!(parsed.choose.is_empty());
        let defaults: Params = AutoencoderGenerator::CARD.params.iter().map(|p| (p.name, p.default)).collect();
        assert_eq!(AutoencoderGenerator::from_params(&defaults).unwrap(), AutoencoderGenerator::default());
    }
}
