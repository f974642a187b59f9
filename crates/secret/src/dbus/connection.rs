//! One connection to a bus.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::address;
use super::value::{Reader, Value, pad};

/// How long the bus and services may take; the first call may start one.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest message that is read, in bytes: whoever is on our bus controls it. The specification allows 128 MiB.
const MAX_MESSAGE: usize = 16 << 20;
/// Longest line of the bus before messages begin.
const MAX_LINE: usize = 512;
const HEADER: usize = 16;

const CALL: u8 = 1;
const REPLY: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_TO: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// A method to call.
pub(crate) struct Call<'a> {
    pub(crate) to: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    pub(crate) arguments: &'a [Value],
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The other side says so, by this name; its own words are left out, which could hold anything.
    #[error("it answered `{0}`")]
    Refused(String),
    /// The connection is of no more use.
    #[error("{0}")]
    Broken(String),
}

/// A connection that said hello.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    serial: u32,
}

#[derive(Debug, Default)]
struct Message {
    kind: u8,
    reply_to: Option<u32>,
    path: Option<String>,
    interface: Option<String>,
    member: Option<String>,
    error: Option<String>,
    signature: String,
    big: bool,
    body: Vec<u8>,
}

fn broken(why: impl Into<String>) -> CallError {
    CallError::Broken(why.into())
}

impl Connection {
    /// Connects and says who we are. The bus must be this user's own, or root's.
    pub(crate) fn open(address: &str) -> Result<Self, CallError> {
        let mut stream = address::connect(address).map_err(broken)?;
        let us = rustix::process::geteuid();
        let peer = rustix::net::sockopt::socket_peercred(&stream)
            .map_err(|error| broken(format!("who serves the bus cannot be seen: {error}")))?;
        if peer.uid != us && !peer.uid.is_root() {
            let why = format!(
                "the bus `{}` is served by user {}: it would read every secret",
                address.escape_debug(),
                peer.uid.as_raw()
            );
            return Err(broken(why));
        }
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .map_err(io)?;
        // The number in decimal digits, each of them in hexadecimal.
        let id = hex::encode(us.as_raw().to_string());
        stream
            .write_all(format!("\0AUTH EXTERNAL {id}\r\n").as_bytes())
            .map_err(io)?;
        let line = line(&mut stream)?;
        if !line.starts_with(b"OK ") {
            return Err(broken("the bus does not accept us"));
        }
        stream.write_all(b"BEGIN\r\n").map_err(io)?;
        let mut connection = Self { stream, serial: 0 };
        connection.bus("Hello", &[])?;
        Ok(connection)
    }

    /// Calls a method of the bus itself.
    pub(crate) fn bus(
        &mut self,
        member: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, CallError> {
        self.call(&Call {
            to: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member,
            arguments,
        })
    }

    /// Calls a method and waits for its answer. Whatever else arrives meanwhile is dropped.
    pub(crate) fn call(&mut self, call: &Call<'_>) -> Result<Vec<Value>, CallError> {
        let serial = self.send(call)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(deadline)?;
            if message.reply_to != Some(serial) {
                continue;
            }
            return match message.kind {
                REPLY => message.values(),
                ERROR => Err(CallError::Refused(message.error.unwrap_or_default())),
                _ => continue,
            };
        }
    }

