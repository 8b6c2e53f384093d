//! A link to a server that can be cut without either end hearing of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::Result;

pub(crate) struct Link {
    port: u16,
    cut: Arc<AtomicBool>,
    /// Ends with the link.
    _carrying: JoinSet<()>,
}

impl Link {
    pub(crate) async fn to(server: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (port, cut) = (listener.local_addr()?.port(), Arc::new(AtomicBool::new(false)));
        let mut carrying = JoinSet::new();
        carrying.spawn(carry(listener, server, Arc::clone(&cut)));
        Ok(Self { port, cut, _carrying: carrying })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on nothing arrives; whoever connects is taken, and hears nothing.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// Who connects from now on is carried. What was on its way is lost, and so are the connections that it was on.
    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

async fn carry(listener: TcpListener, server: u16, cut: Arc<AtomicBool>) {
    let mut all = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
        let lost = Arc::new(AtomicBool::new(false));
        let ((hear, tell), (ask, answer)) = (client.into_split(), server.into_split());
        // Halves of a connection, each of which ends both.
        let there = carry_one_way(hear, answer, Arc::clone(&cut), Arc::clone(&lost));
        let back = carry_one_way(ask, tell, Arc::clone(&cut), lost);
        all.spawn(async move {
            tokio::select! {
                () = there => {}
                () = back => {}
            }
        });
    }
}

async fn carry_one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    cut: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
) {
    let mut bytes = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if cut.load(Ordering::SeqCst) {
            lost.store(true, Ordering::SeqCst);
        }
        let is_lost = lost.load(Ordering::SeqCst);
        if !is_lost && to.write_all(bytes.get(..count).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}
