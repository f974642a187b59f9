//! The shape of a WIT type, and its JSON Schema.
//!
//! | WIT | JSON |
//! |---|---|
//! | `bool`, `string`, `char` | boolean, string, string of one character |
//! | `u8`…`u32`, `s8`…`s32` | integer |
//! | `u64`, `s64` | integer, or decimal string; results beyond ±(2⁵³−1) are strings, which JSON readers keep exact |
//! | `f32`, `f64` | number; results that are no number are `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `list<u8>` | base64 string |
//! | `list<T>`, `tuple` | array |
//! | `record` | object; members of an `option` type may be left out |
//! | `option<T>` | `T` or null; where `T` may itself be null, `{"some": T}` or null |
//! | `result<T, E>` | `{"ok": T}` or `{"error": E}` |
//! | `variant` | `"case"`, or `{"case": payload}` |
//! | `enum`, `flags` | string, array of distinct strings |
//! | resources, streams, futures, maps | the function is not offered as a tool |

use std::fmt::Write as _;

use serde_json::{Value, json};
use wasmtime::component::Type;

/// Largest integer that every JSON reader keeps exact (RFC 8259 §6).
pub(crate) const EXACT: i128 = (1 << 53) - 1;

/// An integer type of WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Int {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

impl Int {
    pub(crate) fn range(self) -> (i128, i128) {
        match self {
            Self::S8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::S16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::S32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::S64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
        }
    }
}

