//! `#[derive(Settings)]`.

use crate::declared::{Said, help, typed};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Field, Fields, GenericArgument, PathArguments, Result, Type};

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let Derived { params, read, default } = match &input.data {
        Data::Struct(data) => {
            let fields = Derived::of_fields(&data.fields, None)?;
            let (read, default) = (fields.read, fields.default);
            Derived { read: quote!(Self { #read }), default: quote!(Self { #default }), ..fields }
        }
        Data::Enum(_) => Derived::of_enum(input)?,
        Data::Union(_) => return Err(Error::new(input.span(), "parameters are a struct or an enum")),
    };
    Ok(quote! {
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                #default
            }
        }

        impl ::quadrat_core::Settings for #ident {
            const PARAMS: &'static [::quadrat_core::Param] = {
                const PARTS: &[&[::quadrat_core::Param]] = &[#(#params),*];
                const ALL: [::quadrat_core::Param; ::quadrat_core::Param::count(PARTS)] = ::quadrat_core::Param::join(PARTS);
                &ALL
            };

            fn from_params(params: &::quadrat_core::Params) -> ::quadrat_core::Result<Self> {
                Ok(#read)
            }
        }
    })
}

/// Slices of declarations, what reads values, and the default.
struct Derived {
    params: Vec<TokenStream>,
    read: TokenStream,
    default: TokenStream,
}

