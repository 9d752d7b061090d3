//! Settings as they are declared: one place from which defaults, reading, help and schema come.

use crate::{Card, Error, Params, Result, nearest};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::ops::Bound;

/// What a method is set with, declared field by field.
///
/// `#[derive(Settings)]` implements it and `Default`. The first sentence of a field's comment is its help, and `#[param(...)]` says
///
/// - `default = VALUE`, what `Default` has and the table shows;
/// - `from`, `above` (lower ends, without and with the end itself left out), `to`, `below` (upper ends): the range of a
///   number or a whole number;
/// - `none = "auto"`: of an `Option`, the word that stands for no value;
/// - `name = "..."` where it is typed otherwise than the field is called (`max_tries` is typed `max-tries`);
/// - `unit = "..."`, such as `rows`;
/// - `only = ("other", &["value", ...])`: beside these values of another parameter alone it changes anything;
/// - `parse = FUNCTION` (`fn(&str) -> Result<T>`) for values of another form, with `text = "..."` as the default is typed, and
///   `kind = KIND` ([`Kind`]) where it is not any text;
/// - `flatten`: the field's own type is declared in the same way; `flatten = TYPE` reads that one and turns it into the
///   field's (`From`), where a name or a default differs;
/// - `fixed = VALUE`: nothing that a user types. Fields without an attribute have the `Default` of their type.
///
/// A `Vec` of numbers is typed with commas and needs `text`. Fields of other types are choices ([`Choice`]). An enum
/// whose variants have fields is a choice with parameters that count beside one variant only; `#[param(name = "...",
/// default = Variant)]` stands above it. Values given for the other variants must fit as well.
///
/// ```
/// use quadrat_core::{Choice, Settings, Params};
///
/// #[derive(Debug, PartialEq, Settings)]
/// struct Neighbours {
///     /// Neighbours of each row.
///     #[param(default = 5, from = 1)]
///     k: usize,
///     /// Weight of the nearer ones.
///     #[param(default = 0.5, above = 0, to = 1)]
///     weight: f32,
///     /// Width of the kernel.
///     #[param(none = "auto", above = 0)]
///     width: Option<f64>,
///     /// Distance between rows.
///     #[param(default = Metric::Euclidean)]
///     metric: Metric,
///     #[param(flatten)]
///     fall: Fall,
/// }
///
/// #[derive(Debug, Clone, Copy, PartialEq, Choice)]
/// enum Metric {
///     /// Straight lines.
///     Euclidean,
///     /// One less the cosine.
///     Cosine,
/// }
///
/// /// How weights fall with the distance.
/// #[derive(Debug, PartialEq, Settings)]
/// #[param(name = "fall", default = Power)]
/// enum Fall {
///     /// With a power of it.
///     Power {
///         /// The power.
///         #[param(default = 2, from = 1)]
///         power: usize,
///     },
///     /// Not at all.
///     Flat,
/// }
///
/// let read = |params: &[(&str, &str)]| Neighbours::from_params(&params.iter().copied().collect());
/// assert_eq!(read(&[])?, Neighbours::default());
/// let given = read(&[("k", "3"), ("width", "0.1"), ("metric", "cosine"), ("fall", "flat")])?;
/// assert_eq!((given.k, given.width, given.metric, given.fall), (3, Some(0.1), Metric::Cosine, Fall::Flat));
/// assert_eq!(read(&[("k", "0")]).unwrap_err().to_string(), "k: got `0`; use a whole number, at least 1");
/// let told: Vec<String> = Neighbours::PARAMS.iter().map(|p| format!("{} [{}] {}", p.name, p.default, p.help())).collect();
/// assert_eq!(told[1], "weight [0.5] weight of the nearer ones; above 0 and at most 1");
/// assert_eq!(told[3], "metric [euclidean] distance between rows: euclidean (straight lines) or cosine (one less the cosine)");
/// assert_eq!(told[5], "power [2] the power; at least 1; with fall=power");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub trait Settings: Sized {
    /// The declarations, in the order in which they are told.
    const PARAMS: &'static [Param];

    /// The values that were typed, and the defaults of those that were not.
    ///
    /// # Errors
    /// A value of another kind or outside its range.
    fn from_params(params: &Params) -> Result<Self>;
}

/// A method as its area lists it: how it describes itself, and how it is made of what a user types.
pub trait Method: Settings {
    /// The method's card.
    const CARD: Card;
}

/// A line of an area's list of methods, all of which are used through the interface `T`.
pub struct Entry<T: ?Sized> {
    /// The method's card.
    pub card: &'static Card,
    /// The method with these parameters.
    pub build: fn(&Params) -> Result<Box<T>>,
}

