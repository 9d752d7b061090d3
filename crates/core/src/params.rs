//! A method's parameters as typed on a command line.

use crate::{Card, Choice, Error, Kind, Param, Result, nearest};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};
use std::str::FromStr;

/// Values of parameters by name, as text. A method's `build` reads them with the typed getters, which check the range
/// and name the parameter when something does not fit.
///
/// ```
/// use quadrat_core::Params;
/// let params = Params::from([("alpha", "0.5"), ("kernel", "rbf")]);
/// assert_eq!(params.get_f64("alpha", 0.7, 0.0..=1.0)?, 0.5);
/// assert_eq!(params.get_usize("k", 10, 1..)?, 10);
/// assert_eq!(params.get_choice("kernel", 1, &[("linear", 1), ("rbf", 2)])?, 2);
/// assert!(params.get_f64("alpha", 0.7, 1.0..).is_err());
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

    /// A finite number in `range`.
    pub fn get_f64(&self, name: &str, default: f64, range: impl RangeBounds<f64>) -> Result<f64> {
        Ok(self.parse(name, "a number", &range, |v| v.is_finite())?.unwrap_or(default))
    }

    /// A whole number in `range`.
    pub fn get_usize(&self, name: &str, default: usize, range: impl RangeBounds<usize>) -> Result<usize> {
        Ok(self.parse(name, "a whole number", &range, |_| true)?.unwrap_or(default))
    }

    /// A finite number in `range`, or `auto` (`None`): the method finds one itself.
    pub fn get_auto_f64(&self, name: &str, default: Option<f64>, range: impl RangeBounds<f64>) -> Result<Option<f64>> {
        match self.get(name) {
            Some("auto") => Ok(None),
            _ => Ok(self.parse(name, "`auto` or a number", &range, |v| v.is_finite())?.or(default)),
        }
    }

    /// A whole number in `range`, or `auto` (`None`): the method finds one itself.
    pub fn get_auto_usize(
        &self,
        name: &str,
        default: Option<usize>,
        range: impl RangeBounds<usize>,
    ) -> Result<Option<usize>> {
        match self.get(name) {
            Some("auto") => Ok(None),
            _ => Ok(self.parse(name, "`auto` or a whole number", &range, |_| true)?.or(default)),
        }
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
    pub fn get_choice<T: Clone>(&self, name: &str, default: T, choices: &[(&str, T)]) -> Result<T> {
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
        self.get_choice(param.name, param.default, &named)
    }

    /// The value whose name is given.
    ///
    /// # Errors
    /// None of its names.
    pub fn choice<T: Choice>(&self, name: &str, default: T) -> Result<T> {
        let named: Vec<(&str, T)> = T::CHOICES.iter().map(|choice| (choice.name, choice.value)).collect();
        self.get_choice(name, default, &named)
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

/// " of at least 1 and below 5"; nothing for an unbounded range.
pub(crate) fn in_words<T: Display>(range: &impl RangeBounds<T>) -> String {
    let low = match range.start_bound() {
        Bound::Included(low) => Some(format!("at least {low}")),
        Bound::Excluded(low) => Some(format!("more than {low}")),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some(format!("at most {high}")),
        Bound::Excluded(high) => Some(format!("less than {high}")),
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
        assert_eq!(p.get_f64("a", 1.0, ..).unwrap(), 2.0);
        assert_eq!(p.get_f64("absent", 1.0, ..).unwrap(), 1.0);
        assert_eq!(p.get_usize("prop-weight", 1, 1..).unwrap(), 3);
        assert!(p.get_bool("b", false).unwrap());
        assert_eq!(p.get_auto_usize("d", Some(3), 1..).unwrap(), None);
        assert_eq!(p.get_auto_usize("absent", Some(3), 1..).unwrap(), Some(3));
        assert_eq!(p.get_auto_f64("a", None, ..).unwrap(), Some(2.0));
        let above_zero = (Bound::Excluded(0.0), Bound::Included(1.0));
        for (error, text) in [
            (p.get_f64("a", 1.0, above_zero).unwrap_err(), "a: got `2`; use a number, more than 0 and at most 1"),
            (p.get_f64("n", 1.0, 0.0..).unwrap_err(), "n: got `NaN`; use a number, at least 0"),
            (p.get_f64("i", 1.0, 0.0..).unwrap_err(), "i: got `inf`; use a number, at least 0"),
            (p.get_usize("c", 1, ..5).unwrap_err(), "c: got `x`; use a whole number, less than 5"),
            (p.get_auto_usize("c", None, 1..).unwrap_err(), "c: got `x`; use `auto` or a whole number, at least 1"),
            (p.get_bool("c", true).unwrap_err(), "c: got `x`; use true or false"),
            (p.get_choice("c", 1, &[("u", 1), ("v", 2)]).unwrap_err(), "c: got `x`; use `u` or `v`"),
        ] {
            assert_eq!(error.to_string(), text);
        }
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
