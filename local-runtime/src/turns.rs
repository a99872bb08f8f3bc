//! Turns of expensive questions: those of one client wait for each other, and others do not wait for all
//! of them.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use common::App;
use common::http::Network;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tower::Service;

/// How many expensive questions of one client are worked on at the same time. All clients' questions
/// wait for scans in one queue, in which at most so many of one client precede those of another.
pub(crate) const MOST: usize = 4;

/// The clients that have turns or wait for one.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Network, Client>>);

/// The questions of one client that are open.
#[derive(Debug)]
struct Client {
    free: Arc<Semaphore>,
    open: usize,
}

/// A place among a client's questions; dropping it gives the turn to the next.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    network: Network,
    free: Arc<Semaphore>,
    taken: bool,
}

impl Turns {
    /// Waits until fewer than [`MOST`] questions of this client are worked on. The networks of an IPv6
    /// /48 are one client.
    pub(crate) async fn turn(self: Arc<Self>, network: Network) -> Turn {
        let network = network.wider().unwrap_or(network);
        let free = {
            let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let none = || Client { free: Arc::new(Semaphore::new(MOST)), open: 0 };
            let client = clients.entry(network).or_insert_with(none);
            client.open += 1;
            Arc::clone(&client.free)
        };
        let mut turn = Turn { turns: self, network, free, taken: false };
        // The semaphore is never closed.
        if let Ok(permit) = turn.free.acquire().await {
            permit.forget();
            turn.taken = true;
        }
        turn
    }

    /// How many questions of a client are worked on or wait.
    #[cfg(test)]
    pub(crate) fn open(&self, network: Network) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&network).map_or(0, |client| client.open)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.taken {
            self.free.add_permits(1);
        }
        let mut clients = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get_mut(&self.network) {
            client.open -= 1;
            if client.open == 0 {
                clients.remove(&self.network);
            }
        }
    }
}

/// The layer: a question waits for its turn, until the time for requests is over.
#[derive(Debug, Clone)]
pub(crate) struct InTurn<S> {
    pub(crate) inner: S,
    pub(crate) app: App,
    pub(crate) turns: Arc<Turns>,
}

impl<S> Service<Request> for InTurn<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let network = Network::of_client(request.extensions(), request.headers(), &self.app.config);
        // The one that is ready is the one to call; its clone is made ready for the next.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let turns = Arc::clone(&self.turns);
        Box::pin(async move {
            let _turn = turns.turn(network).await;
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_client_has_four_turns_and_others_do_not_wait_for_more() {
        let network = |last: u8| Network::new(Some([192, 0, 2, last].into()));
        let turns = Arc::new(Turns::default());
        let turn = |last| Arc::clone(&turns).turn(network(last));
        let mut held = Vec::new();
        for _ in 0..MOST {
            held.push(turn(1).now_or_never().unwrap());
        }
        let mut next = pin!(turn(1));
        assert!(next.as_mut().now_or_never().is_none());
        assert!(turn(1).now_or_never().is_none(), "and it leaves when its client is gone");
        assert!(turn(2).now_or_never().is_some(), "another client");
        drop(held.pop());
        let next = next.as_mut().now_or_never().unwrap();
        assert!(turn(1).now_or_never().is_none());
        drop((held, next));
        assert!(turns.0.lock().unwrap().is_empty(), "no client is remembered");
    }

    #[test]
    fn the_networks_of_one_customer_are_one_client() {
        let turns = Arc::new(Turns::default());
        let turn = |last: u16| {
            let network = Network::new(Some([0x2001, 0xdb8, 1, last, 0, 0, 0, 1].into()));
            Arc::clone(&turns).turn(network).now_or_never()
        };
        let held: Vec<_> = (0..10).filter_map(turn).collect();
        assert_eq!(held.len(), MOST);
    }
}
