//! Puts a secret's value where its placeholder stands, in the places that it is bound to and nowhere else.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bailiwick_wall::{Place, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::Deserialize;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Everything but unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The kinds of bodies in which fields can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/json`, and types that end in `+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
}

impl Form {
    /// By `Content-Type`.
    pub(super) fn of(content_type: Option<&HeaderValue>) -> Option<Self> {
        let text = content_type?.to_str().ok()?;
        let kind = text.split(';').next()?.trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Urlencoded),
            other => other.ends_with("+json").then_some(Self::Json),
        }
    }
}

/// The names of secrets whose values were put in.
pub(super) type Used = BTreeSet<String>;

/// Replaces placeholders of `bound` secrets in the headers and the query.
pub(super) fn fill_head(parts: &mut Parts, bound: &[&Secret], used: &mut Used) {
    for (name, value) in &mut parts.headers {
        for secret in bound {
            if let Some(filled) = fill_header(name, value, secret) {
                *value = filled;
                used.insert(secret.name.clone());
            }
        }
    }
    let query = parts.uri.query().unwrap_or_default();
    let filled = pairs(
        query,
        bound,
        used,
        |place, name| matches!(place, Place::Query(wanted) if wanted == name),
    );
    let Some(filled) = filled else { return };
    let target = format!("{}?{}", parts.uri.path(), &*filled);
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = target.parse().ok();
    parts.uri = http::Uri::from_parts(uri).unwrap_or_default();
}

fn fill_header(name: &HeaderName, value: &HeaderValue, secret: &Secret) -> Option<HeaderValue> {
    let placeholder = secret.placeholder.as_bytes();
    let places = &secret.binding.places;
    let named = |place: &Place| matches!(place, Place::Header(wanted) if wanted == name.as_str());
    let filled = if places.iter().any(named) && holds(value.as_bytes(), placeholder) {
        replace(value.as_bytes(), placeholder, secret.value.expose())
    } else if places.contains(&Place::Basic) && *name == AUTHORIZATION {
        fill_basic(value.as_bytes(), secret)?
    } else {
        return None;
    };
    let mut filled = HeaderValue::from_bytes(&filled).ok()?;
    filled.set_sensitive(true);
    Some(filled)
}

/// `Basic base64(user:password)` (RFC 7617), where either is the placeholder as a whole.
fn fill_basic(value: &[u8], secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_ascii()).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at_checked(colon)?;
    let (placeholder, real) = (secret.placeholder.as_bytes(), secret.value.expose());
    let fill = |text: &'_ [u8]| -> Option<Vec<u8>> { (text == placeholder).then(|| real.to_vec()) };
    let password = password.get(1..)?;
    let (new_user, new_password) = (fill(user), fill(password));
    if new_user.is_none() && new_password.is_none() {
        return None;
    }
    let user = Zeroizing::new(new_user.unwrap_or_else(|| user.to_vec()));
    let password = Zeroizing::new(new_password.unwrap_or_else(|| password.to_vec()));
    // A colon in the user name would move the border between the two (RFC 7617 §2).
    if user.contains(&b':') {
        return None;
    }
    let plain = Zeroizing::new([user.as_slice(), b":", password.as_slice()].concat());
    let encoded = Zeroizing::new(STANDARD.encode(plain.as_slice()));
    Some(Zeroizing::new([b"Basic ", encoded.as_bytes()].concat()))
}

/// Replaces whole fields of a body; none where there was nothing to replace.
pub(super) fn fill_body(
    form: Form,
    body: &[u8],
    bound: &[&Secret],
    used: &mut Used,
) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(body).ok()?;
    let wanted = |place: &Place, name: &str| matches!(place, Place::Field(field) if field == name);
    match form {
        Form::Urlencoded => {
            pairs(text, bound, used, wanted).map(|text| Zeroizing::new(text.as_bytes().to_vec()))
        }
        Form::Json => json(text, bound, used, wanted),
    }
}

