//! A TCP proxy that can be told to misbehave: cut its connections, let nobody in, or go on without forwarding anything.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a proxy does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mood {
    /// How often connections were cut: those that are older are over.
    cuts: u32,
    refuses: bool,
    /// Connections stay, and nothing gets through.
    is_frozen: bool,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    mood: Arc<watch::Sender<Mood>>,
}

impl Proxy {
    /// Forwards to an address.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mood = Arc::new(watch::channel(Mood::default()).0);
        let moods = Arc::clone(&mood);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mood = moods.subscribe();
                if mood.borrow().refuses {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    let ((near_in, near_out), (far_in, far_out)) =
                        (near.into_split(), far.into_split());
                    let there = pump(near_in, far_out, mood.clone());
                    let back = pump(far_in, near_out, mood);
                    // Whichever ends takes the other along.
                    tokio::select! { () = there => {}, () = back => {} }
                });
            }
        });
        Self { address, mood }
    }

    /// Ends all connections; with `lets_in` new ones can be made at once.
    pub fn cut(&self, lets_in: bool) {
        self.mood.send_modify(|mood| {
            mood.cuts += 1;
            mood.refuses = !lets_in;
        });
    }

    /// Keeps all connections open, and forwards nothing more.
    pub fn freeze(&self) {
        self.mood.send_modify(|mood| mood.is_frozen = true);
    }

    /// Forwards again, and lets everybody in.
    pub fn heal(&self) {
        self.mood.send_modify(|mood| (mood.refuses, mood.is_frozen) = (false, false));
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mood: watch::Receiver<Mood>) {
    let mut buffer = vec![0; 16 * 1024];
    let cuts = mood.borrow().cuts;
    loop {
        let now = *mood.borrow_and_update();
        if now.cuts != cuts {
            return;
        }
        tokio::select! {
            changed = mood.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer), if !now.is_frozen => {
                let Ok(length @ 1..) = read else { return };
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
