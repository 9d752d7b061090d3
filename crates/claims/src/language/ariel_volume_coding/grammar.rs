//! Questions about the things in a house, by a grammar: what a sentence is worth can be decided.

use quadrat_core::{Error, Result, Rng};
use std::collections::BTreeMap;

/// A rule a line, with its forms between bars. Words in capitals are rules. Every form is as likely as the others; number agrees over a
/// distance that grows with what stands between, and places nest.
const RULES: &str = "
QUESTION = ONE | MANY | WHERE | WHICH | COUNT | COMPARE | WHO | DEED | CHOICE
ONE = is THING PLACE | is THING QUALITY | is there SOME PLACE | is THING QUALITY or QUALITY | is it true that THING is QUALITY
MANY = are THINGS PLACE | are THINGS QUALITY | are there any PLURAL PLACE | are all THINGS QUALITY | are THINGS and THINGS PLACE
WHERE = where is THING | where are THINGS | where in ROOM is THING | where in ROOM are THINGS | where did PERSON put THING
WHICH = what colour is THING | what colour are THINGS | what is THING made of | what are THINGS made of | which NOUN is QUALITY
WHICH = which PLURAL are QUALITY | what is PLACE | what lies NEAR THING | which NOUN PLACE is ADJECTIVE
COUNT = how many PLURAL are PLACE | how many PLURAL are there PLACE | how ADJECTIVE is THING | how ADJECTIVE are THINGS
COMPARE = is THING MORE than THING | are THINGS MORE than THINGS | which is MORE THING or THING | is ROOM MORE than ROOM
WHO = who is PLACE | who put THING PLACE | who BOUGHT THING | who BOUGHT THINGS | whose NOUN is PLACE | whose PLURAL are PLACE
DEED = can PERSON DO THING | does PERSON DO THINGS | did PERSON DO THING PLACE | should PERSON DO THING or DO it later | will PERSON DO THING WHEN
CHOICE = does THING stand PLACE or PLACE | do THINGS stand PLACE or PLACE | is PERSON PLACE or PLACE | does PERSON like THING or THING
THING = the NOUN | the ADJECTIVE NOUN | the NOUN of PERSON | the NOUN PLACE | the COLOUR STUFF NOUN
THINGS = the PLURAL | the ADJECTIVE PLURAL | the PLURAL of PERSON | the PLURAL PLACE | NUMBER PLURAL
SOME = VOWELLESS | another NOUN | a ADJECTIVE NOUN
VOWELLESS = a table | a chair | a lamp | a clock | a mirror | a rug | a bed | a shelf | a book
PLACE = in ROOM | NEAR THING | in ROOM NEAR THING | outside | upstairs
NEAR = near | behind | under | on | beside | below | above | opposite | inside | against
ROOM = the kitchen | the bathroom | the bedroom | the hall | the cellar | the attic | the garage | the study | the garden | the porch
NOUN = table | chair | lamp | clock | mirror | rug | bed | shelf | book | sofa | desk | blanket | candle | vase | plate | bowl | cup
NOUN = basket | box | drawer | door | key | bell | picture | hat | coat | ladder | hammer
PLURAL = tables | chairs | lamps | clocks | mirrors | rugs | beds | shelves | books | sofas | desks | blankets | candles | vases | plates
PLURAL = bowls | cups | baskets | boxes | drawers | doors | keys | bells | pictures | hats | coats | ladders | hammers
ADJECTIVE = COLOUR | SIZE | STATE
QUALITY = COLOUR | STATE | too SIZE | very STATE | made of STUFF
COLOUR = red | blue | green | yellow | white | black | brown | grey
SIZE = small | large | tall | short | wide | narrow | heavy | light
STATE = old | new | clean | dirty | broken | empty | full | wet | dry | open
MORE = older | newer | cleaner | smaller | larger | taller | wider | heavier
STUFF = wood | stone | metal | paper | wool | leather | silver | clay
NUMBER = two | three | four | five | six
PERSON = my mother | my father | your sister | your brother | the cook | anna | peter | julia
DO = move | clean | open | paint | sell | find | carry | repair
BOUGHT = bought | sold | painted | broke | cleaned | moved | found | lost
WHEN = today | tomorrow | tonight | soon | later | next week
";

/// One word of a form.
#[derive(Debug, Clone, Copy)]
enum Part {
    Word(u32),
    Rule(usize),
}