impl<T: ?Sized> Entry<T> {
    /// The method called `name` (slug or alias) with the given parameters; what is not given has its default. `kind` is what
    /// the methods are, for the error.
    ///
    /// # Errors
    /// An unknown method or parameter (the nearest names are offered), or a value that does not fit.
    pub fn find(entries: &[Self], kind: &str, name: &str, params: &Params) -> Result<Box<T>> {
        let entry = entries.iter().find(|entry| entry.card.is_called(name)).ok_or_else(|| {
            let near = nearest(name, entries.iter().map(|entry| entry.card.slug));
            Error::input("method", format!("`{name}`"), format!("the nearest {kind} are {}", near.join(", ")))
        })?;
        params.check_names(entry.card)?;
        (entry.build)(params)
    }
}

/// One of some names. `#[derive(Choice)]` implements it for an enum without fields: a variant's name is typed in small
/// letters with dashes (`PerAttribute`: `per-attribute`; `#[param(name = "...")]` gives another), its comment says what it
/// means.
pub trait Choice: Copy + 'static {
    /// The values, in the order in which they are told.
    const CHOICES: &'static [Named<Self>];

    /// Its name, as it is typed.
    fn name(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::CHOICES.iter().find(|choice| choice.value == self).map_or("", |choice| choice.name)
    }
}

/// A value with its name.
#[derive(Debug, Clone, Copy)]
pub struct Named<T> {
    /// As it is typed.
    pub name: &'static str,
    /// What it stands for.
    pub value: T,
    /// What it means.
    pub help: &'static str,
}

impl<T> Named<T> {
    /// Names and meanings alone; `N` is how many there are.
    pub const fn names<const N: usize>(choices: &[Named<T>]) -> [(&'static str, &'static str); N] {
        let mut names = [("", ""); N];
        let mut i = 0;
        while i < N {
            names[i] = (choices[i].name, choices[i].help);
            i += 1;
        }
        names
    }
}

/// What a parameter's value can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A finite number.
    Number {
        /// From where to where.
        range: (Bound<f64>, Bound<f64>),
        /// A word that is allowed instead.
        or: Option<&'static str>,
    },
    /// A whole number.
    Whole {
        /// From where to where.
        range: (Bound<usize>, Bound<usize>),
        /// A word that is allowed instead.
        or: Option<&'static str>,
    },
    /// True or false.
    Truth,
    /// One of these names, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A text of a form that the help tells.
    Text,
}

/// A parameter of a method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Param {
    /// Its name on the command line, without dashes.
    pub name: &'static str,
    /// The default, as one would type it.
    pub default: &'static str,
    /// What it does; [`Param::help`] adds which values it takes.
    pub help: &'static str,
    /// Which values it takes.
    pub kind: Kind,
    /// What it counts or measures, if it has a unit.
    pub unit: Option<&'static str>,
    /// Another parameter and the values of that one beside which alone this one changes anything.
    pub only: Option<(&'static str, &'static [&'static str])>,
}

impl Param {
    /// Nothing said yet.
    pub const NONE: Param = Param { name: "", default: "", help: "", kind: Kind::Text, unit: None, only: None };

    /// How many there are in all parts.
    pub const fn count(parts: &[&[Param]]) -> usize {
        let (mut i, mut count) = (0, 0);
        while i < parts.len() {
            count += parts[i].len();
            i += 1;
        }
        count
    }

    /// All parts, one behind the other; `N` is [`Param::count`].
    pub const fn join<const N: usize>(parts: &[&[Param]]) -> [Param; N] {
        let mut all = [Param::NONE; N];
        let (mut i, mut at) = (0, 0);
        while i < parts.len() {
            let mut j = 0;
            while j < parts[i].len() {
                all[at] = parts[i][j];
                at += 1;
                j += 1;
            }
            i += 1;
        }
        all
    }

    /// The same, all of which count beside these values of `other` alone.
    pub const fn beside<const N: usize>(
        params: &[Param],
        other: &'static str,
        values: &'static [&'static str],
    ) -> [Param; N] {
        let mut all = Param::join::<N>(&[params]);
        let mut i = 0;
        while i < N {
            all[i].only = Some((other, values));
            i += 1;
        }
        all
    }

    /// Those of these names out of all parts: for a card that tells them in another order than its parts do. A name
    /// that is in no part does not compile.
    pub const fn pick<const N: usize>(parts: &[&[Param]], names: [&str; N]) -> [Param; N] {
        let mut picked = [Param::NONE; N];
        let mut i = 0;
        while i < N {
            let (mut part, mut at) = (0, 0);
            while at == parts[part].len() || !same(parts[part][at].name, names[i]) {
                (part, at) = if at == parts[part].len() { (part + 1, 0) } else { (part, at + 1) };
            }
            picked[i] = parts[part][at];
            i += 1;
        }
        picked
    }

    /// What it does and which values it takes, for people.
    pub fn help(&self) -> String {
        let mut text = self.help.to_owned();
        match self.kind {
            Kind::Number { range, .. } => text.push_str(&ends(&range)),
            Kind::Whole { range, .. } => text.push_str(&ends(&range)),
            Kind::Choice(names) => {
                let told: Vec<String> = names.iter().map(|(name, meaning)| format!("{name} ({meaning})")).collect();
                text.push_str(": ");
                text.push_str(&listed(&told));
            }
            Kind::Truth | Kind::Text => {}
        }
        if let Some(unit) = self.unit {
            text.push_str(&format!("; in {unit}"));
        }
        if let Some((other, values)) = self.only {
            text.push_str(&format!("; with {other}={}", values.join(" or ")));
        }
        text
    }

    /// Which values it takes, as a JSON schema.
    pub fn schema(&self) -> Value {
        let ranged = |kind: &str, low: Option<(bool, Value)>, high: Option<(bool, Value)>, or: Option<&str>| {
            let mut schema = Map::from_iter([("type".to_owned(), json!(kind))]);
            let ends = [(low, "minimum", "exclusiveMinimum"), (high, "maximum", "exclusiveMaximum")];
            for (end, with, without) in ends {
                if let Some((included, end)) = end {
                    schema.insert((if included { with } else { without }).to_owned(), end);
                }
            }
            match or {
                Some(word) => json!({ "anyOf": [schema, { "const": word }] }),
                None => Value::Object(schema),
            }
        };
        match self.kind {
            Kind::Number { range: (low, high), or } => ranged("number", end(low), end(high), or),
            Kind::Whole { range: (low, high), or } => {
                // A whole number here is never negative.
                ranged("integer", end(low).or_else(|| Some((true, json!(0)))), end(high), or)
            }
            Kind::Truth => json!({ "type": "boolean" }),
            Kind::Choice(names) => {
                let one = |(name, meaning): &(&str, &str)| json!({ "const": name, "description": meaning });
                json!({ "oneOf": names.iter().map(one).collect::<Vec<_>>() })
            }
            Kind::Text => json!({ "type": "string" }),
        }
    }
}