/// `name=value` pairs between `&` (WHATWG URL, application/x-www-form-urlencoded).
fn pairs(
    text: &str,
    bound: &[&Secret],
    used: &mut Used,
    wanted: impl Fn(&Place, &str) -> bool,
) -> Option<Zeroizing<String>> {
    let mut filled = Zeroizing::new(String::with_capacity(text.len()));
    let mut any = false;
    for (number, pair) in text.split('&').enumerate() {
        if number > 0 {
            filled.push('&');
        }
        let secret = pair.split_once('=').and_then(|(name, value)| {
            let (name, value) = (form_decoded(name)?, form_decoded(value)?);
            bound.iter().find(|secret| {
                let mut places = secret.binding.places.iter();
                value == secret.placeholder && places.any(|place| wanted(place, &name))
            })
        });
        match (secret, pair.split_once('=')) {
            (Some(secret), Some((name, _))) => {
                filled.push_str(name);
                filled.push('=');
                filled.extend(percent_encode(secret.value.expose(), RESERVED));
                used.insert(secret.name.clone());
                any = true;
            }
            _ => filled.push_str(pair),
        }
    }
    any.then_some(filled)
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

/// The members of a JSON object in their order, values untouched; a name that is there twice is an error,
/// because readers disagree on which one counts.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Object<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut members, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom("a name is there twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object(std::marker::PhantomData))
    }
}

