//! What can be chosen, and the card.

use crate::objective::{NashMdPg, PreferenceLoss, Preferred, SequenceObjective};
use quadrat_core::{Area, Card, Choice, Method, Settings};

/// Which loss learns from which pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Way {
    /// IPO on pairs that the policy drew just now: self-play.
    OnlineIpo,
    /// IPO on pairs from the mixture of policy and anchor.
    IpoMd,
    /// The policy gradient of Nash-MD: the policy against the mixture.
    NashMdPg,
    /// DPO on pairs that the policy drew just now.
    OnlineDpo,
    /// SLiC on pairs that the policy drew just now.
    OnlineSlic,
    /// IPO on pairs that the anchor drew once.
    OfflineIpo,
    /// DPO on pairs that the anchor drew once.
    OfflineDpo,
    /// SLiC on pairs that the anchor drew once.
    OfflineSlic,
}

/// Where the compared answers come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// A fixed set, from the anchor.
    Offline,
    /// The policy as it is.
    Online,
    /// Its geometric mixture π^(1 − β) μ^β with the anchor.
    Mixture {
        /// β, the anchor's share.
        beta: f64,
    },
}

/// Tune a policy by judged pairs of its answers.
///
/// Momentum is off (Adam with β₁ = 0), because it makes a policy circle around a cycle of preferences instead of settling, and the
/// last quarter of the steps falls to a rate of 0, so that the last policy can be used; both are from an independent reproduction.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct OnlinePreferences {
    /// Loss and pairs.
    #[param(default = Way::OnlineIpo)]
    pub method: Way,
    /// How strongly the policy is held to the anchor; small values let single comparisons pull far.
    #[param(default = 0.1, above = 0)]
    pub tau: f64,
    /// The anchor's share in the mixture that ipo-md and nash-md-pg draw from.
    #[param(default = 0.125, from = 0, to = 1, only = ("method", &["ipo-md", "nash-md-pg"]))]
    pub beta: f64,
    /// Answers to each prompt of a step, each compared with all others.
    #[param(default = 2, from = 2)]
    pub completions: usize,
    /// First learning rate.
    #[param(default = 1e-3, above = 0)]
    pub rate: f64,
    /// Steps.
    #[param(default = 200, from = 1)]
    pub steps: usize,
}

impl Method for OnlinePreferences {
    const CARD: Card = Card {
        slug: "online-preference-optimisation",
        aliases: &["online-ipo"],
        title: "Online preference optimisation (online IPO, IPO-MD, Nash-MD-PG)",
        paper: "Calandriello et al., ICML 2024, arXiv 2403.08635",
        area: Area::Language,
        verbs: &["language align"],
        summary: "Tunes a policy by comparisons of its own fresh answers until no policy near the anchor is preferred to it; the \
                  judge may be cyclic. Offline and online IPO, DPO and SLiC on the same footing.",
        useful_when: "align my language model with a judge; tune a model to preferences; RLHF without a reward model; a judge whose \
                      preferences are no score; DPO collapses or overfits",
        cost: "each step: steps of decoding for prompts x completions answers by policy and anchor, one pass and one gradient; a \
               call of the judge for each pair",
        params: Self::PARAMS,
    };
}

impl Way {
    /// Where the answers come from; `beta` counts for mixtures.
    pub fn source(self, beta: f64) -> Source {
        match self {
            Way::OnlineIpo | Way::OnlineDpo | Way::OnlineSlic => Source::Online,
            Way::IpoMd | Way::NashMdPg => Source::Mixture { beta },
            Way::OfflineIpo | Way::OfflineDpo | Way::OfflineSlic => Source::Offline,
        }
    }

    /// What is made small.
    pub fn objective(self, tau: f64) -> Box<dyn SequenceObjective> {
        let preferred = |loss| Box::new(Preferred { loss, tau });
        match self {
            Way::NashMdPg => Box::new(NashMdPg { tau }),
            Way::OnlineIpo | Way::IpoMd | Way::OfflineIpo => preferred(PreferenceLoss::Ipo),
            Way::OnlineDpo | Way::OfflineDpo => preferred(PreferenceLoss::Dpo),
            Way::OnlineSlic | Way::OfflineSlic => preferred(PreferenceLoss::Slic),
        }
    }

    /// Whether the first of a pair comes from the policy and the second alone from the mixture.
    pub fn draws_first_from_policy(self) -> bool {
        self == Way::NashMdPg
    }
}
