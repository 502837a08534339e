//! A TAK server for tests, made of the crate cottak: it offers TAK Protocol v1 and broadcasts what it receives.
//! A process of its own, built apart from the project; nothing of it is linked or shipped (one of its crates is GPL-3).
//!
//! usage: cottak_peer tcp=127.0.0.1:PORT [tls=127.0.0.1:PORT cert=FILE key=FILE ca=FILE] [versions=1] [queue=N]
//!
//! Port 0 takes a free one. `ca` signs the clients: one without a certificate of it is refused. `versions=` without a
//! value offers nothing, so it stays with XML. Lines on stdout, flushed one by one:
//!   LISTEN tcp|tls ADDRESS, READY, CONNECT id peer tls=BOOL, CLOSE id, PROTO id V0|V1, EVENT Some(id) type uid,
//!   LAG n (n lines were lost, because this program was too slow: a test must not trust the rest).
//! SIGTERM ends it with 0.

use cottak::server::{Server, ServerConfig, ServerEvent, ServerTlsConfig};
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;
use tokio::signal::unix::{signal, SignalKind};

/// Lines that may wait for this program: more than a test sends in the longest pause of a busy machine.
const OBSERVED: usize = 1 << 18;

fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|word| word.split_once('=').map(|(key, value)| (key.into(), value.into())))
        .collect();

    let mut config = ServerConfig::new();
    let mut kinds = Vec::new();
    if let Some(address) = settings.get("tcp") {
        config = config.listen_tcp(address.clone());
        kinds.push("tcp");
    }
    if let Some(address) = settings.get("tls") {
        let tls = ServerTlsConfig::mutual_from_files(&settings["cert"], &settings["key"], &settings["ca"])?;
        config = config.listen_tls(address.clone(), tls);
        kinds.push("tls");
    }
    if let Some(versions) = settings.get("versions") {
        let versions: Vec<u32> = versions.split(',').filter_map(|one| one.parse().ok()).collect();
        config = config.with_protocol_versions(&versions);
    }
    if let Some(queue) = settings.get("queue") {
        config.client_queue = queue.parse()?;
    }
    config.observer_queue = OBSERVED;
    // A reader that never speaks (pytak) is else cut off after 90 s, and misses what passes until it is back.
    config.read_timeout = Duration::from_secs(3600);

    let server = Server::start(config).await?;
    let mut events = server.subscribe();
    let mut term = signal(SignalKind::terminate())?;
    for (kind, address) in kinds.iter().zip(server.local_addrs()) {
        say(&format!("LISTEN {kind} {address:?}"));
    }
    say("READY");
    loop {
        tokio::select! {
            _ = term.recv() => break,
            event = events.recv() => match event {
                Ok(ServerEvent::Connected(client)) => {
                    say(&format!("CONNECT {} {} tls={}", client.id, client.peer, client.tls));
                }
                Ok(ServerEvent::Disconnected(client)) => say(&format!("CLOSE {}", client.id)),
                Ok(ServerEvent::ProtocolChanged { id, protocol }) => say(&format!("PROTO {id} {protocol:?}")),
                Ok(ServerEvent::Event { from, event }) => {
                    say(&format!("EVENT {from:?} {} {}", event.cot_type, event.uid));
                }
                Ok(_) => {}
                Err(lost) => say(&format!("LAG {lost}")),
            },
        }
    }
    server.shutdown().await;
    Ok(())
}