/// A WIT type that JSON can carry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Bool,
    Int(Int),
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`.
    Bytes,
    List(Box<Shape>),
    /// A list of fixed length.
    Array(Box<Shape>, usize),
    Record(Vec<(String, Shape)>),
    Tuple(Vec<Shape>),
    Variant(Vec<(String, Option<Shape>)>),
    Enum(Vec<String>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    Flags(Vec<String>),
}

impl Shape {
    /// The shape of a component's type; none where JSON cannot carry it.
    pub(crate) fn of(ty: &Type) -> Option<Self> {
        let boxed = |ty: Option<Type>| {
            ty.map(|ty| Self::of(&ty).map(Box::new).ok_or(()))
                .transpose()
                .ok()
        };
        Some(match ty {
            Type::Bool => Self::Bool,
            Type::S8 => Self::Int(Int::S8),
            Type::U8 => Self::Int(Int::U8),
            Type::S16 => Self::Int(Int::S16),
            Type::U16 => Self::Int(Int::U16),
            Type::S32 => Self::Int(Int::S32),
            Type::U32 => Self::Int(Int::U32),
            Type::S64 => Self::Int(Int::S64),
            Type::U64 => Self::Int(Int::U64),
            Type::Float32 => Self::F32,
            Type::Float64 => Self::F64,
            Type::Char => Self::Char,
            Type::String => Self::String,
            Type::List(list) => match Self::of(&list.ty())? {
                Self::Int(Int::U8) => Self::Bytes,
                item => Self::List(Box::new(item)),
            },
            Type::FixedLengthList(list) => Self::Array(
                Box::new(Self::of(&list.ty())?),
                usize::try_from(list.len()).ok()?,
            ),
            Type::Record(record) => Self::Record(
                record
                    .fields()
                    .map(|field| Some((field.name.to_owned(), Self::of(&field.ty)?)))
                    .collect::<Option<_>>()?,
            ),
            Type::Tuple(tuple) => Self::Tuple(
                tuple
                    .types()
                    .map(|ty| Self::of(&ty))
                    .collect::<Option<_>>()?,
            ),
            Type::Variant(variant) => Self::Variant(
                variant
                    .cases()
                    .map(|case| {
                        let payload = boxed(case.ty)?.map(|shape| *shape);
                        Some((case.name.to_owned(), payload))
                    })
                    .collect::<Option<_>>()?,
            ),
            Type::Enum(cases) => Self::Enum(cases.names().map(str::to_owned).collect()),
            Type::Option(option) => Self::Option(Box::new(Self::of(&option.ty())?)),
            Type::Result(result) => Self::Result(boxed(result.ok())?, boxed(result.err())?),
            Type::Flags(flags) => Self::Flags(flags.names().map(str::to_owned).collect()),
            Type::Map(_)
            | Type::Own(_)
            | Type::Borrow(_)
            | Type::Future(_)
            | Type::Stream(_)
            | Type::ErrorContext => return None,
        })
    }

    /// Whether null is one of its values.
    pub(crate) fn is_nullable(&self) -> bool {
        matches!(self, Self::Option(_))
    }

    /// Its JSON Schema (2020-12).
    pub(crate) fn schema(&self) -> Value {
        match self {
            Self::Bool => json!({"type": "boolean"}),
            Self::Int(int @ (Int::S64 | Int::U64)) => wide_schema(*int),
            Self::Int(int) => {
                let (least, most) = int.range();
                json!({"type": "integer", "minimum": number(least), "maximum": number(most)})
            }
            Self::F32 | Self::F64 => json!({
                "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]
            }),
            Self::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            Self::String => json!({"type": "string"}),
            Self::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Self::List(item) => json!({"type": "array", "items": item.schema()}),
            Self::Array(item, len) => {
                json!({"type": "array", "items": item.schema(), "minItems": len, "maxItems": len})
            }
            Self::Record(fields) => object_schema(fields),
            // No `items: false`: clients that read draft 7 do not know `prefixItems`, and would refuse every item.
            Self::Tuple(items) => json!({
                "type": "array",
                "prefixItems": items.iter().map(Self::schema).collect::<Vec<_>>(),
                "minItems": items.len(),
                "maxItems": items.len(),
            }),
            Self::Variant(cases) => {
                json!({"oneOf": cases.iter().map(case_schema).collect::<Vec<_>>()})
            }
            Self::Enum(names) => json!({"type": "string", "enum": names}),
            Self::Option(inner) if inner.is_nullable() => {
                json!({"anyOf": [single("some", &inner.schema()), {"type": "null"}]})
            }
            Self::Option(inner) => json!({"anyOf": [inner.schema(), {"type": "null"}]}),
            Self::Result(ok, error) => json!({"oneOf": [
                single("ok", &payload_schema(ok.as_deref())),
                single("error", &payload_schema(error.as_deref())),
            ]}),
            Self::Flags(names) => {
                json!({"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": true})
            }
        }
    }

    /// The type as WIT writes it, records and variants in full.
    pub(crate) fn wit(&self) -> String {
        let list = |items: &[Shape]| items.iter().map(Self::wit).collect::<Vec<_>>().join(", ");
        match self {
            Self::Bool => "bool".into(),
            Self::Int(int) => int.name().into(),
            Self::F32 => "f32".into(),
            Self::F64 => "f64".into(),
            Self::Char => "char".into(),
            Self::String => "string".into(),
            Self::Bytes => "list<u8>".into(),
            Self::List(item) => format!("list<{}>", item.wit()),
            Self::Array(item, len) => format!("list<{}, {len}>", item.wit()),
            Self::Tuple(items) => format!("tuple<{}>", list(items)),
            Self::Option(inner) => format!("option<{}>", inner.wit()),
            Self::Result(ok, error) => match (ok, error) {
                (None, None) => "result".into(),
                (Some(ok), None) => format!("result<{}>", ok.wit()),
                (ok, Some(error)) => {
                    format!(
                        "result<{}, {}>",
                        ok.as_ref().map_or("_".into(), |ok| ok.wit()),
                        error.wit()
                    )
                }
            },
            Self::Record(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, shape)| format!("{name}: {}", shape.wit()))
                    .collect();
                format!("record {{ {} }}", fields.join(", "))
            }
            Self::Variant(cases) => {
                let mut text = String::from("variant { ");
                for (at, (name, payload)) in cases.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    let payload = payload
                        .as_ref()
                        .map_or(String::new(), |shape| format!("({})", shape.wit()));
                    let _ = write!(text, "{comma}{name}{payload}");
                }
                text + " }"
            }
            Self::Enum(names) => format!("enum {{ {} }}", names.join(", ")),
            Self::Flags(names) => format!("flags {{ {} }}", names.join(", ")),
        }
    }
}

/// The schema of named values, as of a record or of a function's parameters.
pub(crate) fn object_schema(fields: &[(String, Shape)]) -> Value {
    let properties: serde_json::Map<_, _> = fields
        .iter()
        .map(|(name, shape)| (name.clone(), shape.schema()))
        .collect();
    let required: Vec<_> = fields
        .iter()
        .filter(|(_, shape)| !shape.is_nullable())
        .map(|(name, _)| name.as_str())
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// An integer as JSON; all of 64 bits fit.
pub(crate) fn number(value: i128) -> Value {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(signed), _) => signed.into(),
        (_, Ok(unsigned)) => unsigned.into(),
        _ => Value::Null,
    }
}

fn wide_schema(int: Int) -> Value {
    let (least, most) = int.range();
    let pattern = if int == Int::U64 {
        "^[0-9]{1,20}$"
    } else {
        "^-?[0-9]{1,19}$"
    };
    json!({"anyOf": [
        {"type": "integer", "minimum": number(least), "maximum": number(most)},
        {"type": "string", "pattern": pattern},
    ]})
}

fn single(name: &str, schema: &Value) -> Value {
    json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false})
}

fn payload_schema(shape: Option<&Shape>) -> Value {
    shape.map_or_else(|| json!({"type": "null"}), Shape::schema)
}

fn case_schema((name, payload): &(String, Option<Shape>)) -> Value {
    match payload {
        None => json!({"const": name}),
        Some(shape) => single(name, &shape.schema()),
    }
}
