//! JSON to component values and back, strictly by [`Shape`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use wasmtime::component::Val;

use crate::shape::{EXACT, Int, Shape, number};

/// Reads named arguments. The error names the argument and what it should be.
pub(crate) fn arguments(
    params: &[(String, Shape)],
    given: &Map<String, Value>,
) -> Result<Vec<Val>, String> {
    let fields = fields(params, given, "")?;
    Ok(fields.into_iter().map(|(_, value)| value).collect())
}

fn fields(
    shapes: &[(String, Shape)],
    given: &Map<String, Value>,
    at: &str,
) -> Result<Vec<(String, Val)>, String> {
    if let Some(unknown) = given
        .keys()
        .find(|key| !shapes.iter().any(|(name, _)| name == *key))
    {
        let known: Vec<_> = shapes.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!(
            "`{at}{}` is unknown; known are: {}",
            unknown.escape_debug(),
            known.join(", ")
        ));
    }
    shapes
        .iter()
        .map(|(name, shape)| {
            let at = format!("{at}{name}");
            let value = match (given.get(name), shape.is_nullable()) {
                (Some(value), _) => to_val(shape, value, &at)?,
                (None, true) => Val::Option(None),
                (None, false) => return Err(format!("`{at}` is missing; it is a {}", shape.wit())),
            };
            Ok((name.clone(), value))
        })
        .collect()
}

/// Reads one value; `at` says where it stands.
pub(crate) fn to_val(shape: &Shape, value: &Value, at: &str) -> Result<Val, String> {
    let wrong = || format!("`{at}` is {}, not a {}", describe(value), shape.wit());
    Ok(match shape {
        Shape::Bool => Val::Bool(value.as_bool().ok_or_else(wrong)?),
        Shape::Int(int) => integer(*int, value).ok_or_else(wrong)?,
        Shape::F32 => {
            let wide = float(value).ok_or_else(wrong)?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounding to f32 is what the type means"
            )]
            let narrow = wide as f32;
            if wide.is_finite() && !narrow.is_finite() {
                return Err(format!("`{at}` is beyond the range of f32"));
            }
            Val::Float32(narrow)
        }
        Shape::F64 => Val::Float64(float(value).ok_or_else(wrong)?),
        Shape::Char => {
            let mut chars = value.as_str().ok_or_else(wrong)?.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => Val::Char(only),
                _ => return Err(wrong()),
            }
        }
        Shape::String => Val::String(value.as_str().ok_or_else(wrong)?.to_owned()),
        Shape::Bytes => {
            let text = value.as_str().ok_or_else(wrong)?;
            let bytes = BASE64
                .decode(text)
                .map_err(|error| format!("`{at}` is not base64: {error}"))?;
            Val::List(bytes.into_iter().map(Val::U8).collect())
        }
        Shape::List(item) => Val::List(items(item, value.as_array().ok_or_else(wrong)?, at)?),
        Shape::Array(item, len) => {
            let given = value
                .as_array()
                .filter(|given| given.len() == *len)
                .ok_or_else(wrong)?;
            Val::FixedLengthList(items(item, given, at)?)
        }
        Shape::Record(shapes) => Val::Record(fields(
            shapes,
            value.as_object().ok_or_else(wrong)?,
            &format!("{at}."),
        )?),
        Shape::Tuple(shapes) => {
            let given = value
                .as_array()
                .filter(|given| given.len() == shapes.len())
                .ok_or_else(wrong)?;
            let pairs = shapes.iter().zip(given).enumerate();
            Val::Tuple(
                pairs
                    .map(|(n, (shape, value))| to_val(shape, value, &format!("{at}[{n}]")))
                    .collect::<Result<_, _>>()?,
            )
        }
        Shape::Variant(cases) => variant(cases, value, at)?.ok_or_else(wrong)?,
        Shape::Enum(names) => {
            let name = value
                .as_str()
                .filter(|name| names.iter().any(|known| known == name))
                .ok_or_else(wrong)?;
            Val::Enum(name.to_owned())
        }
        Shape::Option(_) if value.is_null() => Val::Option(None),
        Shape::Option(inner) => {
            let value = if inner.is_nullable() {
                only(value, "some").ok_or_else(wrong)?
            } else {
                value
            };
            Val::Option(Some(Box::new(to_val(inner, value, at)?)))
        }
        Shape::Result(ok, error) => match (only(value, "ok"), only(value, "error")) {
            (Some(value), _) => Val::Result(Ok(payload(ok.as_deref(), value, at)?)),
            (_, Some(value)) => Val::Result(Err(payload(error.as_deref(), value, at)?)),
            _ => return Err(wrong()),
        },
        Shape::Flags(names) => Val::Flags(flags(names, value).ok_or_else(wrong)?),
    })
}

