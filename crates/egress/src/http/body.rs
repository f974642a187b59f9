//! Bodies of requests and answers, in one type.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

/// Why a body ended early.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A body: passed through as it comes, or made here.
pub(super) struct Body {
    kind: Kind,
    /// One of the requests that a plugin may have at once; given back when the body is gone.
    place: Option<OwnedSemaphorePermit>,
}

enum Kind {
    /// As it comes, not looked at.
    Through(Incoming),
    /// Held as a whole.
    Whole(Full<Bytes>),
    /// Searched on its way.
    Searched(UnsyncBoxBody<Bytes, Failure>),
}

impl Body {
    /// A body as it comes.
    pub(super) fn through(body: Incoming) -> Self {
        Self::of(Kind::Through(body))
    }

    /// A whole body.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Whole(Full::new(bytes.into())))
    }

    /// A body that is searched on its way.
    pub(super) fn searched(
        body: impl http_body::Body<Data = Bytes, Error = Failure> + Send + 'static,
    ) -> Self {
        Self::of(Kind::Searched(body.boxed_unsync()))
    }

    /// The same, keeping a place until it is gone.
    pub(super) fn keeping(mut self, place: OwnedSemaphorePermit) -> Self {
        self.place = Some(place);
        self
    }

    fn of(kind: Kind) -> Self {
        Self { kind, place: None }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut self.kind {
            Kind::Through(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Kind::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Kind::Searched(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Through(body) => body.is_end_stream(),
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Searched(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Through(body) => body.size_hint(),
            Kind::Whole(body) => body.size_hint(),
            Kind::Searched(body) => body.size_hint(),
        }
    }
}
