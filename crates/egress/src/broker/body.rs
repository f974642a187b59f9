//! Bodies that are searched while they pass.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http_body::{Body, Frame};

use super::decode::Decoder;
use super::needles::{Lost, Needles, Search};
use super::scrub::{Scrubbed, Scrubber};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, which ends with an error before a placeholder is whole.
pub(crate) struct Watch<B> {
    /// What was read of it already.
    ahead: Option<Bytes>,
    body: B,
    needles: Arc<Needles>,
    search: Search,
    found: Found,
}

/// Which text was found in a body, for whoever waits for its request; it is set before the body fails.
pub(crate) type Found = Arc<OnceLock<Option<usize>>>;

/// The body was refused.
#[derive(Debug, thiserror::Error)]
#[error("the request was refused")]
struct Refused;

impl<B> Watch<B> {
    pub(crate) fn new(
        ahead: Option<Vec<u8>>,
        body: B,
        needles: Arc<Needles>,
        found: Found,
    ) -> Self {
        Self {
            ahead: ahead.map(Bytes::from),
            body,
            needles,
            search: Search::default(),
            found,
        }
    }

    fn look(&mut self, frame: &Frame<Bytes>) -> Result<(), Refused> {
        let mut hit = None;
        let mut note = |number| {
            hit.get_or_insert(number);
        };
        let mut searched = Ok(());
        if let Some(data) = frame.data_ref() {
            let search = &mut self.search;
            searched = self.needles.search(search, data, |hit| note(hit.of));
        } else if let Some(trailers) = frame.trailers_ref() {
            for (name, value) in trailers {
                for text in [name.as_str().as_bytes(), value.as_bytes()] {
                    searched = searched.and(
                        self.needles
                            .find(text)
                            .map(|number| number.into_iter().for_each(&mut note)),
                    );
                }
            }
        }
        if searched.is_ok() && hit.is_none() {
            return Ok(());
        }
        let _ = self.found.set(hit);
        Err(Refused)
    }
}

impl<B: Body<Data = Bytes, Error: Into<Failure>> + Unpin> Body for Watch<B> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let frame = match this.ahead.take() {
            Some(ahead) => Some(Ok(Frame::data(ahead))),
            None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
        };
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            this.look(&frame)?;
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let ahead = self.ahead.as_ref().map_or(0, Bytes::len);
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        let rest = self.body.size_hint();
        let mut hint = http_body::SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ahead));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(ahead)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// The body of an answer, unpacked and without any secret.
pub(crate) struct Answer<B> {
    body: B,
    decoder: Decoder,
    scrubber: Scrubber,
    scrubbed: Arc<Scrubbed>,
    /// Packed bytes that are still to be looked at.
    packed: Bytes,
    /// Trailers that wait until what was held back is out.
    trailers: Option<HeaderMap>,
    over: bool,
}

impl<B> Answer<B> {
    pub(crate) fn new(body: B, decoder: Decoder, scrubbed: Arc<Scrubbed>) -> Self {
        Self {
            body,
            decoder,
            scrubber: Scrubber::new(Arc::clone(&scrubbed)),
            scrubbed,
            packed: Bytes::new(),
            trailers: None,
            over: false,
        }
    }

    /// Takes some of the packed bytes; answers what is settled by them.
    fn unpack(&mut self) -> Result<Vec<u8>, Failure> {
        let mut rest = &*self.packed;
        let before = rest.len();
        let plain = self.decoder.step(&mut rest)?;
        let taken = before - rest.len();
        self.packed.advance(taken);
        let mut out = Vec::with_capacity(plain.len());
        self.scrubber.push(&plain, &mut out)?;
        Ok(out)
    }

    fn finish(&mut self) -> Result<Vec<u8>, Failure> {
        self.over = true;
        let plain = self.decoder.end()?;
        let mut out = Vec::new();
        self.scrubber.push(&plain, &mut out)?;
        self.scrubber.end(&mut out);
        Ok(out)
    }
}

impl<B: Body<Data = Bytes, Error: Into<Failure>> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        loop {
            let out = if !this.packed.is_empty() {
                this.unpack()?
            } else if this.over {
                let trailers = this.trailers.take();
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            } else {
                match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                    None => this.finish()?,
                    Some(frame) => match frame.map_err(Into::into)?.into_data() {
                        Ok(data) => {
                            this.packed = data;
                            continue;
                        }
                        Err(frame) => {
                            let trailers = frame.into_trailers().unwrap_or_default();
                            this.trailers = Some(fields(&this.scrubbed, &trailers)?);
                            this.finish()?
                        }
                    },
                }
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
    }
}

/// Header or trailer fields without any secret; a field whose name holds one is left out.
pub(crate) fn fields(scrubbed: &Arc<Scrubbed>, fields: &HeaderMap) -> Result<HeaderMap, Lost> {
    let mut clean = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        if scrubbed.whole(name.as_str().as_bytes())?.is_some() {
            continue;
        }
        let value = match scrubbed.whole(value.as_bytes())? {
            None => value.clone(),
            Some(text) => HeaderValue::from_bytes(&text)
                .unwrap_or_else(|_| HeaderValue::from_static("removed")),
        };
        clean.append(HeaderName::clone(name), value);
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};
    use std::convert::Infallible;

    type Frames = Vec<Result<Frame<Bytes>, Infallible>>;

    fn frames(parts: &[&'static str], trailer: Option<&'static str>) -> Frames {
        let mut all: Frames = parts
            .iter()
            .map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))))
            .collect();
        if let Some(value) = trailer {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", HeaderValue::from_static(value));
            all.push(Ok(Frame::trailers(trailers)));
        }
        all
    }

    fn stream(frames: Frames) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn an_answer_is_clean_across_frames_and_in_its_trailers() {
        let scrubbed = Arc::new(Scrubbed::new([(&b"s3cr3t-value"[..], "[p]")]));
        let body = stream(frames(
            &["a s3c", "r3t-val", "ue b s3cr"],
            Some("is s3cr3t-value"),
        ));
        let answer = Answer::new(body, Decoder::Identity, scrubbed);
        let whole = answer.collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["x-checksum"], "is [p]");
        assert_eq!(whole.to_bytes(), "a [p] b s3cr");
    }

    #[tokio::test]
    async fn a_request_ends_before_a_placeholder_is_whole() {
        let needles = Arc::new(Needles::new([&b"bw_placeholder"[..]]));
        for (parts, trailer) in [
            (&["x bw_pl", "aceholder y"][..], None),
            (&["x"][..], Some("bw_placeholder")),
        ] {
            let found = Found::default();
            let body = stream(frames(parts, trailer));
            let watch = Watch::new(None, body, Arc::clone(&needles), Arc::clone(&found));
            assert!(watch.collect().await.is_err());
            assert_eq!(found.get(), Some(&Some(0)));
        }
    }
}