fn items(shape: &Shape, given: &[Value], at: &str) -> Result<Vec<Val>, String> {
    given
        .iter()
        .enumerate()
        .map(|(n, value)| to_val(shape, value, &format!("{at}[{n}]")))
        .collect()
}

fn integer(int: Int, value: &Value) -> Option<Val> {
    let parsed: i128 = match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))?,
        // The schema's pattern allows no plus sign.
        Value::String(text) if matches!(int, Int::S64 | Int::U64) && !text.starts_with('+') => {
            text.parse().ok()?
        }
        _ => return None,
    };
    Some(match int {
        Int::S8 => Val::S8(parsed.try_into().ok()?),
        Int::U8 => Val::U8(parsed.try_into().ok()?),
        Int::S16 => Val::S16(parsed.try_into().ok()?),
        Int::U16 => Val::U16(parsed.try_into().ok()?),
        Int::S32 => Val::S32(parsed.try_into().ok()?),
        Int::U32 => Val::U32(parsed.try_into().ok()?),
        Int::S64 => Val::S64(parsed.try_into().ok()?),
        Int::U64 => Val::U64(parsed.try_into().ok()?),
    })
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The value of an object's one member `name`.
fn only<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value
        .as_object()
        .filter(|object| object.len() == 1)?
        .get(name)
}

fn variant(
    cases: &[(String, Option<Shape>)],
    value: &Value,
    at: &str,
) -> Result<Option<Val>, String> {
    for (name, shape) in cases {
        match shape {
            None if value.as_str() == Some(name) => {
                return Ok(Some(Val::Variant(name.clone(), None)));
            }
            Some(shape) => {
                if let Some(value) = only(value, name) {
                    let payload = to_val(shape, value, &format!("{at}.{name}"))?;
                    return Ok(Some(Val::Variant(name.clone(), Some(Box::new(payload)))));
                }
            }
            None => {}
        }
    }
    Ok(None)
}

fn payload(shape: Option<&Shape>, value: &Value, at: &str) -> Result<Option<Box<Val>>, String> {
    match shape {
        Some(shape) => Ok(Some(Box::new(to_val(shape, value, at)?))),
        None if value.is_null() => Ok(None),
        None => Err(format!("`{at}` carries no value; write null")),
    }
}

fn flags(names: &[String], value: &Value) -> Option<Vec<String>> {
    let given: Vec<&str> = value
        .as_array()?
        .iter()
        .map(Value::as_str)
        .collect::<Option<_>>()?;
    let mut seen: Vec<String> = Vec::with_capacity(given.len());
    for name in given {
        let known =
            names.iter().any(|known| known == name) && !seen.iter().any(|other| other == name);
        known.then(|| seen.push(name.to_owned()))?;
    }
    Some(seen)
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number of another type or range",
        Value::String(_) => "another string",
        Value::Array(_) => "an array of other items or length",
        Value::Object(_) => "an object of other members",
    }
}

/// Writes one value; none where value and shape disagree, which the component model rules out.
pub(crate) fn to_json(shape: &Shape, value: &Val) -> Option<Value> {
    Some(match (shape, value) {
        (Shape::Bool, Val::Bool(value)) => json!(value),
        (Shape::Int(_), value) => integer_json(value)?,
        (Shape::F32, Val::Float32(value)) => float_json(f64::from(*value)),
        (Shape::F64, Val::Float64(value)) => float_json(*value),
        (Shape::Char, Val::Char(value)) => json!(value),
        (Shape::String, Val::String(value)) => json!(value),
        (Shape::Bytes, Val::List(values)) => {
            let byte = |value: &Val| {
                if let Val::U8(byte) = value {
                    Some(*byte)
                } else {
                    None
                }
            };
            json!(BASE64.encode(values.iter().map(byte).collect::<Option<Vec<_>>>()?))
        }
        (Shape::List(item), Val::List(values))
        | (Shape::Array(item, _), Val::FixedLengthList(values)) => values
            .iter()
            .map(|value| to_json(item, value))
            .collect::<Option<_>>()?,
        (Shape::Record(shapes), Val::Record(values)) => shapes
            .iter()
            .zip(values)
            .map(|((name, shape), (_, value))| Some((name.clone(), to_json(shape, value)?)))
            .collect::<Option<Map<_, _>>>()?
            .into(),
        (Shape::Tuple(shapes), Val::Tuple(values)) => shapes
            .iter()
            .zip(values)
            .map(|(shape, value)| to_json(shape, value))
            .collect::<Option<_>>()?,
        (Shape::Variant(cases), Val::Variant(name, payload)) => {
            let (_, shape) = cases.iter().find(|(case, _)| case == name)?;
            match (shape, payload) {
                (Some(shape), Some(value)) => json!({name: to_json(shape, value)?}),
                _ => json!(name),
            }
        }
        (Shape::Enum(_), Val::Enum(name)) => json!(name),
        (Shape::Option(_), Val::Option(None)) => Value::Null,
        (Shape::Option(inner), Val::Option(Some(value))) if inner.is_nullable() => {
            json!({"some": to_json(inner, value)?})
        }
        (Shape::Option(inner), Val::Option(Some(value))) => to_json(inner, value)?,
        (Shape::Result(ok, _), Val::Result(Ok(value))) => {
            json!({"ok": payload_json(ok.as_deref(), value.as_deref())?})
        }
        (Shape::Result(_, error), Val::Result(Err(value))) => {
            json!({"error": payload_json(error.as_deref(), value.as_deref())?})
        }
        (Shape::Flags(_), Val::Flags(names)) => json!(names),
        _ => return None,
    })
}

