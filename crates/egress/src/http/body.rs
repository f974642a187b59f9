//! Bodies of requests and answers, in one type.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

/// Why a body ended early.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A body: passed through as it comes, or made here.
pub(super) enum Body {
    /// As it comes, not looked at.
    Through(Incoming),
    /// Held as a whole.
    Whole(Full<Bytes>),
    /// Searched on its way.
    Searched(UnsyncBoxBody<Bytes, Failure>),
}

impl Body {
    /// A whole body.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Full::new(bytes.into()))
    }

    /// A body that is searched on its way.
    pub(super) fn searched(
        body: impl http_body::Body<Data = Bytes, Error = Failure> + Send + 'static,
    ) -> Self {
        Self::Searched(body.boxed_unsync())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut *self {
            Self::Through(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Searched(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Through(body) => body.is_end_stream(),
            Self::Whole(body) => body.is_end_stream(),
            Self::Searched(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Through(body) => body.size_hint(),
            Self::Whole(body) => body.size_hint(),
            Self::Searched(body) => body.size_hint(),
        }
    }
}