/// The grammar.
pub(super) struct Grammar {
    /// For each rule its forms; the first one makes whole sentences.
    rules: Vec<Vec<Vec<Part>>>,
    /// The words, in alphabetical order; their places are their numbers.
    words: Vec<&'static str>,
}

impl Grammar {
    /// The grammar of questions.
    pub(super) fn questions() -> Result<Self> {
        let lines: Vec<(&str, &str)> = RULES.lines().filter_map(|line| line.split_once(" = ")).collect();
        let is_rule = |part: &str| part.chars().all(|c| c.is_ascii_uppercase());
        let parts = || lines.iter().flat_map(|(_, forms)| forms.split([' ', '|'])).filter(|part| !part.is_empty());
        let mut words: Vec<&str> = parts().filter(|part| !is_rule(part)).collect();
        words.sort_unstable();
        words.dedup();
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &lines {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let part = |part: &str| match (names.iter().position(|name| *name == part), words.binary_search(&part)) {
            (Some(rule), _) => Ok(Part::Rule(rule)),
            (_, Ok(word)) => Ok(Part::Word(word as u32)),
            _ => Err(Error::input("grammar", part, "a word, or a rule that is there")),
        };
        let mut rules = vec![Vec::new(); names.len()];
        for (name, forms) in &lines {
            for form in forms.split(" | ") {
                let form = form.split_whitespace().map(part).collect::<Result<Vec<_>>>()?;
                rules[names.iter().position(|own| own == name).unwrap_or(0)].push(form);
            }
        }
        Ok(Grammar { rules, words })
    }

    /// How many words it knows.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    /// A question, of as many words as come.
    pub(super) fn draw(&self, rng: &mut Rng) -> Vec<u32> {
        let (mut question, mut open) = (Vec::new(), vec![Part::Rule(0)]);
        while let Some(part) = open.pop() {
            match part {
                Part::Word(word) => question.push(word),
                Part::Rule(rule) => {
                    let forms = &self.rules[rule];
                    open.extend(forms[rng.below(forms.len())].iter().rev());
                }
            }
        }
        question
    }

    /// Whether a question is one of the grammar's.
    pub(super) fn accepts(&self, question: &[u32]) -> bool {
        self.ends(0, question, 0, &mut BTreeMap::new()).contains(&question.len())
    }

    /// Where a rule can end that begins at `at`: recursive descent, each place looked at once. No rule begins with itself.
    fn ends(
        &self,
        rule: usize,
        question: &[u32],
        at: usize,
        known: &mut BTreeMap<(usize, usize), Vec<usize>>,
    ) -> Vec<usize> {
        if let Some(ends) = known.get(&(rule, at)) {
            return ends.clone();
        }
        let mut all = Vec::new();
        for form in &self.rules[rule] {
            let mut ends = vec![at];
            for part in form {
                ends = match part {
                    Part::Word(word) => {
                        ends.iter().filter(|end| question.get(**end) == Some(word)).map(|end| end + 1).collect()
                    }
                    Part::Rule(rule) => ends.iter().flat_map(|end| self.ends(*rule, question, *end, known)).collect(),
                };
                ends.sort_unstable();
                ends.dedup();
            }
            all.extend(ends);
        }
        all.sort_unstable();
        all.dedup();
        known.insert((rule, at), all.clone());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    #[test]
    fn what_is_drawn_is_accepted_and_what_is_shuffled_is_not() {
        let grammar = Grammar::questions().unwrap();
        assert!((150..300).contains(&grammar.words()), "{}", grammar.words());
        let mut rng = Seed(1).rng(0);
        let mut accepted = 0;
        for _ in 0..500 {
            let mut question = grammar.draw(&mut rng);
            assert!(grammar.accepts(&question));
            assert!(!grammar.accepts(&question[..question.len() - 1]) || question.len() > 3);
            rng.shuffle(&mut question);
            accepted += usize::from(grammar.accepts(&question));
        }
        assert!(accepted < 50, "{accepted}");
        assert!(!grammar.accepts(&[]) && !grammar.accepts(&[9999]));
        let of =
            |text: &str| text.split(' ').map(|w| grammar.words.binary_search(&w).unwrap() as u32).collect::<Vec<_>>();
        assert!(grammar.accepts(&of("is the chair near the table in the kitchen old")));
        assert!(!grammar.accepts(&of("is the chairs near the table in the kitchen old")));
    }
}
