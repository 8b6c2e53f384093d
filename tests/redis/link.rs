//! A link to a server that can be cut, in both directions or only on the way back, without notice to either end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU16, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::Result;

pub(crate) struct Link {
    port: u16,
    server: Arc<AtomicU16>,
    there: Arc<AtomicBool>,
    back: Arc<AtomicBool>,
    /// Ends with the link.
    _carrying: JoinSet<()>,
}

impl Link {
    pub(crate) async fn to(server: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (port, server) = (listener.local_addr()?.port(), Arc::new(AtomicU16::new(server)));
        let (there, back) = (Arc::default(), Arc::default());
        let mut carrying = JoinSet::new();
        carrying.spawn(carry(listener, Arc::clone(&server), Arc::clone(&there), Arc::clone(&back)));
        Ok(Self { port, server, there, back, _carrying: carrying })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Later connections go to another server, like those to a name that has moved. Existing ones stay.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    /// From now on nothing arrives. New connections are accepted and get no answers.
    pub(crate) fn cut(&self) {
        self.there.store(true, Ordering::SeqCst);
        self.lose_answers();
    }

    /// From now on calls arrive, but their answers do not.
    pub(crate) fn lose_answers(&self) {
        self.back.store(true, Ordering::SeqCst);
    }

    /// New connections work again. Bytes in transit are lost, with their connections.
    pub(crate) fn mend(&self) {
        self.there.store(false, Ordering::SeqCst);
        self.back.store(false, Ordering::SeqCst);
    }
}

async fn carry(listener: TcpListener, server: Arc<AtomicU16>, cut_there: Arc<AtomicBool>, cut_back: Arc<AtomicBool>) {
    let mut all = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let server = server.load(Ordering::SeqCst);
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
        let ((hear, tell), (ask, answer)) = (client.into_split(), server.into_split());
        // Halves of a connection; each ends both.
        let there = carry_one_way(hear, answer, Arc::clone(&cut_there));
        let back = carry_one_way(ask, tell, Arc::clone(&cut_back));
        all.spawn(async move {
            tokio::select! {
                () = there => {}
                () = back => {}
            }
        });
    }
}

/// Once bytes are lost, all later ones are lost, too.
async fn carry_one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, cut: Arc<AtomicBool>) {
    let (mut bytes, mut is_lost) = (vec![0; 4096], false);
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        is_lost |= cut.load(Ordering::SeqCst);
        if !is_lost && to.write_all(bytes.get(..count).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}