impl Derived {
    /// `only`: the parameter, and its value, beside which alone the fields say anything.
    fn of_fields(fields: &Fields, only: Option<(&str, &str)>) -> Result<Derived> {
        let (mut params, mut read, mut default) = (Vec::new(), TokenStream::new(), TokenStream::new());
        for field in fields {
            let Some(name) = &field.ident else {
                return Err(Error::new(field.span(), "a field with a name"));
            };
            let one = of_field(field, only)?;
            params.extend(one.params);
            let (value, usual) = (one.read, one.default);
            read.extend(quote!(#name: #value,));
            default.extend(quote!(#name: #usual,));
        }
        Ok(Derived { params, read, default })
    }

    /// A choice whose variants have values of their own.
    fn of_enum(input: &DeriveInput) -> Result<Derived> {
        let Data::Enum(data) = &input.data else { return Err(Error::new(input.span(), "an enum")) };
        let said = Said::of(&input.attrs)?;
        let usual = said.default.as_ref().map(|d| d.to_token_stream().to_string());
        let (Some(name), Some(usual)) = (&said.name, usual) else {
            return Err(Error::new(input.span(), "#[param(name = \"...\", default = Variant)] on the enum"));
        };
        let (name, help_of_all) = (name.value(), help(&input.attrs, input.span())?);
        let (mut choices, mut params, mut arms, mut default) = (Vec::new(), Vec::new(), Vec::new(), None);
        for variant in &data.variants {
            let own = Said::of(&variant.attrs)?.name.map_or_else(|| typed(&variant.ident), |name| name.value());
            let (ident, of_one) = (&variant.ident, help(&variant.attrs, variant.span())?);
            let fields = Derived::of_fields(&variant.fields, Some((&name, &own)))?;
            let (read, values) = (fields.read, fields.default);
            let (made, plain) = match variant.fields {
                Fields::Unit => (quote!(Self::#ident), quote!(Self::#ident)),
                _ => (quote!(Self::#ident { #read }), quote!(Self::#ident { #values })),
            };
            if *ident == usual {
                default = Some((own.clone(), plain));
            }
            choices.push(quote!((#own, #of_one)));
            arms.push(quote! {
                let made = #made;
                if chosen == #own {
                    found = Some(made);
                }
            });
            params.extend(fields.params);
        }
        let (usual, default) =
            default.ok_or_else(|| Error::new(said.default.span(), "the default is one of the variants"))?;
        let choice = quote! {
            ::quadrat_core::Param {
                name: #name,
                default: #usual,
                help: #help_of_all,
                kind: ::quadrat_core::Kind::Choice(&[#(#choices),*]),
                ..::quadrat_core::Param::NONE
            }
        };
        params.insert(0, quote!(&[#choice]));
        // All variants are read, so that no value that does not fit passes unseen.
        let read = quote! {
            {
                let chosen = params.choose(&#choice)?;
                let mut found = None;
                #(#arms)*
                found.unwrap_or_default()
            }
        };
        Ok(Derived { params, read, default })
    }
}

/// How a field's type is read.
enum Read {
    Number(TokenStream),
    Whole(TokenStream),
    Truth,
    /// Numbers with commas between them.
    List,
    Choice,
}

impl Read {
    fn of(kind: &Type) -> Read {
        let Type::Path(path) = kind else { return Read::Choice };
        match path.path.segments.last().map(|segment| segment.ident.to_string()).as_deref() {
            Some("f64" | "f32") => Read::Number(kind.to_token_stream()),
            Some("usize" | "u32" | "u64") => Read::Whole(kind.to_token_stream()),
            Some("bool") => Read::Truth,
            Some("Vec") => Read::List,
            _ => Read::Choice,
        }
    }
}

/// The type within an `Option`.
fn optional(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(inner) = &last.arguments else { return None };
    inner.args.iter().find_map(|argument| if let GenericArgument::Type(kind) = argument { Some(kind) } else { None })
}

fn of_field(field: &Field, only: Option<(&str, &str)>) -> Result<Derived> {
    let said = Said::of(&field.attrs)?;
    let kind = &field.ty;
    if said.flatten {
        let part = said.flattened.as_ref().unwrap_or(kind);
        let params = quote!(<#part as ::quadrat_core::Settings>::PARAMS);
        let params = match only {
            Some((other, value)) => {
                quote!(&::quadrat_core::Param::beside::<{ #params.len() }>(#params, #other, &[#value]))
            }
            None => params,
        };
        let read = quote!(<#part as ::quadrat_core::Settings>::from_params(params)?);
        let default = quote!(<#part as ::core::default::Default>::default());
        let (read, default) = match &said.flattened {
            Some(_) => (quote!(#read.into()), quote!(#default.into())),
            None => (read, default),
        };
        return Ok(Derived { params: vec![params], read, default });
    }
    if !said.given || said.fixed.is_some() {
        let value = said.fixed.map_or_else(|| quote!(::core::default::Default::default()), |v| v.to_token_stream());
        return Ok(Derived { params: Vec::new(), read: value.clone(), default: value });
    }
    let ident = field.ident.as_ref().map(typed).unwrap_or_default();
    let name = said.name.as_ref().map_or(ident, |name| name.value());
    let inner = optional(kind);
    let read = Read::of(inner.unwrap_or(kind));
    let default = match (&said.default, inner) {
        (Some(default), None) => default.to_token_stream(),
        (Some(default), Some(_)) => quote!(Some(#default)),
        (None, Some(_)) => quote!(None),
        (None, None) => return Err(Error::new(field.span(), "`default = ...`")),
    };
    // What stands for no value, in the table and when it is typed.
    let none = said.none.as_ref().map(|none| none.value());
    if inner.is_some() && none.is_none() {
        return Err(Error::new(field.span(), "`none = \"...\"`: the word that stands for no value"));
    }
    let or = match &none {
        Some(word) => quote!(Some(#word)),
        None => quote!(None),
    };
    let shown = match (&said.text, &said.default, &none) {
        (Some(text), ..) => text.value(),
        (None, Some(default), _) => shown(default),
        (None, None, none) => none.clone().unwrap_or_default(),
    };
    let param_kind = match (&read, &said.parse) {
        (_, Some(_)) => {
            said.kind.as_ref().map_or_else(|| quote!(::quadrat_core::Kind::Text), ToTokens::to_token_stream)
        }
        (Read::Number(_), None) => {
            let range = bounds(&said, &quote!(f64));
            quote!(::quadrat_core::Kind::Number { range: #range, or: #or })
        }
        (Read::Whole(_), None) => {
            let range = bounds(&said, &quote!(usize));
            quote!(::quadrat_core::Kind::Whole { range: #range, or: #or })
        }
        (Read::Truth, None) => quote!(::quadrat_core::Kind::Truth),
        (Read::List, None) => quote!(::quadrat_core::Kind::Text),
        (Read::Choice, None) => quote!({
            const CHOICES: &[::quadrat_core::Named<#kind>] = <#kind as ::quadrat_core::Choice>::CHOICES;
            const NAMES: [(&str, &str); CHOICES.len()] = ::quadrat_core::Named::names(CHOICES);
            ::quadrat_core::Kind::Choice(&NAMES)
        }),
    };
    let help = help(&field.attrs, field.span())?;
    let unit = match &said.unit {
        Some(unit) => quote!(Some(#unit)),
        None => quote!(None),
    };
    let only = match (&said.only, only) {
        (Some(only), _) => quote!(Some(#only)),
        (None, Some((other, value))) => quote!(Some((#other, &[#value]))),
        (None, None) => quote!(None),
    };
    let param = quote! {
        ::quadrat_core::Param { name: #name, default: #shown, help: #help, kind: #param_kind, unit: #unit, only: #only }
    };
    let value = match (&said.parse, &read, inner.is_some()) {
        (Some(parse), _, optional) => {
            let value = if optional { quote!(Some(#parse(text)?)) } else { quote!(#parse(text)?) };
            let none = none.iter().map(|word| quote!(Some(#word) => None,));
            quote!(match params.get(#name) {
                #(#none)*
                Some(text) if text != #shown => #value,
                _ => #default,
            })
        }
        (None, Read::Number(number), false) => quote!(params.number(&#param)?.map_or(#default, |v| v as #number)),
        (None, Read::Number(number), true) => {
            quote!(params.number_or(&#param)?.map_or(#default, |v| v.map(|v| v as #number)))
        }
        (None, Read::Whole(number), false) => quote!(params.whole(&#param)?.map_or(#default, |v| v as #number)),
        (None, Read::Whole(number), true) => {
            quote!(params.whole_or(&#param)?.map_or(#default, |v| v.map(|v| v as #number)))
        }
        (None, Read::Truth, _) => quote!(params.get_bool(#name, #default)?),
        (None, Read::List, false) => quote!(params.numbers(#name)?.unwrap_or_else(|| #default)),
        (None, Read::List, true) => quote!(match params.get(#name) {
            Some(#none) => None,
            _ => params.numbers(#name)?.map_or(#default, Some),
        }),
        (None, Read::Choice, _) => quote!(params.choice::<#kind>(#name, #default)?),
    };
    Ok(Derived { params: vec![quote!(&[#param])], read: value, default })
}

/// A default as one would type it.
fn shown(default: &Expr) -> String {
    match default {
        Expr::Path(path) => path.path.segments.last().map(|segment| typed(&segment.ident)).unwrap_or_default(),
        other => {
            let text = other.to_token_stream().to_string().replace(' ', "");
            text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
        }
    }
}

fn bounds(said: &Said, kind: &TokenStream) -> TokenStream {
    let bound = |included: &Option<Expr>, excluded: &Option<Expr>| match (included, excluded) {
        (Some(end), _) => quote!(::core::ops::Bound::Included(#end as #kind)),
        (None, Some(end)) => quote!(::core::ops::Bound::Excluded(#end as #kind)),
        (None, None) => quote!(::core::ops::Bound::Unbounded),
    };
    let (low, high) = (bound(&said.from, &said.above), bound(&said.to, &said.below));
    quote!((#low, #high))
}