fn json(
    text: &str,
    bound: &[&Secret],
    used: &mut Used,
    wanted: impl Fn(&Place, &str) -> bool,
) -> Option<Zeroizing<Vec<u8>>> {
    let Members(members) = serde_json::from_str(text).ok()?;
    let mut filled = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut any = false;
    filled.push(b'{');
    for (number, (name, raw)) in members.iter().enumerate() {
        if number > 0 {
            filled.push(b',');
        }
        serde_json::to_writer(&mut *filled, name).ok()?;
        filled.push(b':');
        let value = serde_json::from_str::<String>(raw.get()).ok();
        let secret = value.and_then(|value| {
            bound.iter().find(|secret| {
                let mut places = secret.binding.places.iter();
                value == secret.placeholder && places.any(|place| wanted(place, name))
            })
        });
        // A value that is no text cannot stand in JSON; its placeholder stays, and is refused for that.
        match secret
            .and_then(|secret| Some((secret, std::str::from_utf8(secret.value.expose()).ok()?)))
        {
            Some((secret, real)) => {
                serde_json::to_writer(&mut *filled, real).ok()?;
                used.insert(secret.name.clone());
                any = true;
            }
            None => filled.extend_from_slice(raw.get().as_bytes()),
        }
    }
    filled.push(b'}');
    any.then_some(filled)
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

fn replace(text: &[u8], part: &[u8], by: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + by.len()));
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(part) {
            Some(behind) => {
                out.extend_from_slice(by);
                rest = behind;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_wall::{Binding, SecretValue};

    const REAL: &str = "a\"b&c=d é/+";

    fn secret(places: &[&str]) -> Secret {
        Secret {
            name: "token".into(),
            placeholder: "bw_ph".into(),
            value: SecretValue::new(REAL.as_bytes().to_vec()).unwrap(),
            binding: Binding {
                to: Vec::new(),
                places: places.iter().map(|place| place.parse().unwrap()).collect(),
                variable: "TOKEN".into(),
            },
        }
    }

    fn head(places: &[&str], name: &str, value: &str, uri: &str) -> (Vec<u8>, String, usize) {
        let request = http::Request::get(uri)
            .header(name, value)
            .body(())
            .unwrap();
        let mut parts = request.into_parts().0;
        let mut used = Used::new();
        fill_head(&mut parts, &[&secret(places)], &mut used);
        (
            parts.headers[name].as_bytes().to_vec(),
            parts.uri.to_string(),
            used.len(),
        )
    }

    fn body(places: &[&str], form: Form, body: &str) -> Option<String> {
        let mut used = Used::new();
        let filled = fill_body(form, body.as_bytes(), &[&secret(places)], &mut used);
        assert_eq!(filled.is_some(), !used.is_empty());
        filled.map(|filled| String::from_utf8(filled.to_vec()).unwrap())
    }

    #[test]
    fn a_header_is_filled_where_it_is_bound() {
        let (value, _, used) = head(
            &["header:Authorization"],
            "authorization",
            "Bearer bw_ph",
            "/",
        );
        assert_eq!((value, used), (format!("Bearer {REAL}").into_bytes(), 1));
        let (value, _, used) = head(&["header:x-key"], "authorization", "Bearer bw_ph", "/");
        assert_eq!((value, used), (b"Bearer bw_ph".to_vec(), 0));
    }

    #[test]
    fn basic_is_filled_where_user_or_password_is_the_placeholder() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (text, expected) in [
            ("bw_ph:x", Some(format!("{REAL}:x"))),
            ("me:bw_ph", Some(format!("me:{REAL}"))),
            ("me:bw_ph:", None),
            ("me:xbw_ph", None),
            ("bw_ph", None),
        ] {
            let (value, _, used) = head(&["basic"], "authorization", &basic(text), "/");
            let wanted = expected.as_deref().map_or(basic(text), basic);
            assert_eq!(
                (value, used),
                (wanted.into_bytes(), usize::from(expected.is_some()))
            );
        }
        let (_, _, used) = head(&["basic"], "x-other", &basic("me:bw_ph"), "/");
        assert_eq!(used, 0);
        let (_, _, used) = head(&["header:x"], "authorization", &basic("me:bw_ph"), "/");
        assert_eq!(used, 0);
    }

    #[test]
    fn a_parameter_is_filled_as_a_whole() {
        let encoded = "a%22b%26c%3Dd%20%C3%A9%2F%2B";
        for (uri, expected) in [
            ("/x?a=b&key=bw_ph&c", format!("/x?a=b&key={encoded}&c")),
            ("/x?k%65y=bw%5Fph", format!("/x?k%65y={encoded}")),
            ("/x?key=bw_ph1", "/x?key=bw_ph1".to_owned()),
            ("/x?other=bw_ph", "/x?other=bw_ph".to_owned()),
            ("/bw_ph?key=", "/bw_ph?key=".to_owned()),
        ] {
            assert_eq!(head(&["query:key"], "x", "y", uri).1, expected);
        }
    }

    #[test]
    fn a_field_is_filled_at_the_top_level_alone() {
        let encoded = serde_json::to_string(REAL).unwrap();
        let places = &["field:key"];
        assert_eq!(
            body(
                places,
                Form::Json,
                r#" {"n": 1.0e400, "key" : "bw\u005fph", "x":{"key":"y"}} "#
            ),
            Some(format!(
                r#"{{"n":1.0e400,"key":{encoded},"x":{{"key":"y"}}}}"#
            ))
        );
        for nothing in [
            r#"{"x":{"key":"bw_ph"}}"#,
            r#"{"key":"bw_ph "}"#,
            r#"{"Key":"bw_ph"}"#,
            r#"{"key":"bw_ph","key":"z"}"#,
            r#"{"key":["bw_ph"]}"#,
            r#"["bw_ph"]"#,
            r#"{"key":"bw_ph"} x"#,
        ] {
            assert_eq!(body(places, Form::Json, nothing), None, "{nothing}");
        }
        assert_eq!(
            body(places, Form::Urlencoded, "a=b+c&key=bw_ph"),
            Some("a=b+c&key=a%22b%26c%3Dd%20%C3%A9%2F%2B".to_owned())
        );
        assert_eq!(body(&["query:key"], Form::Urlencoded, "key=bw_ph"), None);
    }

    #[test]
    fn bodies_are_known_by_their_type() {
        let form = |text: &'static str| Form::of(Some(&HeaderValue::from_static(text)));
        assert_eq!(form("Application/JSON; charset=utf-8"), Some(Form::Json));
        assert_eq!(form("application/vnd.api+json"), Some(Form::Json));
        assert_eq!(
            form("application/x-www-form-urlencoded"),
            Some(Form::Urlencoded)
        );
        assert_eq!(form("text/plain"), None);
        assert_eq!(Form::of(None), None);
    }
}