    /// Calls a method, then waits for the signal `interface.member` of the same object.
    pub(crate) fn call_and_wait(
        &mut self,
        call: &Call<'_>,
        signal: &str,
        patience: Duration,
    ) -> Result<Vec<Value>, CallError> {
        let rule = format!(
            "type='signal',interface='{}',member='{signal}',path='{}'",
            call.interface, call.path
        );
        self.bus("AddMatch", &[Value::text(rule)])?;
        let serial = self.send(call)?;
        let deadline = Instant::now() + patience;
        loop {
            let message = self.receive(deadline)?;
            let is = |field: &Option<String>, wanted: &str| field.as_deref() == Some(wanted);
            match message.kind {
                ERROR if message.reply_to == Some(serial) => {
                    return Err(CallError::Refused(message.error.unwrap_or_default()));
                }
                SIGNAL
                    if is(&message.path, call.path)
                        && is(&message.interface, call.interface)
                        && is(&message.member, signal) =>
                {
                    return message.values();
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, call: &Call<'_>) -> Result<u32, CallError> {
        self.serial += 1;
        let unsendable = |_| broken("what was to be sent has no form in messages");
        let mut body = Vec::new();
        for argument in call.arguments {
            argument.put(&mut body).map_err(unsendable)?;
        }
        let signature: String = call.arguments.iter().map(Value::signature).collect();
        let mut fields = vec![
            field(PATH, Value::path(call.path)),
            field(INTERFACE, Value::text(call.interface)),
            field(MEMBER, Value::text(call.member)),
            field(DESTINATION, Value::text(call.to)),
        ];
        if !signature.is_empty() {
            fields.push(field(SIGNATURE, Value::Signature(signature)));
        }
        let size =
            u32::try_from(body.len()).map_err(|_| broken("what was to be sent is too long"))?;
        let head = [
            Value::Byte(b'l'),
            Value::Byte(CALL),
            Value::Byte(0),
            Value::Byte(1),
            Value::Uint32(size),
            Value::Uint32(self.serial),
            Value::Array("(yv)".to_owned(), fields),
        ];
        let mut message = Vec::new();
        for part in head {
            part.put(&mut message).map_err(unsendable)?;
        }
        pad(&mut message, 8);
        message.extend(body);
        self.stream.write_all(&message).map_err(io)?;
        Ok(self.serial)
    }

    fn receive(&mut self, deadline: Instant) -> Result<Message, CallError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(broken("it did not answer in time"));
        }
        self.stream.set_read_timeout(Some(left)).map_err(io)?;
        let mut head = vec![0; HEADER];
        self.stream.read_exact(&mut head).map_err(io)?;
        let size = whole_size(&head).ok_or_else(malformed)?;
        head.resize(size, 0);
        let rest = head.get_mut(HEADER..).ok_or_else(malformed)?;
        self.stream.read_exact(rest).map_err(io)?;
        parse(&head).ok_or_else(malformed)
    }
}

fn malformed() -> CallError {
    broken("it sent what is no message of the protocol")
}

fn io(error: std::io::Error) -> CallError {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            broken("it did not answer in time")
        }
        _ => broken(format!("the connection to the bus failed: {error}")),
    }
}

fn field(code: u8, value: Value) -> Value {
    Value::Struct(vec![Value::Byte(code), Value::variant(value)])
}

fn line(stream: &mut UnixStream) -> Result<Vec<u8>, CallError> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE {
            return Err(malformed());
        }
        stream.read_exact(&mut byte).map_err(io)?;
        line.extend(byte);
    }
    Ok(line)
}

fn is_big(head: &[u8]) -> Option<bool> {
    match head.first()? {
        b'l' => Some(false),
        b'B' => Some(true),
        _ => None,
    }
}

/// Size of a whole message, by its first 16 bytes; none where it is none or too long.
fn whole_size(head: &[u8]) -> Option<usize> {
    let fixed = Reader::new(head, is_big(head)?).all("yyyyuuu").ok()?;
    let [
        _,
        _,
        _,
        Value::Byte(1),
        Value::Uint32(body),
        Value::Uint32(_),
        Value::Uint32(fields),
    ] = fixed.as_slice()
    else {
        return None;
    };
    let fields = usize::try_from(*fields).ok()?;
    let size = HEADER
        .checked_add(fields)?
        .checked_next_multiple_of(8)?
        .checked_add(usize::try_from(*body).ok()?)?;
    (size <= MAX_MESSAGE).then_some(size)
}