impl Serialize for Param {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("default", self.default)?;
        map.serialize_entry("help", &self.help())?;
        map.serialize_entry("schema", &self.schema())?;
        if let Some(unit) = self.unit {
            map.serialize_entry("unit", unit)?;
        }
        if let Some((other, values)) = self.only {
            map.serialize_entry("only", &json!({ other: values }))?;
        }
        map.end()
    }
}

/// Whether two names are the same.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// Whether an end belongs to the range, and where it is.
fn end<T: serde::Serialize>(bound: Bound<T>) -> Option<(bool, Value)> {
    match bound {
        Bound::Included(end) => Some((true, json!(end))),
        Bound::Excluded(end) => Some((false, json!(end))),
        Bound::Unbounded => None,
    }
}

/// "; above 0 and at most 1"; nothing for a range without ends.
fn ends<T: std::fmt::Display>(range: &(Bound<T>, Bound<T>)) -> String {
    let words = crate::params::in_words(range);
    match words.strip_prefix(", ") {
        Some(words) => format!("; {words}"),
        None => words,
    }
}

/// "a, b or c".
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Choice, Settings};

    /// Rows that are looked at.
    #[derive(Debug, PartialEq, Settings)]
    struct Window {
        /// Rows in it.
        #[param(default = 7, from = 2, unit = "rows")]
        width: usize,
    }

    /// What is typed of a window where half of it is usual.
    #[derive(Settings)]
    struct Half {
        /// Rows on either side.
        #[param(name = "reach", default = 3, from = 1)]
        half: usize,
    }

    impl From<Half> for Window {
        fn from(half: Half) -> Self {
            Window { width: 2 * half.half + 1 }
        }
    }

    #[derive(Debug, PartialEq, Settings)]
    struct Smooth {
        /// How often.
        #[param(default = 1, from = 1)]
        times: usize,
        #[param(flatten = Half)]
        window: Window,
    }

    /// The table, the default and the reading are those of the type that is named, and its values become the field's.
    #[test]
    fn a_part_may_be_read_as_another_type() {
        let names: Vec<&str> = Smooth::PARAMS.iter().map(|param| param.name).collect();
        assert_eq!(names, ["times", "reach"]);
        assert_eq!(Smooth::default(), Smooth { times: 1, window: Window { width: 7 } });
        let read = |params: &[(&str, &str)]| Smooth::from_params(&params.iter().copied().collect());
        assert_eq!(read(&[]).unwrap(), Smooth::default());
        assert_eq!(read(&[("reach", "1")]).unwrap().window, Window { width: 3 });
        let error = read(&[("reach", "0")]).unwrap_err().to_string();
        assert_eq!(error, "reach: got `0`; use a whole number, at least 1");
    }

    #[test]
    fn a_value_has_its_name() {
        #[derive(Clone, Copy, PartialEq, Choice)]
        enum Way {
            /// By the nearest.
            NearestRow,
            /// By the mean.
            #[param(name = "mean")]
            Average,
        }
        assert_eq!((Way::NearestRow.name(), Way::Average.name()), ("nearest-row", "mean"));
    }
}
