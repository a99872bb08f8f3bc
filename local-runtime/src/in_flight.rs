//! Answers that clients have not read yet: bounded, so that clients who never read cannot fill the memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use common::App;
use common::http::{Network, Room, Share};
use common::outcome::{Code, Refusal};
use futures_util::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use tower::Service;

/// Answers up to this size need no room; the number of connections bounds them.
const SMALL: u64 = 16 * 1024;

/// Room for larger ones.
static ROOM: Room = Room::new(64 * 1024 * 1024, 16 * 1024 * 1024);

/// The layer: refuses with 503 a large answer for which there is no room. It concerns answers that are
/// made in memory, not files that are read as they are sent.
#[derive(Debug, Clone)]
pub(crate) struct InFlight<S> {
    pub(crate) inner: S,
    pub(crate) app: App,
}

impl<S> Service<Request> for InFlight<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let network = Network::of_client(request.extensions(), request.headers(), &self.app.config);
        let answered = self.inner.call(request);
        Box::pin(async move { Ok(held(answered.await?, &ROOM, network)) })
    }
}

fn held(response: Response, room: &'static Room, network: Network) -> Response {
    let Some(bytes) = response.body().size_hint().exact().filter(|bytes| *bytes > SMALL) else { return response };
    let mut share = room.share(network);
    if !share.grow(usize::try_from(bytes).unwrap_or(usize::MAX)) {
        let message = "too many answers wait to be read; read them, or ask again later";
        return Refusal::new(Code::Unavailable, message).into_response();
    }
    response.map(|body| Body::new(Unread { body, _share: share }))
}

/// A body that holds its share until it was read or the connection is gone.
struct Unread {
    body: Body,
    _share: Share<'static>,
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn large_answers_that_are_not_read_are_bounded() {
        static LITTLE: Room = Room::new(100_000, 100_000);
        let answer = |bytes| held(Response::new(Body::from(vec![b'x'; bytes])), &LITTLE, Network::new(None));
        let unread = answer(60_000);
        assert_eq!(answer(60_000).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer(10_000).status(), StatusCode::OK, "a small one");
        drop(unread);
        assert_eq!(answer(60_000).status(), StatusCode::OK);
    }
}
