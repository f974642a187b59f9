//! Where an act belongs in a trace: the ids of W3C Trace Context.

use bailiwick_audit::Subject;

use crate::host::{GateError, random};

/// A span's bytes.
const SPAN_BYTES: usize = 8;

/// What a client's `traceparent` says: the trace, and the client's own span in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace: String,
    pub(crate) span: String,
}

impl Parent {
    /// Reads a `traceparent` as in W3C Trace Context Level 2, section 3.2: `version-trace-parent-flags`, lower-case
    /// hexadecimal, nothing all zero. Of a later version the parts that this one has are read.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = id(parts.next()?, 32)?;
        let span = id(parts.next()?, 2 * SPAN_BYTES)?;
        hex(parts.next()?, 2)?;
        let more = parts.next().is_some();
        match version {
            "ff" => None,
            "00" if more => None,
            _ => Some(Self {
                trace: trace.to_owned(),
                span: span.to_owned(),
            }),
        }
    }
}

/// The subject of a session: its 128 random bits are its trace too, and their first half the span that all else
/// happens in.
pub(crate) fn of_session(mut subject: Subject, session: &str) -> Subject {
    subject.trace = id(session, 32).map(str::to_owned);
    subject.span = session
        .get(..2 * SPAN_BYTES)
        .and_then(|span| id(span, 2 * SPAN_BYTES))
        .map(str::to_owned);
    subject
}

/// The subject of one call: a span of its own, in the client's trace where it told one, else in the session's.
///
/// # Errors
/// A system without random numbers.
pub(crate) fn of_call(session: &Subject, parent: Option<&str>) -> Result<Subject, GateError> {
    let mut subject = session.clone();
    subject.parent_span = subject.span.take();
    if let Some(parent) = parent.and_then(Parent::parse) {
        subject.trace = Some(parent.trace);
        subject.parent_span = Some(parent.span);
    }
    subject.span = Some(random::<SPAN_BYTES>()?);
    Ok(subject)
}

fn hex(text: &str, digits: usize) -> Option<&str> {
    let fits = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(fits)).then_some(text)
}

fn id(text: &str, digits: usize) -> Option<&str> {
    hex(text, digits).filter(|text| text.bytes().any(|b| b != b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
    const SESSION: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn only_a_well_formed_traceparent_is_taken() {
        let good = Parent {
            trace: TRACE.to_owned(),
            span: SPAN.to_owned(),
        };
        for text in [
            format!("00-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-comes-later"),
        ] {
            assert_eq!(Parent::parse(&text), Some(good.clone()), "{text}");
        }
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}-0"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-\u{1b}[31m{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(Parent::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_call_has_a_span_of_its_own_in_the_clients_trace_or_the_sessions() {
        let session = of_session(Subject::session(SESSION), SESSION);
        assert_eq!(session.trace.as_deref(), Some(SESSION));
        assert_eq!(session.span.as_deref(), Some("0011223344556677"));
        let alone = of_call(&session, None).unwrap();
        assert_eq!(
            (&alone.trace, &alone.parent_span),
            (&session.trace, &session.span)
        );
        let told = of_call(&session, Some(&format!("00-{TRACE}-{SPAN}-01"))).unwrap();
        assert_eq!(told.trace.as_deref(), Some(TRACE));
        assert_eq!(told.parent_span.as_deref(), Some(SPAN));
        let spans = [&session.span, &alone.span, &told.span];
        assert!(spans[0] != spans[1] && spans[1] != spans[2], "{spans:?}");
        assert!(id(told.span.as_deref().unwrap(), 16).is_some());
        let nonsense = of_call(&session, Some("nonsense")).unwrap();
        assert_eq!(nonsense.trace, session.trace);
    }
}