fn parse(whole: &[u8]) -> Option<Message> {
    let big = is_big(whole)?;
    let mut reader = Reader::new(whole, big);
    let head = reader.all("yyyyuua(yv)").ok()?;
    reader.align(8).ok()?;
    let [_, Value::Byte(kind), _, _, _, _, Value::Array(_, fields)] = head.as_slice() else {
        return None;
    };
    let mut message = Message {
        kind: *kind,
        big,
        body: whole.get(reader.position()..)?.to_vec(),
        ..Message::default()
    };
    for field in fields {
        let Value::Struct(parts) = field else {
            return None;
        };
        let [Value::Byte(code), Value::Variant(value)] = parts.as_slice() else {
            return None;
        };
        match (*code, value.as_ref()) {
            (PATH, Value::Path(text)) => message.path = Some(text.clone()),
            (INTERFACE, Value::Text(text)) => message.interface = Some(text.clone()),
            (MEMBER, Value::Text(text)) => message.member = Some(text.clone()),
            (ERROR_NAME, Value::Text(text)) => message.error = Some(text.clone()),
            (REPLY_TO, Value::Uint32(serial)) => message.reply_to = Some(*serial),
            (SIGNATURE, Value::Signature(text)) => message.signature.clone_from(text),
            (DESTINATION | SENDER, Value::Text(_)) => {}
            (PATH..=SIGNATURE, _) => return None,
            // The specification: unknown fields are ignored.
            _ => {}
        }
    }
    Some(message)
}

impl Message {
    fn values(&self) -> Result<Vec<Value>, CallError> {
        let mut reader = Reader::new(&self.body, self.big);
        let values = reader.all(&self.signature).map_err(|_| malformed())?;
        if reader.position() == self.body.len() {
            Ok(values)
        } else {
            Err(malformed())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&bytes).map(|message| message.values().is_ok());
            let _ = whole_size(&bytes);
        }

        #[test]
        fn no_changed_byte_breaks_the_parser(at in 0..96_usize, to in any::<u8>()) {
            let mut message = reply();
            let at = at % message.len();
            message[at] = to;
            let _ = parse(&message).map(|message| message.values().is_ok());
        }
    }

    fn reply() -> Vec<u8> {
        let mut message = Vec::new();
        let fields = vec![
            field(REPLY_TO, Value::Uint32(7)),
            field(SENDER, Value::text(":1.2")),
            field(SIGNATURE, Value::Signature("so".to_owned())),
        ];
        for part in [
            Value::Byte(b'l'),
            Value::Byte(REPLY),
            Value::Byte(1),
            Value::Byte(1),
            Value::Uint32(14),
            Value::Uint32(9),
            Value::Array("(yv)".to_owned(), fields),
        ] {
            part.put(&mut message).unwrap();
        }
        pad(&mut message, 8);
        let mut body = Vec::new();
        Value::text("ab").put(&mut body).unwrap();
        Value::path("/").put(&mut body).unwrap();
        assert_eq!(body.len(), 14);
        message.extend(body);
        message
    }

    #[test]
    fn an_answer_is_read_to_its_last_byte() {
        let whole = reply();
        let message = parse(&whole).unwrap();
        assert_eq!((message.kind, message.reply_to), (REPLY, Some(7)));
        assert_eq!(
            message.values().unwrap(),
            [Value::text("ab"), Value::path("/")]
        );
        let mut longer = whole.clone();
        longer.push(0);
        assert!(parse(&longer).unwrap().values().is_err());
        assert!(parse(&whole[..whole.len() - 1]).unwrap().values().is_err());
        assert_eq!(whole_size(&whole[..HEADER]), Some(whole.len()));
    }

    #[test]
    fn a_message_that_claims_too_much_is_not_waited_for() {
        let head = |body: u32, fields: u32| {
            let mut bytes = vec![b'l', REPLY, 0, 1];
            for number in [body, 1, fields] {
                bytes.extend(number.to_le_bytes());
            }
            whole_size(&bytes)
        };
        assert_eq!(head(0, 0), Some(16));
        assert_eq!(head(u32::MAX, 0), None);
        assert_eq!(head(0, u32::MAX), None);
        assert_eq!(head(MAX_MESSAGE as u32, 0), None);
    }
}