pub(crate) fn payload_json(shape: Option<&Shape>, value: Option<&Val>) -> Option<Value> {
    match (shape, value) {
        (Some(shape), Some(value)) => to_json(shape, value),
        (None, None) => Some(Value::Null),
        _ => None,
    }
}

fn integer_json(value: &Val) -> Option<Value> {
    let value: i128 = match value {
        Val::S8(value) => (*value).into(),
        Val::U8(value) => (*value).into(),
        Val::S16(value) => (*value).into(),
        Val::U16(value) => (*value).into(),
        Val::S32(value) => (*value).into(),
        Val::U32(value) => (*value).into(),
        Val::S64(value) => (*value).into(),
        Val::U64(value) => (*value).into(),
        _ => return None,
    };
    Some(if (-EXACT..=EXACT).contains(&value) {
        number(value)
    } else {
        json!(value.to_string())
    })
}

fn float_json(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(
        || {
            json!(if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        },
        Value::Number,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shapes() -> impl Strategy<Value = Shape> {
        let leaf = prop_oneof![
            Just(Shape::Bool),
            prop_oneof![
                Just(Int::S8),
                Just(Int::U16),
                Just(Int::S32),
                Just(Int::S64),
                Just(Int::U64)
            ]
            .prop_map(Shape::Int),
            Just(Shape::F64),
            Just(Shape::Char),
            Just(Shape::String),
            Just(Shape::Bytes),
            Just(Shape::Enum(vec!["red".into(), "blue".into()])),
            Just(Shape::Flags(vec!["a".into(), "b".into(), "c".into()])),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let boxed = inner.clone().prop_map(Box::new).boxed();
            let maybe = proptest::option::of(boxed.clone());
            let named = |name: &'static str| {
                inner
                    .clone()
                    .prop_map(move |shape| (name.to_owned(), shape))
            };
            let case = |name: &'static str| {
                proptest::option::of(inner.clone()).prop_map(move |shape| (name.to_owned(), shape))
            };
            prop_oneof![
                boxed
                    .clone()
                    .prop_map(|item| if *item == Shape::Int(Int::U8) {
                        Shape::Bytes
                    } else {
                        Shape::List(item)
                    }),
                boxed.prop_map(Shape::Option),
                (named("x"), named("y")).prop_map(|(x, y)| Shape::Record(vec![x, y])),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Shape::Tuple(vec![a, b])),
                (case("p"), case("q")).prop_map(|(p, q)| Shape::Variant(vec![p, q])),
                (maybe.clone(), maybe).prop_map(|(ok, error)| Shape::Result(ok, error)),
            ]
        })
    }

    fn boxed(value: Val) -> Option<Box<Val>> {
        Some(Box::new(value))
    }

    fn values(shape: &Shape) -> BoxedStrategy<Val> {
        let payload = |shape: &Option<Box<Shape>>| match shape {
            Some(shape) => values(shape).prop_map(boxed).boxed(),
            None => Just(None).boxed(),
        };
        match shape {
            Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
            Shape::Int(Int::S8) => any::<i8>().prop_map(Val::S8).boxed(),
            Shape::Int(Int::U16) => any::<u16>().prop_map(Val::U16).boxed(),
            Shape::Int(Int::S32) => any::<i32>().prop_map(Val::S32).boxed(),
            Shape::Int(Int::S64) => any::<i64>().prop_map(Val::S64).boxed(),
            Shape::Int(Int::U64) => any::<u64>().prop_map(Val::U64).boxed(),
            Shape::F64 => any::<f64>().prop_map(Val::Float64).boxed(),
            Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
            Shape::String => any::<String>().prop_map(Val::String).boxed(),
            Shape::Bytes => proptest::collection::vec(any::<u8>().prop_map(Val::U8), 0..4)
                .prop_map(Val::List)
                .boxed(),
            Shape::Enum(names) => proptest::sample::select(names.clone())
                .prop_map(Val::Enum)
                .boxed(),
            Shape::Flags(names) => proptest::sample::subsequence(names.clone(), 0..=names.len())
                .prop_map(Val::Flags)
                .boxed(),
            Shape::List(item) => proptest::collection::vec(values(item), 0..3)
                .prop_map(Val::List)
                .boxed(),
            Shape::Option(inner) => proptest::option::of(values(inner))
                .prop_map(|value| Val::Option(value.and_then(boxed)))
                .boxed(),
            Shape::Record(fields) => {
                let names: Vec<_> = fields.iter().map(|(name, _)| name.clone()).collect();
                fields
                    .iter()
                    .map(|(_, shape)| values(shape))
                    .collect::<Vec<_>>()
                    .prop_map(move |found| {
                        Val::Record(names.clone().into_iter().zip(found).collect())
                    })
                    .boxed()
            }
            Shape::Tuple(items) => items
                .iter()
                .map(values)
                .collect::<Vec<_>>()
                .prop_map(Val::Tuple)
                .boxed(),
            Shape::Variant(cases) => {
                proptest::strategy::Union::new(cases.iter().map(|(name, shape)| {
                    let name = name.clone();
                    payload(&shape.clone().map(Box::new))
                        .prop_map(move |value| Val::Variant(name.clone(), value))
                        .boxed()
                }))
                .boxed()
            }
            Shape::Result(ok, error) => prop_oneof![
                payload(ok).prop_map(|value| Val::Result(Ok(value))),
                payload(error).prop_map(|value| Val::Result(Err(value))),
            ]
            .boxed(),
            other => panic!("no strategy for {other:?}"),
        }
    }

    proptest! {
        #[test]
        fn a_value_survives_json((shape, value) in shapes().prop_flat_map(|shape| {
            let values = values(&shape);
            (Just(shape), values)
        })) {
            let json = to_json(&shape, &value).unwrap();
            // Through text, as on the wire.
            let json: Value = serde_json::from_str(&json.to_string()).unwrap();
            let again = to_val(&shape, &json, "x").unwrap();
            prop_assert_eq!(to_json(&shape, &again).unwrap(), json);
        }
    }

    #[test]
    fn wrong_types_and_ranges_are_named() {
        let params = [
            ("n".to_owned(), Shape::Int(Int::U8)),
            ("who".to_owned(), Shape::String),
        ];
        let read = |json: Value| arguments(&params, json.as_object().unwrap()).unwrap_err();
        assert_eq!(
            read(json!({"n": 256, "who": ""})),
            "`n` is a number of another type or range, not a u8"
        );
        assert_eq!(
            read(json!({"n": 1.0, "who": ""})),
            "`n` is a number of another type or range, not a u8"
        );
        assert_eq!(
            read(json!({"n": "1", "who": ""})),
            "`n` is another string, not a u8"
        );
        assert_eq!(
            read(json!({"n": -1, "who": ""})),
            "`n` is a number of another type or range, not a u8"
        );
        assert_eq!(read(json!({"n": 1})), "`who` is missing; it is a string");
        assert_eq!(
            read(json!({"n": 1, "who": "", "x": 1})),
            "`x` is unknown; known are: n, who"
        );
    }

    #[test]
    fn wide_integers_stay_exact() {
        let shape = Shape::Int(Int::U64);
        assert_eq!(
            to_json(&shape, &Val::U64((1 << 53) - 1)),
            Some(json!(9_007_199_254_740_991_u64))
        );
        assert_eq!(
            to_json(&shape, &Val::U64(1 << 53)),
            Some(json!("9007199254740992"))
        );
        assert_eq!(
            to_val(&shape, &json!(u64::MAX), "x"),
            Ok(Val::U64(u64::MAX))
        );
        assert_eq!(
            to_val(&shape, &json!("18446744073709551615"), "x"),
            Ok(Val::U64(u64::MAX))
        );
        for wrong in [
            json!("18446744073709551616"),
            json!("-1"),
            json!("+1"),
            json!(1e3),
            json!(true),
        ] {
            assert!(to_val(&shape, &wrong, "x").is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_are_known_and_distinct() {
        let shape = Shape::Flags(vec!["a".into(), "b".into()]);
        assert!(to_val(&shape, &json!(["a", "b"]), "x").is_ok());
        assert!(to_val(&shape, &json!(["a", "a"]), "x").is_err());
        assert!(to_val(&shape, &json!(["c"]), "x").is_err());
    }

    #[test]
    fn nested_options_are_told_apart() {
        let shape = Shape::Option(Box::new(Shape::Option(Box::new(Shape::Bool))));
        assert_eq!(to_val(&shape, &json!(null), "x"), Ok(Val::Option(None)));
        assert_eq!(
            to_val(&shape, &json!({"some": null}), "x"),
            Ok(Val::Option(boxed(Val::Option(None))))
        );
    }
}
