//! A method's parameters as typed on a command line.

use crate::{Card, Choice, Error, Kind, Param, Result, nearest};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};
use std::str::FromStr;

/// Values of parameters by name, as text. What [`Settings`](crate::Settings) derives reads them by their declarations; an
/// error names the parameter, what was given and what is allowed.
///
/// ```
/// use quadrat_core::{Kind, Param, Params};
/// use std::ops::Bound::{Included, Unbounded};
/// const K: Param = Param { name: "k", default: "10", kind: Kind::Whole { range: (Included(1), Unbounded), or: None }, ..Param::NONE };
/// assert_eq!(Params::from([("k", "3")]).whole(&K)?, Some(3));
/// assert_eq!(Params::none().whole(&K)?, None);
/// assert!(Params::from([("k", "0")]).whole(&K).is_err());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Params {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

/// A name given twice keeps its last value. Underscores in names stand for dashes.
impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Params(pairs.into_iter().map(|(name, value)| (name.into().replace('_', "-"), value.into())).collect())
    }
}

impl Params {
    /// No parameter given: every getter returns its default.
    pub fn none() -> Self {
        Params::default()
    }

    /// The text given for `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// An error that offers the nearest names if a parameter is given that `card` does not list.
    pub fn check_names(&self, card: &Card) -> Result<()> {
        let known = || card.params.iter().map(|param| param.name);
        let Some(unknown) = self.0.keys().find(|name| !known().any(|k| k == name.as_str())) else { return Ok(()) };
        let near = nearest(unknown, known());
        let want = if near.is_empty() {
            format!("{} takes no parameters", card.slug)
        } else {
            format!("the nearest parameters of {} are {}", card.slug, near.join(", "))
        };
        Err(Error::input("parameter", format!("`{unknown}`"), want))
    }

    /// `true` or `false` (also `yes`/`no`, `on`/`off`, `1`/`0`).
    pub fn get_bool(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some("true" | "yes" | "on" | "1") => Ok(true),
            Some("false" | "no" | "off" | "0") => Ok(false),
            Some(other) => Err(Error::input(name, format!("`{other}`"), "use true or false")),
        }
    }

    /// One of the named `choices`.
    fn one_of<T: Clone>(&self, name: &str, default: T, choices: &[(&str, T)]) -> Result<T> {
        let Some(text) = self.get(name) else { return Ok(default) };
        choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| value.clone()).ok_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(choice, _)| format!("`{choice}`")).collect();
            Error::input(name, format!("`{text}`"), format!("use {}", names.join(" or ")))
        })
    }

    /// The number given for a parameter of [`Kind::Number`], if one is.
    ///
    /// # Errors
    /// No finite number in its range.
    pub fn number(&self, param: &Param) -> Result<Option<f64>> {
        Ok(self.number_or(param)?.flatten())
    }

    /// The same, where its word for no value is `Some(None)`.
    ///
    /// # Errors
    /// As [`Params::number`].
    pub fn number_or(&self, param: &Param) -> Result<Option<Option<f64>>> {
        let Kind::Number { range, or } = param.kind else { return Ok(None) };
        self.parse_or(param.name, "a number", or, &range, |v| v.is_finite())
    }

    /// The whole number given for a parameter of [`Kind::Whole`], if one is.
    ///
    /// # Errors
    /// No whole number in its range.
    pub fn whole(&self, param: &Param) -> Result<Option<usize>> {
        Ok(self.whole_or(param)?.flatten())
    }

    /// The same, where its word for no value is `Some(None)`.
    ///
    /// # Errors
    /// As [`Params::whole`].
    pub fn whole_or(&self, param: &Param) -> Result<Option<Option<usize>>> {
        let Kind::Whole { range, or } = param.kind else { return Ok(None) };
        self.parse_or(param.name, "a whole number", or, &range, |_| true)
    }

    /// The numbers given for a parameter, with commas between them, if any are.
    ///
    /// # Errors
    /// A part that is no such number.
    pub fn numbers<T: FromStr>(&self, name: &str) -> Result<Option<Vec<T>>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let numbers: Option<Vec<T>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        let want = || Error::input(name, format!("`{text}`"), "use a number, or several with commas");
        numbers.map(Some).ok_or_else(want)
    }

    /// The name given for a parameter of [`Kind::Choice`], or its default.
    ///
    /// # Errors
    /// None of its names.
    pub fn choose(&self, param: &Param) -> Result<&'static str> {
        let Kind::Choice(names) = param.kind else { return Ok(param.default) };
        let named: Vec<(&str, &'static str)> = names.iter().map(|(name, _)| (*name, *name)).collect();
        self.one_of(param.name, param.default, &named)
    }

    /// The value whose name is given.
    ///
    /// # Errors
    /// None of its names.
    pub fn choice<T: Choice>(&self, name: &str, default: T) -> Result<T> {
        let named: Vec<(&str, T)> = T::CHOICES.iter().map(|choice| (choice.name, choice.value)).collect();
        self.one_of(name, default, &named)
    }

    fn parse_or<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        kind: &str,
        or: Option<&str>,
        range: &impl RangeBounds<T>,
        usable: impl Fn(&T) -> bool,
    ) -> Result<Option<Option<T>>> {
        match (self.get(name), or) {
            (Some(text), Some(or)) if text == or => Ok(Some(None)),
            (_, None) => Ok(self.parse(name, kind, range, usable)?.map(Some)),
            (_, Some(or)) => Ok(self.parse(name, &format!("`{or}` or {kind}"), range, usable)?.map(Some)),
        }
    }

    fn parse<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        kind: &str,
        range: &impl RangeBounds<T>,
        usable: impl Fn(&T) -> bool,
    ) -> Result<Option<T>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        // NaN parses as a number but lies in no range, since every comparison with it is false.
        text.parse()
            .ok()
            .filter(|value| range.contains(value) && usable(value))
            .map(Some)
            .ok_or_else(|| Error::input(name, format!("`{text}`"), format!("use {kind}{}", in_words(range))))
    }
}

