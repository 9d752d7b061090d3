//! `#[derive(Choice)]`.

use crate::declared::{Said, help, typed};
use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Result};

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(input.span(), "a choice is an enum"));
    };
    let mut choices = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new(variant.span(), "variants with values of their own are Settings, not a Choice"));
        }
        let name = Said::of(&variant.attrs)?.name.map_or_else(|| typed(&variant.ident), |name| name.value());
        let (ident, help) = (&variant.ident, help(&variant.attrs, variant.span())?);
        choices.push(quote!(::quadrat_core::Named { name: #name, value: Self::#ident, help: #help }));
    }
    let ident = &input.ident;
    Ok(quote! {
        impl ::quadrat_core::Choice for #ident {
            const CHOICES: &'static [::quadrat_core::Named<Self>] = &[#(#choices),*];
        }
    })
}
