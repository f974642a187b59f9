//! YAML 1.2 to a tree with places. Anchors, aliases, tags, merge keys and second documents are refused: a manifest
//! needs none of them, and each is a way to make a file mean something else than it seems to.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span as Marked};
use serde_json::Number;

use crate::Span;
use crate::tree::{Key, MAX_DEPTH, MAX_NODES, MapBuilder, Node, SyntaxError, Value};

/// Reads one YAML document.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let places = Places::new(text);
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, marked) = event.map_err(|error| {
            let at = places.offset(error.marker());
            SyntaxError::new(
                Span::new(at, at),
                format!("not valid YAML: {}", error.info()),
                "check indentation, quotes and brackets around here",
            )
        })?;
        builder.event(event, places.span(text, marked))?;
    }
    builder.root.ok_or_else(|| {
        SyntaxError::new(
            Span::default(),
            "the manifest is empty",
            "write at least `id`, `version` and `runtime`",
        )
    })
}

/// Byte offset of each character: the parser counts characters.
struct Places {
    offsets: Vec<usize>,
    end: usize,
}

impl Places {
    fn new(text: &str) -> Self {
        Self {
            offsets: text.char_indices().map(|(at, _)| at).collect(),
            end: text.len(),
        }
    }

    fn offset(&self, marker: &Marker) -> usize {
        self.offsets
            .get(marker.index())
            .copied()
            .unwrap_or(self.end)
    }

    /// The marked bytes without the white space behind them (block scalars run on to the next line).
    fn span(&self, text: &str, marked: Marked) -> Span {
        let start = self.offset(&marked.start);
        let end = self.offset(&marked.end);
        let kept = text.get(start..end).map_or(0, |part| part.trim_end().len());
        Span::new(start, start.saturating_add(kept))
    }
}

/// A collection that is not closed yet.
enum Open {
    List(Span, Vec<Node>),
    Map(Span, MapBuilder, Option<Key>),
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(span),
            Event::Alias(_) => Err(no_alias(span)),
            Event::Scalar(text, style, anchor, tag) => {
                plain_only(span, anchor, tag.is_some())?;
                self.scalar(&text, style, span)
            }
            Event::SequenceStart(anchor, tag) => {
                plain_only(span, anchor, tag.is_some())?;
                self.open(span, Open::List(span, Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                plain_only(span, anchor, tag.is_some())?;
                self.open(span, Open::Map(span, MapBuilder::default(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    fn document(&mut self, span: Span) -> Result<(), SyntaxError> {
        self.documents = self.documents.saturating_add(1);
        if self.documents > 1 {
            return Err(SyntaxError::new(
                span,
                "a second YAML document",
                "keep one manifest per file",
            ));
        }
        Ok(())
    }

    fn open(&mut self, span: Span, open: Open) -> Result<(), SyntaxError> {
        if let Some(Open::Map(_, _, None)) = self.stack.last() {
            return Err(SyntaxError::new(
                span,
                "a key that is not a string",
                "write the key as a plain word or in quotes",
            ));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(SyntaxError::too_deep(span));
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), SyntaxError> {
        match self.stack.pop() {
            Some(Open::List(start, items)) => self.place(Node {
                span: extent(start, end, items.last().map(|node| node.span)),
                value: Value::List(items),
            }),
            Some(Open::Map(start, map, _)) => {
                let value = map.finish();
                let last = match &value {
                    Value::Map(entries) => entries.last().map(|(_, node)| node.span),
                    _ => None,
                };
                self.place(Node {
                    span: extent(start, end, last),
                    value,
                })
            }
            None => Ok(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Result<(), SyntaxError> {
        if let Some(Open::Map(_, map, key @ None)) = self.stack.last_mut() {
            let new = Key {
                text: text.to_owned(),
                span,
            };
            if style == ScalarStyle::Plain && text == "<<" {
                return Err(no_alias(span));
            }
            map.claim(&new)?;
            *key = Some(new);
            return self.count(span);
        }
        let value = match style {
            ScalarStyle::Plain => resolve(text, span)?,
            _ => Value::Text(text.to_owned()),
        };
        self.place(Node { span, value })
    }

    fn place(&mut self, node: Node) -> Result<(), SyntaxError> {
        self.count(node.span)?;
        match self.stack.last_mut() {
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, map, key)) => {
                if let Some(key) = key.take() {
                    map.push(key, node);
                }
            }
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn count(&mut self, span: Span) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return Err(SyntaxError::too_many(span));
        }
        Ok(())
    }
}

/// From the opening to the closing bracket, or to the last item where there are no brackets.
fn extent(start: Span, end: Span, last: Option<Span>) -> Span {
    let stop = if end.is_empty() {
        last.map_or(start.end(), Span::end)
    } else {
        end.end()
    };
    Span::new(start.start(), stop)
}

fn plain_only(span: Span, anchor: usize, tagged: bool) -> Result<(), SyntaxError> {
    if anchor != 0 {
        return Err(no_alias(span));
    }
    if tagged {
        return Err(SyntaxError::new(
            span,
            "a YAML tag (`!…`)",
            "remove the tag; put a string in quotes",
        ));
    }
    Ok(())
}

fn no_alias(span: Span) -> SyntaxError {
    SyntaxError::new(
        span,
        "a YAML anchor, alias or merge key",
        "write the value out: a manifest must mean what it shows",
    )
}

/// The core schema of YAML 1.2, without octal and hexadecimal numbers.
fn resolve(text: &str, span: Span) -> Result<Value, SyntaxError> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let plain = text.strip_prefix('+').unwrap_or(text);
        let number = plain
            .parse::<u64>()
            .map(Number::from)
            .or_else(|_| plain.parse::<i64>().map(Number::from))
            .map_err(|_| {
                SyntaxError::new(
                    span,
                    "a number that does not fit 64 bits",
                    "put it in quotes",
                )
            })?;
        return Ok(Value::Number(number));
    }
    let looks_real = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    if looks_real
        && let Ok(real) = text.parse::<f64>()
        && let Some(number) = Number::from_f64(real)
    {
        return Ok(Value::Number(number));
    }
    Ok(Value::Text(text.to_owned()))
}