/// ", at least 1 and below 5"; nothing for an unbounded range.
pub(crate) fn in_words<T: Display>(range: &impl RangeBounds<T>) -> String {
    let low = match range.start_bound() {
        Bound::Included(low) => Some(format!("at least {low}")),
        Bound::Excluded(low) => Some(format!("above {low}")),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some(format!("at most {high}")),
        Bound::Excluded(high) => Some(format!("below {high}")),
        Bound::Unbounded => None,
    };
    match (low, high) {
        (Some(low), Some(high)) => format!(", {low} and {high}"),
        (Some(end), None) | (None, Some(end)) => format!(", {end}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Area;
    use std::ops::Bound::{Excluded, Included, Unbounded};

    const CARD: Card = Card {
        slug: "demo",
        aliases: &[],
        title: "",
        paper: "",
        area: Area::Select,
        verbs: &["select"],
        summary: "",
        useful_when: "",
        cost: "",
        params: &[
            Param { name: "alpha", default: "0.5", help: "", ..Param::NONE },
            Param { name: "prop-weight", default: "1", help: "", ..Param::NONE },
        ],
    };

    #[test]
    fn values_are_parsed_and_checked() {
        let p = Params::from([
            ("a", "2"),
            ("b", "yes"),
            ("c", "x"),
            ("d", "auto"),
            ("n", "NaN"),
            ("i", "inf"),
            ("prop_weight", "3"),
        ]);
        let number = |name, range, or| Param { name, kind: Kind::Number { range, or }, ..Param::NONE };
        let whole = |name, range, or| Param { name, kind: Kind::Whole { range, or }, ..Param::NONE };
        let (any, from_0) = ((Unbounded, Unbounded), (Included(0.0), Unbounded));
        assert_eq!(p.number(&number("a", any, None)).unwrap(), Some(2.0));
        assert_eq!(p.number(&number("absent", any, None)).unwrap(), None);
        assert_eq!(p.whole(&whole("prop-weight", (Included(1), Unbounded), None)).unwrap(), Some(3));
        assert!(p.get_bool("b", false).unwrap());
        assert_eq!(p.whole_or(&whole("d", (Unbounded, Unbounded), Some("auto"))).unwrap(), Some(None));
        assert_eq!(p.whole_or(&whole("absent", (Unbounded, Unbounded), Some("auto"))).unwrap(), None);
        assert_eq!(p.number_or(&number("a", any, Some("auto"))).unwrap(), Some(Some(2.0)));
        let choice = Param { name: "c", default: "u", kind: Kind::Choice(&[("u", ""), ("v", "")]), ..Param::NONE };
        let above_zero = number("a", (Excluded(0.0), Included(1.0)), None);
        for (error, text) in [
            (p.number(&above_zero).unwrap_err(), "a: got `2`; use a number, above 0 and at most 1"),
            (p.number(&number("n", from_0, None)).unwrap_err(), "n: got `NaN`; use a number, at least 0"),
            (p.number(&number("i", from_0, None)).unwrap_err(), "i: got `inf`; use a number, at least 0"),
            (
                p.whole(&whole("c", (Unbounded, Excluded(5)), None)).unwrap_err(),
                "c: got `x`; use a whole number, below 5",
            ),
            (
                p.whole_or(&whole("c", (Included(1), Unbounded), Some("auto"))).unwrap_err(),
                "c: got `x`; use `auto` or a whole number, at least 1",
            ),
            (p.get_bool("c", true).unwrap_err(), "c: got `x`; use true or false"),
            (p.choose(&choice).unwrap_err(), "c: got `x`; use `u` or `v`"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    /// A card may tell its parts in an order of its own, and a part may count beside values of another alone.
    #[test]
    fn parts_are_picked_and_put_beside() {
        const ONE: &[Param] = &[Param { name: "a", ..Param::NONE }, Param { name: "ab", ..Param::NONE }];
        const TWO: &[Param] = &[Param { name: "b", ..Param::NONE }];
        let names = |params: &[Param]| params.iter().map(|param| param.name).collect::<Vec<_>>();
        assert_eq!(names(&Param::join::<3>(&[ONE, TWO])), ["a", "ab", "b"]);
        assert_eq!(names(&Param::pick(&[ONE, &[], TWO], ["b", "ab"])), ["b", "ab"]);
        let beside = Param::beside::<2>(ONE, "how", &["x"]);
        assert!(beside.iter().all(|param| param.only == Some(("how", &["x"]))));
    }

    #[test]
    fn unknown_names_get_the_nearest() {
        assert!(Params::from([("prop_weight", "1"), ("alpha", "2")]).check_names(&CARD).is_ok());
        let error = Params::from([("alhpa", "1")]).check_names(&CARD).unwrap_err().to_string();
        assert!(error.starts_with("parameter: got `alhpa`; the nearest parameters of demo are `alpha`"), "{error}");
        let none = Card { params: &[], ..CARD };
        let error = Params::from([("x", "1")]).check_names(&none).unwrap_err().to_string();
        assert_eq!(error, "parameter: got `x`; demo takes no parameters");
    }
}
