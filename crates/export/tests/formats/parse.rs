//! Parsers of RFC 5424 and CEF that accept what the standards allow, and nothing else.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) priority: u16,
    pub(crate) host: String,
    pub(crate) id: String,
    pub(crate) data: Vec<(String, Vec<(String, String)>)>,
    pub(crate) text: String,
}

/// A SYSLOG-MSG of RFC 5424 §6.
pub(crate) fn syslog(bytes: &[u8]) -> Result<Message, String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let rest = text.strip_prefix('<').ok_or("no PRI")?;
    let (priority, rest) = rest.split_once('>').ok_or("no end of PRI")?;
    let priority: u16 = priority.parse().map_err(|_| "PRI is no number")?;
    let rest = rest.strip_prefix("1 ").ok_or("not version 1")?;
    if priority > 191 {
        return Err("PRI is too large".into());
    }
    let mut rest = rest;
    let mut header = Vec::new();
    for max in [40, 255, 48, 128, 32] {
        let (token, after) = rest.split_once(' ').ok_or("the header ends early")?;
        if token.is_empty()
            || token.len() > max
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(format!("`{token}` is no token"));
        }
        header.push(token.to_owned());
        rest = after;
    }
    let (data, rest) = data(rest)?;
    let text = rest.strip_prefix(' ').ok_or("no space before the text")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(Message {
        priority,
        host: header[1].clone(),
        id: header[4].clone(),
        data,
        text: text.to_owned(),
    })
}

type Element = (String, Vec<(String, String)>);

fn data(mut rest: &str) -> Result<(Vec<Element>, &str), String> {
    let mut elements = Vec::new();
    if let Some(after) = rest.strip_prefix('-') {
        return Ok((elements, after));
    }
    while let Some(after) = rest.strip_prefix('[') {
        let end = after.find([' ', ']']).ok_or("an element does not end")?;
        let (id, mut after) = after.split_at(end);
        name(id)?;
        let mut parameters = Vec::new();
        while let Some(parameter) = after.strip_prefix(' ') {
            let (key, value) = parameter
                .split_once("=\"")
                .ok_or("a parameter has no value")?;
            name(key)?;
            let (value, left) = quoted(value)?;
            parameters.push((key.to_owned(), value));
            after = left;
        }
        rest = after.strip_prefix(']').ok_or("an element does not end")?;
        elements.push((id.to_owned(), parameters));
    }
    if elements.is_empty() {
        Err("no structured data".into())
    } else {
        Ok((elements, rest))
    }
}

fn name(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    if name.is_empty() || name.len() > 32 || !name.bytes().all(good) {
        return Err(format!("`{name}` is no SD-NAME"));
    }
    Ok(())
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            ']' => return Err("an unescaped ]".into()),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\' | ']'))) => value.push(escaped),
                other => return Err(format!("a backslash before {other:?}")),
            },
            c => value.push(c),
        }
    }
    Err("a value does not end".into())
}

/// `MSG-LEN SP SYSLOG-MSG …` of RFC 6587 §3.4.1.
pub(crate) fn frames(mut bytes: &[u8]) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let space = bytes
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or("a length does not end")?;
        let length = str::from_utf8(&bytes[..space]).map_err(|error| error.to_string())?;
        if length.starts_with('0') {
            return Err("a length begins with 0".into());
        }
        let length: usize = length
            .parse()
            .map_err(|_| format!("`{length}` is no length"))?;
        let message = bytes
            .get(space + 1..space + 1 + length)
            .ok_or("a frame is cut")?;
        messages.push(syslog(message)?);
        bytes = &bytes[space + 1 + length..];
    }
    Ok(messages)
}

#[derive(Debug)]
pub(crate) struct Cef {
    pub(crate) head: Vec<String>,
    pub(crate) fields: BTreeMap<String, String>,
}

/// A line of CEF version 0. A key is a run of letters and digits after a space, up to an `=` that is not escaped.
pub(crate) fn cef(line: &str) -> Result<Cef, String> {
    if line.contains(['\n', '\r']) {
        return Err("more than one line".into());
    }
    let mut rest = line.strip_prefix("CEF:0|").ok_or("not CEF 0")?;
    let mut head = Vec::new();
    for _ in 0..6 {
        let (field, after) = until(rest, '|')?;
        head.push(field);
        rest = after;
    }
    let severity: u8 = head[5].parse().map_err(|_| "the severity is no number")?;
    if severity > 10 {
        return Err("the severity is over 10".into());
    }
    let mut fields = BTreeMap::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or("a field without =")?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!("`{key}` is no key"));
        }
        let end = next_key(after).unwrap_or(after.len());
        let value = unescaped(&after[..end])?;
        if fields.insert(key.to_owned(), value).is_some() {
            return Err(format!("`{key}` stands twice"));
        }
        rest = after[end..].strip_prefix(' ').unwrap_or_default();
    }
    Ok(Cef { head, fields })
}

/// Where ` key=` begins, with an `=` that is not escaped.
fn next_key(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'=' => {
                let space = text[..at].rfind(' ')?;
                return text[space + 1..at]
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric())
                    .then_some(space);
            }
            _ => {}
        }
    }
    None
}

fn until(text: &str, end: char) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == end => return Ok((out, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('\\' | '|'))) => out.push(escaped),
                other => return Err(format!("a backslash before {other:?}")),
            },
            c => out.push(c),
        }
    }
    Err("the head ends early".into())
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | '=')) => out.push(escaped),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                other => return Err(format!("a backslash before {other:?}")),
            },
            '=' => return Err("an = that is not escaped".into()),
            c => out.push(c),
        }
    }
    Ok(out)
}
