//! Limits without axum's router: around a tower service that hyper serves.
//!
//! ```text
//! cargo run --example tower                  # serves on 127.0.0.1:3000
//! cargo run --example tower -- --port 8080   # or on another port
//! cargo run --example tower -- --demo        # sends requests to itself, prints the responses, and stops
//! ```

mod demo;
#[path = "../common/shutdown.rs"]
mod shutdown;

use std::{
    convert::Infallible,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{
    Extension,
    body::Bytes,
    extract::ConnectInfo,
    http::{Method, Request, Response},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceBuilder;
use traffik::{Bypass, MemoryBackend, Rule, Throttle, Traffik, throttle_layer, web::ThrottleLayer};

#[derive(Throttle)]
#[limit("files:reads", "100/min")]
struct Reads;

#[derive(Throttle)]
#[limit("files:writes", "10/min")]
struct Writes;

#[derive(Throttle)]
#[limit("files:exports", "2/min")]
struct Exports;

/// All limits of the service in one layer. Those that apply to a request are one decision.
fn policy() -> ThrottleLayer<(Reads, Writes, Exports)> {
    throttle_layer()
        .rule::<Reads>(Rule::methods([Method::GET]))
        .bypass::<Reads>(Bypass::path("/health"))
        .rule::<Writes>(Rule::methods([Method::PUT, Method::DELETE]))
        .rule::<Exports>(Rule::path("/**/*.zip"))
}

/// The limited service. It may have any body type.
async fn files(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("{} {}\n", request.method(), request.uri().path());
    Ok(Response::new(Full::from(text)))
}

/// Serves one client, and passes on its address: there is no router that does.
fn serve_one(stream: TcpStream, peer: SocketAddr, traffik: &Traffik, connections: &GracefulShutdown) {
    // The first layer is the outermost.
    let service = ServiceBuilder::new()
        .layer(Extension(ConnectInfo(peer)))
        .layer(traffik.layer())
        .layer(policy())
        .service_fn(files);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("{peer}: {error}");
        }
    });
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => serve_one(stream, peer, &traffik, &connections),
                // The client has gone, or the process has too many open files at present.
                Err(error) => eprintln!("a client was not served: {error}"),
            },
            () = &mut shutdown => break,
        }
    }
    connections.shutdown().await;
    traffik.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let port = match args.next().as_deref() {
        None => 3000,
        Some("--port") => args.next().ok_or("`--port` needs a number")?.parse()?,
        Some("--demo") => return demo::run().await,
        Some(other) => {
            return Err(format!("unknown argument `{other}`: there are `--port <number>` and `--demo`").into());
        }
    };

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, until ctrl-c. Try:");
    println!("  curl -i http://{address}/notes/1");
    println!("  for i in $(seq 3); do curl -sS http://{address}/notes.zip; echo; done");

    let traffik = Traffik::builder(MemoryBackend::new("files")).build()?;
    serve(listener, traffik, shutdown::shutdown_signal()).await
}
