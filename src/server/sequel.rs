//! What goes on with a connection after its last reply, which has switched to
//! another protocol (RFC 9110, section 15.2.2).

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::Shutdown;

type Start = dyn FnOnce(Shutdown) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send;

/// What a service puts among the extensions of a reply `101 Switching
/// Protocols`. The task of the connection runs it once the reply is sent: it
/// keeps the connection's slot, is waited for in a drain, and is cut at the
/// end of one.
///
/// Where the reply never reaches the client it runs too; what it asks of the
/// connection fails then.
#[derive(Clone)]
pub struct Sequel(Arc<Mutex<Option<Box<Start>>>>);

impl Sequel {
    /// `start` is told of a drain by the switch that it is given.
    pub fn new<F>(start: impl FnOnce(Shutdown) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(Mutex::new(Some(Box::new(move |shutdown| Box::pin(start(shutdown)))))))
    }

    /// Runs it, the first time it is asked to.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let start = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(start) = start {
            start(shutdown).await;
        }
    }
}

impl fmt::Debug for Sequel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sequel")
    }
}
